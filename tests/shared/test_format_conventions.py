"""Pick formats: where each one has its zero, its unit and its shifts, computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from format_toys import RELION3, RELION5, file, setting
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats import relion
from milopyp_shared.formats.registry import FORMATS


def test_relion5_counts_from_the_centre(tmp_path: Path) -> None:
    """Size 100 x 60 x 41 and 10 A: the centre is 50, 30, 20.5; a shift of 20 A is subtracted."""
    how = setting(size=(100, 60, 41), voxel_size=10.0)
    picks = FORMATS["relion5"].read(file(tmp_path / "a.star", RELION5), how)
    assert picks.xyz.tolist() == [[50, 28, 23.5], [48.5, 31, 16.5]]
    # the tomogram's file has y and z exchanged: its y is the thickness
    picks = FORMATS["relion5"].read(tmp_path / "a.star", replace(how, order="xzy", size=(100, 41, 60)))
    assert picks.xyz.tolist() == [[50, 33, 18.5], [48.5, 26, 21.5]]


def test_voxels_count_from_the_first_centre(tmp_path: Path) -> None:
    content = RELION3.replace("40 80 # the second one follows", "40 80 120 2")
    for name in ("relion4", "warp"):
        picks = FORMATS[name].read(file(tmp_path / "a.star", content), setting(binning=4.0, name="TS 1"))
        assert picks.xyz.tolist() == [[9.5, 20, 30]]
        assert picks.score.tolist() == [1]


@pytest.mark.parametrize(("label", "score"), [("rlnAutopickFigureOfMerit", 2), ("rlnLCCmax", 2), ("rlnOther", 1)])
def test_scores_of_star_files(label: str, score: float, tmp_path: Path) -> None:
    content = RELION3.replace("rlnOriginX", label).replace("40 80 # the second one follows", "40 80 120 2")
    assert FORMATS["relion4"].read(file(tmp_path / "a.star", content), setting()).score.tolist() == [score]


def test_shifts_in_angstrom_need_the_voxel_size(tmp_path: Path) -> None:
    """Voxels of 10 A, four times those of the coordinates: a shift of 5 A is two of these."""
    content = RELION3.replace("OriginX", "OriginXAngst").replace("40 80 # the second one follows", "40 80 120 5")
    path = file(tmp_path / "a.star", content)
    picks = FORMATS["relion4"].read(path, setting(binning=4.0, voxel_size=10.0))
    assert picks.xyz.tolist() == [[9.5, 20, 30]]
    with pytest.raises(UsageError, match="--voxel-size"):
        FORMATS["relion4"].read(path, setting(voxel_size=None))


SUBTOMOGRAM = ["rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi"]


def table_of(path: Path, labels: list[str], rows: Any) -> Path:
    lines = ["data_particles", "loop_", *(f"_{label}" for label in labels), *(" ".join(map(str, row)) for row in rows)]
    return file(path, "\n".join(lines) + "\n")


def test_shifts_of_turned_pseudo_subtomograms_by_hand(tmp_path: Path) -> None:
    """A turn by 90 about y: the subtomogram's x lies along the tomogram's z, its z along -x (RELION's anglesToMatrix3).

    Its shift of 20 A along z is -20 A along x, subtracted: two voxels of 10 A further on.
    """
    labels = [*relion.CENTRED, "rlnOriginXAngst", "rlnOriginZAngst", *SUBTOMOGRAM]
    path = table_of(tmp_path / "a.star", labels, [[0, 0, 0, 0, 20, 0, 90, 0], [0, 0, 0, 30, 0, 0, 90, 0]])
    picks = FORMATS["relion5"].read(path, setting(size=(100, 60, 40), voxel_size=10.0))
    np.testing.assert_allclose(picks.xyz, [[52, 30, 20], [50, 30, 17]], atol=1e-9)


@settings(max_examples=30)
@given(
    shift=arrays(np.float64, 3, elements=st.floats(-50, 50)),
    angles=arrays(np.float64, 3, elements=st.floats(-180, 180)),
    voxels=st.booleans(),
)
def test_shifts_of_turned_pseudo_subtomograms(shift: Any, angles: Any, voxels: bool, tmp_path: Path) -> None:
    """As scipy turns: RELION's matrix is the inverse of its angles taken as intrinsic z, y, z."""
    from scipy.spatial.transform import Rotation

    labels = [*relion.VOXELS, *(f"rlnOrigin{axis}{'' if voxels else 'Angst'}" for axis in "XYZ"), *SUBTOMOGRAM]
    path = table_of(tmp_path / "a.star", labels, [[90, 80, 70, *shift, *angles]])
    picks = FORMATS["relion4"].read(path, setting(voxel_size=10.0))
    turned = Rotation.from_euler("ZYZ", angles, degrees=True).inv().apply(shift)
    np.testing.assert_allclose(picks.xyz, [np.array([90, 80, 70]) - (turned if voxels else turned / 10)], atol=1e-9)


@pytest.mark.parametrize("name", ["relion4", "warp"])
@pytest.mark.parametrize("binning", [1.0, 4.0])
def test_normalised_coordinates_count_sizes(name: str, binning: float, tmp_path: Path) -> None:
    """WarpTools' template matching writes 0..1 (ts_export_particles --normalized_coords); the size: 200 x 100 x 50."""
    rows = [[0.25, 0.5, 0.9, "a.tomostar"], [1, 0, 0.1, "b.tomostar"]]
    path = table_of(tmp_path / "a.star", [*relion.VOXELS, relion.MICROGRAPH], rows)
    how = setting(size=(200, 100, 50), binning=binning)
    assert FORMATS[name].read(path, replace(how, name="a")).xyz.tolist() == [[50, 50, 45]]
    assert FORMATS[name].read(path, replace(how, name="b")).xyz.tolist() == [[200, 0, 5]]
    with pytest.raises(UsageError, match="--tomogram FILE or --shape X Y Z"):
        FORMATS[name].read(path, replace(how, name="a", size=None))
    rows[1][2] = 1.5  # nobody has all particles in the first two voxels
    table_of(path, [*relion.VOXELS, relion.MICROGRAPH], rows)
    with pytest.raises(InputError, match=r"coordinates of 0 to 1\.5.*voxels, or all of them in 0\.\.1"):
        FORMATS[name].read(path, replace(how, name="a"))
    rows[1][2] = 2.5  # no longer all of the file
    table_of(path, [*relion.VOXELS, relion.MICROGRAPH], rows)
    assert FORMATS[name].read(path, replace(how, name="a", binning=1.0)).xyz.tolist() == [[0.25, 0.5, 0.9]]


@pytest.mark.parametrize(
    ("words", "scores"), [(["-999.0", "-999"], [1, 1]), (["0", "0.0"], [1, 1]), (["-999", "0.5"], [1, 0.5])]
)
def test_scores_that_are_none(words: list[str], scores: list[float], tmp_path: Path) -> None:
    """RELION writes -999 for a figure that it does not know; programs without one write zeros."""
    path = table_of(tmp_path / "a.star", [*relion.VOXELS, relion.SCORE], [[10, 20, 30, word] for word in words])
    assert FORMATS["relion4"].read(path, setting()).score.tolist() == scores


@pytest.mark.parametrize(
    ("told", "scores"),
    [
        (["NaN", "NaN"], [1, 1]),
        (["null", "NaN"], [1, 1]),
        (["NaN", "0.5"], [1, 0.5]),
        (["0.9", "0.5"], [0.9, 0.5]),
        (["0.0", "NaN"], [1, 1]),
    ],
)
def test_scores_that_copick_does_not_know(told: list[str], scores: list[float], tmp_path: Path) -> None:
    """Null, or NaN where a program has put its table into JSON as it is; what is not there at all is none, too."""
    points = ",".join(f'{{"location": {{"x": 10, "y": 20, "z": 30}}, "score": {word}}}' for word in told)
    path = file(tmp_path / "a.json", f'{{"points": [{points}], "voxel_spacing": 10}}')
    assert FORMATS["copick"].read(path, setting()).score.tolist() == scores
    path.write_text(path.read_text().replace(', "score": NaN', "").replace(', "score": null', ""))
    assert FORMATS["copick"].read(path, setting()).score.tolist() == scores


@pytest.mark.parametrize(("zero", "wanted"), [(1, [10.5, 20, 29]), (0, [11.5, 21, 30])])
def test_dynamo_adds_shifts(zero: int, wanted: list[float], tmp_path: Path) -> None:
    words = ["0"] * 35
    words[3], words[5], words[23], words[24], words[25] = "0.5", "-1", "11", "21", "31"
    path = file(tmp_path / "a.tbl", " ".join(words) + "\n")
    assert FORMATS["tbl"].read(path, setting(dynamo_zero=zero)).xyz.tolist() == [wanted]


@pytest.mark.parametrize(("coords", "wanted"), [("voxel", [[10, 3, 2]]), ("model2point", [[9.5, 3, 1.5]])])
def test_text_counts_along_the_file(coords: str, wanted: list[list[float]], tmp_path: Path) -> None:
    path = file(tmp_path / "a.txt", "10 2 3\n")
    assert FORMATS["txt"].read(path, setting("xzy", coords=coords)).xyz.tolist() == wanted
    scored = FORMATS["txt"].read(file(path, "1 2 3 0.5\n"), setting(with_score=True))
    assert scored.score.tolist() == [0.5]


def test_copick_is_in_angstrom(tmp_path: Path) -> None:
    """A location that the matrix repeats counts once, a shift in it is added; the file's spacing where no other is."""
    matrix = [[1, 0, 0, 20], [0, 1, 0, 40], [0, 0, 1, 60], [0, 0, 0, 1]]
    points = [
        {"location": {"x": 20, "y": 40, "z": 60}, "transformation_": matrix},
        {"location": {"x": 0, "y": 5.0, "z": 10}, "score": 0.5},
        {"location": {"x": 10, "y": 0, "z": 0}, "transformation_": matrix, "score": 0.25},
    ]
    content = json.dumps({"points": points, "voxel_spacing": 10, "unit": "angstrom"})
    path = file(tmp_path / "a.json", content)
    picks = FORMATS["copick"].read(path, setting(voxel_size=None))
    assert picks.xyz.tolist() == [[2, 4, 6], [0, 0.5, 1], [3, 4, 6]]
    assert picks.score.tolist() == [1, 0.5, 0.25]
    assert FORMATS["copick"].read(path, setting(voxel_size=20.0)).xyz[0].tolist() == [1, 2, 3]


def test_ndjson_without_a_last_line_end(tmp_path: Path) -> None:
    lines = [
        '{"type": "orientedPoint", "location": {"x": 8, "y": 12.0, "z": 16}, "xyz_rotation_matrix": [[1, 0, 0]]}',
        '{"type": "point", "location": {"x": 0, "y": 4, "z": 2}}',
    ]
    picks = FORMATS["ndjson"].read(file(tmp_path / "a.ndjson", "\n".join(lines)), setting(binning=4.0))
    assert picks.xyz.tolist() == [[2, 3, 4], [0, 1, 0.5]]


def test_eman_counts_from_the_centre_voxel(tmp_path: Path) -> None:
    """Boxes in voxels of 2.5 A, the tomogram's are 10 A: 40 are 10, from 100 // 2, 61 // 2, 40 // 2."""
    boxes = [[40, -8, 0, "manual", 0.0, 0], [0, 0, 4.0, "tm", 3.5, 0]]
    path = file(tmp_path / "a.json", json.dumps({"apix_unbin": 2.5, "boxes_3d": boxes}))
    picks = FORMATS["eman"].read(path, setting(size=(100, 61, 40), voxel_size=10.0))
    assert picks.xyz.tolist() == [[50, 30, 21], [60, 28, 20]]
    assert picks.score.tolist() == [3.5, 1]
    old = file(tmp_path / "old.json", json.dumps({"boxes_3d": [[1, 2, 3]]}))
    assert FORMATS["eman"].read(old, setting(size=None, voxel_size=None)).xyz.tolist() == [[1, 2, 3]]
