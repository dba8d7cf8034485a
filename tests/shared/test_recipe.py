"""The recipe: JSON and back, older and newer schemas, what a damaged one is refused with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import SCHEMA, Chunks, Geometry, OtherParticle, Recipe
from milopyp_shared.scale import LARGEST, SMALLEST

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
    scale=st.floats(SMALLEST, LARGEST),
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
    halved = replace(RECIPE, scale=0.5)
    assert (halved.voxel_per_output, halved.suppression_distance) == ((4, 4, 4), RECIPE.suppression_distance)
    assert replace(halved, grey=Preprocessing("none"), scale=1.6).voxel_per_output == pytest.approx((0.625, 1.25, 1.25))


MEANT_BEFORE: dict[str, Any] = {  # of fields that a file of schema 1 may lack
    "architecture_options": {},
    "contrast": "dark",
    "voxel_size": None,
    "labels": {},
    "versions": {},
    "parity": {},
    "checkpoint_sha256": "",
    "flips": 1,
    "precision": "fp32",
    "order": None,
    "chunks": None,
    "calibration": None,
    "working_bytes": 400,
    "scale": 1.0,
    "tile_bytes": None,
    "levels": None,
    "others": (),
}
MEANT_IN_GREY: dict[str, Any] = {
    "pairing": "mean",
    "sigma": (0.4, 0.8, 0.8),
    "limits": (-4.0, 4.0),
    "stretch": False,
    "statistics": "moments",
}
OTHER = replace(
    RECIPE,
    contrast="bright",
    parity={"limit": 1e-4},
    checkpoint_sha256="ab",
    flips=4,
    precision="fp16",
    order="xzy",
    working_bytes=99,
    tile_bytes=55,
    scale=0.5,
    particle="ribosome",
    others=(OtherParticle("proteasome", 20.0, Threshold(0.2, "by hand"), {"TS_01": 3}),),
    grey=Preprocessing("max", (1.0, 1.0, 1.0), (-3.0, 3.0), stretch=True, statistics="quantiles"),
    threshold=replace(RECIPE.threshold, calibrated=True),
)


@pytest.mark.parametrize("field", MEANT_BEFORE)
def test_a_field_that_an_old_recipe_lacks_means_what_it_meant_then(field: str) -> None:
    content = json.loads(OTHER.to_json()) | {"schema": 1}
    del content[field]
    assert read(content) == replace(OTHER, **{field: MEANT_BEFORE[field]})


@pytest.mark.parametrize("field", MEANT_IN_GREY)
def test_a_field_that_a_part_of_an_old_recipe_lacks(field: str) -> None:
    content = json.loads(OTHER.to_json()) | {"schema": 1}
    del content["grey"][field], content["threshold"]["calibrated"]
    grey, threshold = replace(OTHER.grey, **{field: MEANT_IN_GREY[field]}), replace(OTHER.threshold, calibrated=False)
    assert read(content) == replace(OTHER, grey=grey, threshold=threshold)


def test_older_recipes_have_one_class_without_a_name() -> None:
    content = json.loads(OTHER.to_json()) | {"schema": 5}
    del content["particle"], content["others"]
    assert read(content) == replace(OTHER, particle="", others=())
    assert read(content).classes == (read(content),)


def test_each_class_is_a_recipe() -> None:
    first, second = OTHER.classes
    assert first == replace(OTHER, others=())
    facts = {"particle": "proteasome", "diameter": 20.0, "threshold": Threshold(0.2, "by hand"), "labels": {"TS_01": 3}}
    assert second == replace(first, **facts)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["ribo", "Ribo"], "the classes 'ribo' and 'Ribo'"),
        (["ribo", "ribo"], "two classes 'ribo'"),
        (["", "ribo"], "the class name ''"),
        (["../ribo"], "the class name '../ribo'"),
        (["a..b"], "the class name 'a..b'"),
        (["none"], "the class name 'none'"),
        (["r" * 61], f"the class name {'r' * 61!r}"),
    ],
)
def test_names_of_classes_that_could_not_stand_in_names_of_files(names: list[str], fault: str) -> None:
    first, *others = names
    content = json.loads(OTHER.to_json()) | {"particle": first}
    content["others"] = [content["others"][0] | {"particle": name} for name in others]
    with pytest.raises(InputError, match=re.escape(fault)):
        read(content)


def test_grey_levels_of_the_second_schema_are_made_of_moments() -> None:
    content = json.loads(OTHER.to_json()) | {"schema": 2}
    del content["grey"]["statistics"]
    assert read(content) == replace(OTHER, grey=replace(OTHER.grey, statistics="moments"))


def test_tomograms_of_the_second_schema_are_seen_as_they_are() -> None:
    content = json.loads(OTHER.to_json()) | {"schema": 2}
    del content["scale"]
    assert read(content) == replace(OTHER, scale=1.0)


def test_what_a_field_meant_is_not_today_s_default() -> None:
    """Should a default change, old files keep theirs."""

    @dataclass(frozen=True)
    class Tomorrow(Recipe):
        flips: int = 4

    content = stored(schema=1, flips=...)
    assert Tomorrow.from_json(json.dumps(content), "model.onnx").flips == 1


@pytest.mark.parametrize(
    "field", [*MEANT_BEFORE, *(f"grey__{name}" for name in MEANT_IN_GREY), "threshold__calibrated", "diameter"]
)
def test_a_recipe_of_this_schema_is_complete(field: str) -> None:
    with pytest.raises(InputError, match=rf"^model\.onnx: the recipe lacks {field.replace('__', '.')}; expected what"):
        read(stored(**{field: ...}))


@pytest.mark.parametrize("schema", [1, SCHEMA])
@pytest.mark.parametrize("field", ["colour", "grey__gamma", "threshold__spread", "geometry__z", "chunks__rows"])
def test_an_unknown_field_is_refused(field: str, schema: int) -> None:
    chunks = {"delay": 1, "multiple": 2, "states": [[1, 2, 3]]}
    content = stored(schema=schema, chunks=chunks)
    assert read(content).chunks == Chunks(1, 2, ((1, 2, 3),))
    place = content
    *parents, last = field.split("__")
    for parent in parents:
        place = place[parent]
    place[last] = 1
    with pytest.raises(InputError, match=rf"^model\.onnx: the recipe has an unknown field {field.replace('__', '.')};"):
        read(content)


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
        ('{"schema": true}', "has no schema number"),
        ('{"schema": 0}', "has no schema number"),
        ("[" * 100_000, "is no JSON"),
        ('{"schema": 1}', "lacks architecture"),
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
    with pytest.raises(InputError, match=r"the recipe lacks geometry\.alignment;"):
        read(stored(geometry__alignment=..., geometry__stride=...))


@pytest.mark.parametrize(
    ("field", "value", "path", "expected"),
    [
        ("architecture", None, "architecture", "str"),
        ("architecture", ["unet3d"], "architecture", "str"),
        ("diameter", "24", "diameter", "float"),
        ("diameter", True, "diameter", "float"),
        ("diameter", None, "diameter", "float"),
        ("diameter", 0.0, "diameter", "float > 0.0"),
        ("voxel_size", "13.48 A", "voxel_size", "float | null"),
        ("contrast", "grey", "contrast", "what milopyp writes there"),
        ("contrast", None, "contrast", "str"),
        ("labels", [30, 12], "labels", "object"),
        ("labels", {"TS_01": 30.5}, "labels[...]", "int"),
        ("labels", {"TS_01": True}, "labels[...]", "int"),
        ("versions", {"torch": 2.13}, "versions[...]", "str"),
        ("parity", {"max_difference": "small"}, "parity[...]", "float"),
        ("grey", None, "grey", "object"),
        ("grey__pairing", "median", "grey.pairing", "what milopyp writes there"),
        ("grey__pairing", ["mean"], "grey.pairing", "str"),
        ("grey__sigma", 0.8, "grey.sigma", "array"),
        ("grey__sigma", [0.8, 0.8], "grey.sigma", "array of length 3"),
        ("grey__sigma", [0.8, "0.8", 0.8], "grey.sigma[1]", "float"),
        ("grey__limits", [-4, 0, 4], "grey.limits", "array of length 2"),
        ("grey__stretch", 1, "grey.stretch", "bool"),
        ("grey__stretch", "false", "grey.stretch", "bool"),
        ("geometry", [[21, 44, 44], [4, 8, 8], [1, 2, 2]], "geometry", "object"),
        ("geometry__halo", [21.0, 44, 44], "geometry.halo[0]", "int"),
        ("geometry__halo", [21, 44], "geometry.halo", "array of length 3"),
        ("geometry__halo", [21, 44, -1], "geometry.halo[2]", "int >= 0"),
        ("geometry__alignment", [-4, 8, 8], "geometry.alignment[0]", "int >= 1"),
        ("geometry__stride", [1, 0, 2], "geometry.stride[1]", "int >= 1"),
        ("geometry__stride", {"z": 1, "y": 2, "x": 2}, "geometry.stride", "array"),
        ("threshold", 0.31, "threshold", "object"),
        ("threshold__score", "auto", "threshold.score", "float"),
        ("threshold__calibrated", 0, "threshold.calibrated", "bool"),
        ("scale", "half", "scale", "float"),
        ("scale", 0, "scale", "float >= 0.125"),
        ("scale", 100, "scale", "float <= 2.0"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(field: str, value: object, path: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read(stored(**{field: value}))
    assert (caught.value.where, caught.value.expected) == ("model.onnx", expected)
    assert caught.value.found.startswith(f"the recipe's {path} is ")


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


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e30, -(10**31)])
@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("diameter", "diameter"),
        ("voxel_size", "voxel_size"),
        ("threshold__score", "threshold.score"),
        ("grey__limits", "grey.limits[1]"),
        ("parity", "parity.limit"),
    ],
)
def test_numbers_that_are_of_no_use_are_refused(number: float, field: str, path: str) -> None:
    value = {"grey__limits": [-4.0, number], "parity": {"limit": number}}.get(field, number)
    with pytest.raises(
        InputError, match=rf"^model\.onnx: the recipe's {re.escape(path)} is .*; expected (a number|float)"
    ):
        read(stored(**{field: value}))


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
    content = json.loads(RECIPE.to_json()) | {"calibration": stored | table}
    with pytest.raises(InputError, match=r"^model\.onnx: the recipe's calibration is no table of rising scores"):
        read(content)
