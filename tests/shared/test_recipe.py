"""The recipe: JSON and back, older and newer schemas, what a damaged one is refused with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import SCHEMA, Calibration, Geometry, Recipe, Threshold, read_calibration

RECIPE = Recipe(
    architecture="unet3d",
    preset="default",
    grey=Preprocessing(),
    geometry=Geometry((21, 44, 44), (4, 8, 8), (1, 2, 2)),
    diameter=24.0,
    threshold=Threshold(0.31, "90 % of the labels"),
    architecture_options={"channels": 16, "levels": 3},
    voxel_size=13.48,
    labels={"TS_01": 30, "TS_02": 12},
    versions={"milopyp": "0.1.0", "torch": "2.13"},
)

numbers = st.floats(-1e29, 1e29)
positive = st.floats(1e-6, 1e6)
counts = st.integers(-(2**70), 2**70)
words = st.text(max_size=12)
three = st.tuples(*[st.integers(1, 2**70)] * 3)
parts = st.floats(0, 1)
calibrations = st.lists(parts, min_size=2, max_size=5, unique=True).flatmap(
    lambda score: st.builds(
        Calibration, positive, st.just(tuple(sorted(score))), *[st.tuples(*[parts] * len(score))] * 2
    )
)
recipes = st.builds(
    Recipe,
    architecture=words,
    preset=words,
    grey=st.builds(
        Preprocessing,
        pairing=st.sampled_from(["none", "max", "mean"]),
        sigma=st.tuples(numbers, numbers, numbers),
        limits=st.tuples(numbers, numbers),
        stretch=st.booleans(),
    ),
    geometry=st.builds(Geometry, three, three, three),
    diameter=positive,
    threshold=st.builds(Threshold, numbers, words, st.booleans()),
    architecture_options=st.dictionaries(words, counts, max_size=3),
    contrast=st.sampled_from(["dark", "bright"]),
    voxel_size=st.none() | numbers,
    labels=st.dictionaries(words, counts, max_size=3),
    versions=st.dictionaries(words, words, max_size=3),
    parity=st.dictionaries(words, numbers, max_size=3),
    checkpoint_sha256=words,
    precision=words,
    calibration=st.none() | calibrations,
)


def stored(**changes: Any) -> dict[str, Any]:
    """`RECIPE` as JSON objects; ``a__b`` changes field b of a, and `...` takes a field away."""
    content = json.loads(RECIPE.to_json())
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return content


def read(content: object) -> Recipe:
    return Recipe.from_json(json.dumps(content), "model.onnx")


@given(recipes)
def test_json_and_back(recipe: Recipe) -> None:
    text = recipe.to_json()
    again = Recipe.from_json(text, "model.onnx")
    assert again == recipe
    assert again.to_json() == text
    assert json.loads(text)["schema"] == SCHEMA


def test_what_follows_from_a_recipe() -> None:
    assert RECIPE.voxel_per_output == (2, 2, 2)
    assert replace(RECIPE, grey=Preprocessing("none")).voxel_per_output == (1, 2, 2)
    assert RECIPE.suppression_distance == pytest.approx(14.4)


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("architecture_options", {}),
        ("contrast", "dark"),
        ("voxel_size", None),
        ("labels", {}),
        ("versions", {}),
        ("parity", {}),
        ("checkpoint_sha256", ""),
        ("precision", "fp32"),
    ],
)
def test_an_older_recipe_without_a_field_gets_its_default(field: str, default: object) -> None:
    older = read(stored(**{"schema": SCHEMA - 1, field: ...}))
    assert older == replace(RECIPE, **{field: default})


def test_an_older_recipe_without_fields_of_its_parts() -> None:
    older = read(stored(grey__stretch=..., grey__sigma=..., threshold__calibrated=...))
    assert older == replace(RECIPE, grey=Preprocessing(), threshold=replace(RECIPE.threshold, calibrated=False))


def test_whole_numbers_count_as_numbers() -> None:
    recipe = read(stored(diameter=24, voxel_size=13, grey__limits=[-4, 4]))
    assert (recipe.diameter, recipe.voxel_size, recipe.grey.limits) == (24.0, 13.0, (-4.0, 4.0))
    assert isinstance(recipe.diameter, float) and isinstance(recipe.grey.limits[0], float)


def test_a_newer_recipe_is_refused() -> None:
    with pytest.raises(InputError, match=rf"^model\.onnx: .*newer milopyp; expected schema {SCHEMA} or older\. Update"):
        read(stored(schema=SCHEMA + 1, geometry={"of": "another kind"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("{'schema': 1}", "is no JSON"),
        ('{"schema": 1', "is no JSON"),
        ("null", "has no schema number"),
        ("[1, 2]", "has no schema number"),
        ("{}", "has no schema number"),
        ('{"schema": "1"}', "has no schema number"),
        ('{"schema": 1}', "lacks architecture, preset, grey, geometry, diameter, threshold"),
    ],
)
def test_what_is_no_recipe(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Recipe.from_json(text, "model.onnx")
    assert str(caught.value).startswith("model.onnx: the recipe ")


@pytest.mark.parametrize("field", ["architecture", "preset", "grey", "geometry", "diameter", "threshold"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(InputError, match=f"the recipe lacks {field};"):
        read(stored(**{field: ...}))


def test_a_missing_field_of_a_part_is_named() -> None:
    with pytest.raises(InputError, match="the recipe lacks alignment, stride;"):
        read(stored(geometry__alignment=..., geometry__stride=...))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("architecture", None),
        ("architecture", ["unet3d"]),
        ("diameter", "24"),
        ("diameter", True),
        ("diameter", None),
        ("voxel_size", "13.48 A"),
        ("contrast", "grey"),
        ("contrast", None),
        ("labels", [30, 12]),
        ("labels", {"TS_01": 30.5}),
        ("labels", {"TS_01": True}),
        ("versions", {"torch": 2.13}),
        ("parity", {"max_difference": "small"}),
        ("grey", None),
        ("grey__pairing", "median"),
        ("grey__pairing", ["mean"]),
        ("grey__sigma", 0.8),
        ("grey__sigma", [0.8, 0.8]),
        ("grey__sigma", [0.8, 0.8, "0.8"]),
        ("grey__limits", [-4, 0, 4]),
        ("grey__stretch", 1),
        ("grey__stretch", "false"),
        ("geometry", [[21, 44, 44], [4, 8, 8], [1, 2, 2]]),
        ("geometry__halo", [21.0, 44, 44]),
        ("geometry__halo", [21, 44]),
        ("geometry__stride", {"z": 1, "y": 2, "x": 2}),
        ("threshold", 0.31),
        ("threshold__score", "auto"),
        ("threshold__calibrated", 0),
    ],
)
def test_a_field_of_another_type_is_named(field: str, value: object) -> None:
    name = field.split("__")[-1]
    with pytest.raises(InputError, match=rf"^model\.onnx: the recipe's {name} is ['\"]"):
        read(stored(**{field: value}))


@given(st.sampled_from(sorted(json.loads(RECIPE.to_json()))), st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
))  # fmt: skip
def test_any_value_in_any_field_is_read_or_refused(field: str, value: object) -> None:
    try:
        recipe = read(stored(**{field: value}))
    except InputError as error:
        assert str(error).startswith("model.onnx: the recipe")
    else:
        assert isinstance(recipe, Recipe)


@pytest.mark.parametrize(
    "change",
    [
        {"diameter": float("nan")},
        {"diameter": float("inf")},
        {"diameter": 0.0},
        {"threshold__score": float("nan")},
        {"geometry__stride": [1, 0, 2]},
        {"geometry__alignment": [-4, 8, 8]},
        {"geometry__halo": [-1, 44, 44]},
    ],
)
def test_numbers_that_no_engine_could_use_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"model\.onnx: .*(diameter|score|geometry)"):
        read(stored(**change))


EXPECTED = Calibration(25.0, (0.2, 0.4, 0.6), (0.5, 0.75, 0.95), (0.9, 0.8, 0.5))


def test_expectations_between_and_beyond_the_scores() -> None:
    assert EXPECTED.at(0.3) == pytest.approx((0.625, 0.85))
    assert EXPECTED.at(0.4) == pytest.approx((0.75, 0.8))
    assert EXPECTED.at(0.0) == (0.5, 0.9)
    assert EXPECTED.at(1.0) == pytest.approx((0.95, 0.5))
    assert [EXPECTED.threshold_for(aim) for aim in (0.1, 0.75, 0.8, 0.99)] == [0.2, 0.4, 0.6, None]


@pytest.mark.parametrize(
    "table",
    [
        {"score": [0.2, 0.2, 0.6]},
        {"score": [0.6, 0.4, 0.2]},
        {"precision": [0.5, 0.75]},
        {"score": [0.2], "precision": [0.5], "recall": [0.9]},
    ],
)
def test_calibrations_that_are_no_tables(table: dict[str, list[float]]) -> None:
    stored = {"particles": 25.0, "score": [0.2, 0.4, 0.6], "precision": [0.5, 0.7, 0.9], "recall": [0.9, 0.8, 0.5]}
    with pytest.raises(InputError, match="no table of rising scores"):
        read_calibration(stored | table, "run.json")
