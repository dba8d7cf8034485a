"""Pick formats: round trips through the inside frame, other programs' readers, and origins computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dynamotable
import imodmodel
import numpy as np
import pytest
import starfile
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from milopyp.commands.convert import FORMAT_WORDS
from milopyp_shared import axes
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats import copick, dynamo, eman, star
from milopyp_shared.formats.conventions import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.imod_header import Placement
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame

SIZES = {"xyz": (201, 300, 64), "xzy": (201, 64, 300)}  # file axes, fastest first; an odd one among them
WITHOUT_SCORES = ("txt", "ndjson")


def setting(order: str = "xyz", **changes: Any) -> FormatContext:
    size = SIZES[order]
    frame = Frame(order, size[::-1], (10.52,) * 3, Placement((10.52,) * 3, (-35.0, 20.0, 7.5)))
    given = {"size": size, "voxel_size": 10.52, "frame": frame, "coords": "model2point", "label": "TS_01"}
    return FormatContext(**{"order": order, **given, **changes})


def some_picks(count: int = 200, seed: int = 1) -> Picks:
    random = np.random.default_rng(seed)
    return Picks(random.uniform(-0.5, [200.5, 299.5, 63.5], (count, 3)), np.sort(random.uniform(0, 1, count))[::-1])


def write(name: str, path: Path, picks: Picks, how: FormatContext) -> Path:
    writer = FORMATS[name].write
    assert writer is not None
    writer(path, picks, how)
    return path


def file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def column(frame: Any, *names: str) -> Any:
    return frame[list(names)].to_numpy(dtype=float)


@pytest.mark.parametrize("order", SIZES)
@pytest.mark.parametrize("binning", [1.0, 4.0])
@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.write])
def test_round_trip(name: str, order: str, binning: float, tmp_path: Path) -> None:
    how, picks = setting(order, binning=binning), some_picks()
    back = FORMATS[name].read(write(name, tmp_path / "picks", picks, how), how)
    np.testing.assert_allclose(back.xyz, picks.xyz, atol=0.01)
    wanted = np.ones(len(picks)) if name in WITHOUT_SCORES else picks.score
    np.testing.assert_allclose(back.score, wanted, atol=1e-6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=arrays(np.float64, (3, 3), elements=st.floats(-0.5, 60, width=32)),
    name=st.sampled_from([name for name, row in FORMATS.items() if row.write]),
    order=st.sampled_from(["xyz", "xzy"]),
    voxel_size=st.floats(0.5, 40),
    zero=st.sampled_from([0, 1]),
)
def test_any_points_come_back(points: Any, name: str, order: str, voxel_size: float, zero: int, tmp_path: Path) -> None:
    assume(points.min() < 0 or points.max() > 1)  # else a STAR file reads as normalised
    how = setting(order, voxel_size=voxel_size, dynamo_zero=zero)
    picks = Picks(points, np.array([0.9, 0.5, 0.5]))
    back = FORMATS[name].read(write(name, tmp_path / "picks", picks, how), how)
    np.testing.assert_allclose(back.xyz, picks.xyz, atol=0.01)


def test_all_formats_are_in_the_help() -> None:
    assert tuple(FORMATS) == FORMAT_WORDS


# ---------------------------------------------------------------- read back by independent readers


@pytest.mark.parametrize("order", SIZES)
@pytest.mark.parametrize("name", ["relion4", "relion5", "warp"])
def test_star_as_starfile_reads_it(name: str, order: str, tmp_path: Path) -> None:
    how, picks = setting(order, binning=4.0), some_picks()
    path = write(name, tmp_path / "a.star", picks, how)
    blocks = starfile.read(path, always_dict=True)
    assert list(blocks) == ["" if name == "warp" else "particles"]
    table = next(iter(blocks.values()))
    columns = axes.xyz_to_columns(picks.xyz, order)
    if name == "relion5":
        found = column(table, *(f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"))
        np.testing.assert_allclose(found / 10.52 + np.array(SIZES[order]) / 2, columns, atol=1e-6)
    else:
        found = column(table, *(f"rlnCoordinate{axis}" for axis in "XYZ"))
        np.testing.assert_allclose(found / 4, columns, atol=1e-6)
    label, value = ("rlnMicrographName", "TS_01.tomostar") if name == "warp" else ("rlnTomoName", "TS_01")
    assert set(table[label]) == {value}
    np.testing.assert_allclose(table["rlnAutopickFigureOfMerit"], picks.score, atol=1e-6)


@pytest.mark.parametrize("zero", [0, 1])
def test_table_as_dynamotable_reads_it(zero: int, tmp_path: Path) -> None:
    picks = some_picks()
    path = write("tbl", tmp_path / "a.tbl", picks, setting(dynamo_zero=zero, dynamo_tomogram=7))
    table = dynamotable.read(str(path))
    np.testing.assert_allclose(column(table, "x", "y", "z") - zero, picks.xyz, atol=1e-3)
    np.testing.assert_allclose(table["cc"], picks.score, atol=1e-6)
    assert set(table["tomo"]) == {7}
    assert table["tag"].tolist() == list(range(1, len(picks) + 1))
    assert not column(table, "dx", "dy", "dz").any()


@pytest.mark.parametrize("order", SIZES)
def test_model_as_imodmodel_reads_it(order: str, tmp_path: Path) -> None:
    picks = some_picks()
    path = write("mod", tmp_path / "a.mod", picks, setting(order))
    found = column(imodmodel.read(path), "x", "y", "z")
    np.testing.assert_allclose(found - [0.5, 0.5, 0.0], axes.xyz_to_columns(picks.xyz, order), atol=1e-4)


def test_copick_has_its_documented_keys(tmp_path: Path) -> None:
    picks = some_picks(3)
    content = json.loads(write("copick", tmp_path / "a.json", picks, setting(particle="ribosome")).read_text())
    points = content.pop("points")
    assert content == {
        "pickable_object_name": "ribosome",
        "user_id": "milopyp",
        "session_id": "1",
        "run_name": "TS_01",
        "voxel_spacing": 10.52,
        "unit": "angstrom",
        "trust_orientation": False,
    }
    for point, xyz, score in zip(points, picks.xyz, picks.score, strict=True):
        assert set(point) == {"location", "transformation_", "instance_id", "score"}
        np.testing.assert_allclose([point["location"][axis] for axis in "xyz"], xyz * 10.52, atol=1e-4)
        np.testing.assert_array_equal(point["transformation_"], np.eye(4))
        assert point["score"] == score


def test_ndjson_has_a_point_per_line(tmp_path: Path) -> None:
    picks = some_picks(3)
    lines = write("ndjson", tmp_path / "a.ndjson", picks, setting()).read_text().splitlines()
    for line, xyz in zip(lines, picks.xyz, strict=True):
        point = json.loads(line)
        assert set(point) == {"type", "location"}
        assert point["type"] == "point"
        np.testing.assert_allclose([point["location"][axis] for axis in "xyz"], xyz, atol=1e-4)


def test_starfile_writes_what_is_read(tmp_path: Path) -> None:
    import pandas as pd

    xyz = some_picks(5).xyz
    table = pd.DataFrame({f"rlnCoordinate{axis}": xyz[:, index] for index, axis in enumerate("XYZ")})
    table["rlnMicrographName"] = "a name.mrc"
    path = tmp_path / "a.star"
    starfile.write({"optics": pd.DataFrame({"rlnOpticsGroup": [1]}), "particles": table}, path)
    particles = star.read_particles(path, star.VOXELS)
    assert particles.name == "a name"
    np.testing.assert_allclose(particles.xyz, xyz, atol=1e-5)


def test_dynamotable_writes_what_is_read(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"x": [11.0], "y": [21.0], "z": [31.0], "dx": [0.5], "cc": [0.25], "tomo": [4]})
    dynamotable.write(table, str(tmp_path / "a.tbl"))
    picks = FORMATS["tbl"].read(tmp_path / "a.tbl", setting(dynamo_tomogram=4))
    assert picks.xyz.tolist() == [[10.5, 20, 30]]
    assert picks.score.tolist() == [0.25]


# ---------------------------------------------------------------- origins, computed by hand


RELION5 = """
data_particles

loop_
_rlnTomoName #1
_rlnCenteredCoordinateXAngst #2
_rlnCenteredCoordinateYAngst #3
_rlnCenteredCoordinateZAngst #4
_rlnOriginXAngst #5
TS_01 0.0 -20.0 30.0 0.0
TS_01 5.0 10.0 -40.0 20.0
"""
RELION3 = """data_
loop_
_rlnMicrographName
_rlnCoordinateX
_rlnCoordinateY
_rlnCoordinateZ
_rlnOriginX
"folder/TS 1.mrc"  40 80 # the second one follows
"""


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
    labels = [*star.CENTRED, "rlnOriginXAngst", "rlnOriginZAngst", *SUBTOMOGRAM]
    path = table_of(tmp_path / "a.star", labels, [[0, 0, 0, 0, 20, 0, 90, 0], [0, 0, 0, 30, 0, 0, 90, 0]])
    picks = FORMATS["relion5"].read(path, setting(size=(100, 60, 40), voxel_size=10.0))
    np.testing.assert_allclose(picks.xyz, [[52, 30, 20], [50, 30, 17]], atol=1e-9)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shift=arrays(np.float64, 3, elements=st.floats(-50, 50)),
    angles=arrays(np.float64, 3, elements=st.floats(-180, 180)),
    voxels=st.booleans(),
)
def test_shifts_of_turned_pseudo_subtomograms(shift: Any, angles: Any, voxels: bool, tmp_path: Path) -> None:
    """As scipy turns: RELION's matrix is the inverse of its angles taken as intrinsic z, y, z."""
    from scipy.spatial.transform import Rotation

    labels = [*star.VOXELS, *(f"rlnOrigin{axis}{'' if voxels else 'Angst'}" for axis in "XYZ"), *SUBTOMOGRAM]
    path = table_of(tmp_path / "a.star", labels, [[90, 80, 70, *shift, *angles]])
    picks = FORMATS["relion4"].read(path, setting(voxel_size=10.0))
    turned = Rotation.from_euler("ZYZ", angles, degrees=True).inv().apply(shift)
    np.testing.assert_allclose(picks.xyz, [np.array([90, 80, 70]) - (turned if voxels else turned / 10)], atol=1e-9)


@pytest.mark.parametrize("name", ["relion4", "warp"])
@pytest.mark.parametrize("binning", [1.0, 4.0])
def test_normalised_coordinates_count_sizes(name: str, binning: float, tmp_path: Path) -> None:
    """WarpTools' template matching writes 0..1 (ts_export_particles --normalized_coords); the size: 200 x 100 x 50."""
    rows = [[0.25, 0.5, 0.9, "a.tomostar"], [1, 0, 0.1, "b.tomostar"]]
    path = table_of(tmp_path / "a.star", [*star.VOXELS, star.MICROGRAPH], rows)
    how = setting(size=(200, 100, 50), binning=binning)
    assert FORMATS[name].read(path, replace(how, name="a")).xyz.tolist() == [[50, 50, 45]]
    assert FORMATS[name].read(path, replace(how, name="b")).xyz.tolist() == [[200, 0, 5]]
    with pytest.raises(UsageError, match="--tomogram FILE or --shape X Y Z"):
        FORMATS[name].read(path, replace(how, name="a", size=None))
    rows[1][2] = 1.5  # no longer all of the file
    table_of(path, [*star.VOXELS, star.MICROGRAPH], rows)
    assert FORMATS[name].read(path, replace(how, name="a", binning=1.0)).xyz.tolist() == [[0.25, 0.5, 0.9]]


@pytest.mark.parametrize(
    ("words", "scores"), [(["-999.0", "-999"], [1, 1]), (["0", "0.0"], [1, 1]), (["-999", "0.5"], [1, 0.5])]
)
def test_scores_that_are_none(words: list[str], scores: list[float], tmp_path: Path) -> None:
    """RELION writes -999 for a figure that it does not know; programs without one write zeros."""
    path = table_of(tmp_path / "a.star", [*star.VOXELS, star.SCORE], [[10, 20, 30, word] for word in words])
    assert FORMATS["relion4"].read(path, setting()).score.tolist() == scores


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
    """The location alone counts, although the matrix repeats it; the file's spacing where no other is known."""
    matrix = [[1, 0, 0, 20], [0, 1, 0, 40], [0, 0, 1, 60], [0, 0, 0, 1]]
    points = [
        {"location": {"x": 20, "y": 40, "z": 60}, "transformation_": matrix},
        {"location": {"x": 0, "y": 5.0, "z": 10}, "score": 0.5},
    ]
    content = json.dumps({"points": points, "voxel_spacing": 10, "unit": "angstrom"})
    path = file(tmp_path / "a.json", content)
    picks = FORMATS["copick"].read(path, setting(voxel_size=None))
    assert picks.xyz.tolist() == [[2, 4, 6], [0, 0.5, 1]]
    assert picks.score.tolist() == [1, 0.5]
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


# ---------------------------------------------------------------- real files


@pytest.mark.parametrize("name", ["particles", "run_data"])
def test_real_relion5_file_as_starfile_reads_it(name: str, reference: Path) -> None:
    path = reference / "data" / "real" / f"cylindra_relion5_{name}.star"
    blocks = starfile.read(path, always_dict=True)
    table = blocks["particles"]
    for tomogram, rows in table.groupby("rlnTomoName"):
        particles = star.read_particles(path, star.CENTRED, str(tomogram))
        assert (particles.xyz == column(rows, *star.CENTRED)).all()
        if "rlnOriginXAngst" in table:
            assert (particles.origin_angstrom == column(rows, *(f"rlnOrigin{axis}Angst" for axis in "XYZ"))).all()


def test_real_relion5_points_lie_on_the_axis(reference: Path) -> None:
    """The decoded points that were checked by overlay, size 94 x 206 x 36 and 10.52 A."""
    folder = reference / "data" / "real"
    rows = [line.split() for line in (folder / "13pf_MT_axis_points_xyz_px.txt").read_text().splitlines()]
    wanted = np.array([row[:3] for row in rows if row[-1] == "relion5"], dtype=float)
    how = setting(size=(94, 206, 36), name="TS_01")
    picks = FORMATS["relion5"].read(folder / "cylindra_relion5_particles.star", how)
    np.testing.assert_allclose(picks.xyz, wanted, atol=2e-3)


def test_real_relion3_file_as_starfile_reads_it(reference: Path) -> None:
    path = reference / "data" / "real" / "pyseg_relion3_particles.star"
    table = starfile.read(path)
    names = table["rlnMicrographName"].unique()
    with pytest.raises(UsageError, match="--name") if len(names) > 1 else pytest.raises(InputError):
        star.read_particles(path, star.VOXELS, None if len(names) > 1 else "no such name")
    for name in names:
        rows = table[table["rlnMicrographName"] == name]
        particles = star.read_particles(path, star.VOXELS, name.removesuffix(".mrc"))
        assert (particles.xyz == column(rows, *star.VOXELS)).all()
        assert (particles.origin_voxels == column(rows, *(f"rlnOrigin{axis}" for axis in "XYZ"))).all()


def test_real_dynamo_table_as_dynamotable_reads_it(reference: Path) -> None:
    path = reference / "data" / "real" / "dynamo_t_complex_first12.tbl"
    table, wanted = dynamo.read_table(path), dynamotable.read(str(path))
    assert (table.xyz == column(wanted, "x", "y", "z")).all()
    assert (table.shift == column(wanted, "dx", "dy", "dz")).all()
    assert (table.cc == column(wanted, "cc")[:, 0]).all()


# ---------------------------------------------------------------- what is tolerated, and what is not


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
        ("data_a\nloop_\n_a\n_b\n1\n", "line 5: 1 values for 2 labels"),
        (RELION3.replace("40 80 #", "40 80 nan 1 #"), "line 8, rlnCoordinateZ: 'nan'"),
        (RELION5, "It has rlnCenteredCoordinateXAngst: give --from relion5"),
    ],
)
def test_bad_star(content: str, message: str, tmp_path: Path) -> None:
    path = file(tmp_path / "a.star", content)
    with pytest.raises(InputError, match=message):
        star.read_particles(path, star.VOXELS)


@pytest.mark.parametrize(
    ("word", "number"), [("0+1.2e-06i", 0.0), ("-1.5e2-0.0001i", -150.0), ("1+2i", None), ("i", None), ("1+1e-9", None)]
)
def test_complex_numbers_of_matlab(word: str, number: float | None, tmp_path: Path) -> None:
    words = ["0"] * 35
    words[9] = word
    path = file(tmp_path / "a.tbl", " ".join(words))
    if number is None:
        with pytest.raises(InputError, match="line 1"):
            dynamo.read_table(path)
    else:
        assert dynamo.read_table(path).cc.tolist() == [number]


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
        ([[1, 2, 3, "tm", 1, 0], [1, 2, 3, "tm", 1, 1]], "boxes of 2 classes"),
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
