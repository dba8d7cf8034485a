"""Pick formats: what files may hold, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from format_toys import RELION3, RELION5, file, setting
from milopyp_shared.errors import InputError
from milopyp_shared.formats import copick, dynamo, eman, relion, star
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.picks import Picks


def test_star_blocks_values_and_comments(tmp_path: Path) -> None:
    content = (
        "# version 30001\n\ndata_general\n_rlnTomoName 'a b' # c\n_rlnX\t2\n\n"
        "data_t\nloop_ \n_a #1\n\n_b\n\n1 x#y\n\n2 z\n"
    )
    blocks = star.read_star(file(tmp_path / "a.star", content))
    assert (blocks["general"].labels, blocks["general"].rows) == (["rlnTomoName", "rlnX"], [["a b", "2"]])
    assert blocks["t"].rows == [["1", "x#y"], ["2", "z"]]
    assert blocks["t"].numbers(["a", "missing"]).tolist() == [[1, 0], [2, 0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no block"),
        ("1 2 3\n", "line 1: '1 2 3' before the first block"),
        ("data_a\nloop_\n_a\n1\nloop_\n_b\n", "line 5: a second table in one block"),
        ("data_a\n_a 1\ndata_a\n", "line 3: a second block"),
        ("data_a\n_a\n", "line 2: '_a'"),
        ("data_a\nloop_\n_a\n_b\n1\n", "line 5: 1 value for 2 labels"),
        (RELION3.replace("40 80 #", "40 80 nan 1 #"), "line 8, rlnCoordinateZ: 'nan'"),
        (RELION5, "It has rlnCenteredCoordinateXAngst: give --from relion5"),
    ],
)
def test_bad_star(content: str, message: str, tmp_path: Path) -> None:
    path = file(tmp_path / "a.star", content)
    with pytest.raises(InputError, match=message):
        relion.read_all_particles(path, relion.VOXELS)


@pytest.mark.parametrize(
    ("word", "number"), [("0+1.2e-06i", 0.0), ("-1.5e2-0.0001i", -150.0), ("1+2i", None), ("i", None), ("1+1e-9", None)]
)
def test_complex_numbers_of_matlab(word: str, number: float | None, tmp_path: Path) -> None:
    words = ["0"] * 35
    words[9] = word
    path = file(tmp_path / "a.tbl", " ".join(words))
    if number is None:
        with pytest.raises(InputError, match="line 1"):
            dynamo.read_tables(path)
    else:
        assert dynamo.read_tables(path)[None].cc.tolist() == [number]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "holds a JSON list"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"points": {}}', "has no 'points'"),
        ('{"points": [{}], "unit": "nm"}', 'unit "nm"'),
        ('{"points": [{"location": 1}]}', "point 0: has no 'location'"),
        ('{"points": [{"location": {"x": 1, "y": true, "z": 2}}]}', "location y: true"),
        ('{"points": [{"location": {"x": 1, "y": 1e999, "z": 2}}]}', "location y: Infinity"),
        ('{"points": [{"location": {"x": 1, "y": 2}}]}', "location z: null"),
        ('{"points": [{"location": {"x": 1, "y": 2, "z": 3}}], "voxel_spacing": 0}', "voxel_spacing 0"),
        ('{"points": [{"location": {"x": 1, "y": NaN, "z": 3}}]}', "location y: NaN"),
        ('{"points": [{"location": {"x": 1, "y": 2, "z": 3}, "score": Infinity}]}', "score: Infinity"),
        ('{"points": [{"location": {"x": 1, "y": 2, "z": 3}, "score": "NaN"}]}', 'score: "NaN"'),
        (f'{{"points": [{{"location": {{"x": 1{"0" * 400}, "y": 2, "z": 3}}}}]}}', "location x: 1000"),
    ],
)
def test_bad_copick(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        copick.read_copick(file(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2]], "box 0: is no box"),
        ([[1, 2, "3"]], 'box 0: "3"'),
        ([[1, 2, 3, "tm", 1, 0], [1, 2, 3, "tm", 1, 1]], r"boxes of several classes: 0 \(1\), 1 \(1\)"),
        ({}, "has no 'boxes_3d'"),
    ],
)
def test_bad_eman(boxes: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        eman.read_boxes(file(tmp_path / "a.json", json.dumps({"boxes_3d": boxes})))


@pytest.mark.parametrize(
    ("word", "content"),
    [
        ("relion4", "data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnCoordinateZ\n"),
        ("copick", '{"points": []}'),
        ("copick", '{"points": null}'),
        ("eman", '{"boxes_3d": []}'),
        ("txt", ""),
        ("txt", "# only a comment\n\n"),
        ("tbl", ""),
        ("ndjson", ""),
        ("csv", "x,y,z,score\n"),
    ],
)
def test_a_file_may_hold_no_picks(word: str, content: str, tmp_path: Path) -> None:
    assert FORMATS[word].read(file(tmp_path / "a", content), setting()).xyz.shape == (0, 3)


def test_no_picks_are_written_and_read_back(tmp_path: Path) -> None:
    nothing = Picks(np.empty((0, 3)), np.empty(0))
    for word, row in FORMATS.items():
        if row.write is not None:
            row.write(tmp_path / word, nothing, setting())
            assert len(row.read(tmp_path / word, setting())) == 0, word
