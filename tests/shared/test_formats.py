"""Pick formats: round trips through the inside frame, other programs' readers, and origins computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dynamotable
import imodmodel
import numpy as np
import pytest
import starfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from format_toys import SIZES, column, setting, some_picks, write
from milopyp.commands.convert import FORMAT_WORDS
from milopyp_shared import axes
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.formats import dynamo, relion
from milopyp_shared.formats.registry import FORMATS, format_of
from milopyp_shared.names import only
from milopyp_shared.picks import Picks

WITHOUT_SCORES = ("txt", "ndjson")


@pytest.mark.parametrize("order", SIZES)
@pytest.mark.parametrize("binning", [1.0, 4.0])
@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.write])
def test_round_trip(name: str, order: str, binning: float, tmp_path: Path) -> None:
    how, picks = setting(order, binning=binning), some_picks()
    back = FORMATS[name].read(write(name, tmp_path / "picks", picks, how), how)
    np.testing.assert_allclose(back.xyz, picks.xyz, atol=0.01)
    wanted = np.ones(len(picks)) if name in WITHOUT_SCORES else picks.score
    np.testing.assert_allclose(back.score, wanted, atol=1e-6)


@settings(max_examples=20)
@given(
    points=arrays(np.float64, (3, 3), elements=st.floats(-0.5, 60, width=32)),
    name=st.sampled_from([name for name, row in FORMATS.items() if row.write]),
    order=st.sampled_from(["xyz", "xzy"]),
    voxel_size=st.floats(0.5, 40),
    zero=st.sampled_from([0, 1]),
)
def test_any_points_come_back(points: Any, name: str, order: str, voxel_size: float, zero: int, tmp_path: Path) -> None:
    assume(points.max() > 3)  # else a STAR file reads as normalised, or as what is not quite that
    how = setting(order, voxel_size=voxel_size, dynamo_zero=zero)
    picks = Picks(points, np.array([0.9, 0.5, 0.5]))
    back = FORMATS[name].read(write(name, tmp_path / "picks", picks, how), how)
    np.testing.assert_allclose(back.xyz, picks.xyz, atol=0.01)


def test_formats_of_one_suffix_are_told_by_what_the_file_holds(tmp_path: Path) -> None:
    for word in ("relion4", "relion5", "warp", "copick"):
        path = tmp_path / f"{word}{FORMATS[word].suffixes[0]}"
        write(word, path, some_picks(), setting("xyz"))
        assert format_of(path, None, "--from") == word
    (tmp_path / "info.json").write_text('{"boxes_3d": []}')
    assert format_of(tmp_path / "info.json", None, "--from") == "eman"
    both = "".join(f"_{label}\n" for label in (*relion.VOXELS, *relion.CENTRED))
    for name, content in (("both.star", f"data_\nloop_\n{both}1 2 3 4 5 6\n"), ("neither.json", "{}")):
        (tmp_path / name).write_text(content)
        with pytest.raises(UsageError, match="can be"):
            format_of(tmp_path / name, None, "--from")


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
        "session_id": "0",
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
    [particles] = relion.read_all_particles(path, relion.VOXELS).values()
    assert particles.name == "a name"
    np.testing.assert_allclose(particles.xyz, xyz, atol=1e-5)


def test_dynamotable_writes_what_is_read(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"x": [11.0], "y": [21.0], "z": [31.0], "dx": [0.5], "cc": [0.25], "tomo": [4]})
    dynamotable.write(table, str(tmp_path / "a.tbl"))
    picks = FORMATS["tbl"].read(tmp_path / "a.tbl", setting(dynamo_tomogram=4))
    assert picks.xyz.tolist() == [[10.5, 20, 30]]
    assert picks.score.tolist() == [0.25]


# ---------------------------------------------------------------- real files


@pytest.mark.parametrize("name", ["particles", "run_data"])
def test_real_relion5_file_as_starfile_reads_it(name: str, reference: Path) -> None:
    path = reference / "data" / "real" / f"cylindra_relion5_{name}.star"
    blocks = starfile.read(path, always_dict=True)
    table = blocks["particles"]
    for tomogram, rows in table.groupby("rlnTomoName"):
        particles = only(relion.read_all_particles(path, relion.CENTRED), str(tomogram), path)
        assert (particles.xyz == column(rows, *relion.CENTRED)).all()
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
        only(relion.read_all_particles(path, relion.VOXELS), None if len(names) > 1 else "no such name", path)
    for name in names:
        rows = table[table["rlnMicrographName"] == name]
        particles = only(relion.read_all_particles(path, relion.VOXELS), name.removesuffix(".mrc"), path)
        assert (particles.xyz == column(rows, *relion.VOXELS)).all()
        assert (particles.origin_voxels == column(rows, *(f"rlnOrigin{axis}" for axis in "XYZ"))).all()


def test_real_dynamo_table_as_dynamotable_reads_it(reference: Path) -> None:
    path = reference / "data" / "real" / "dynamo_t_complex_first12.tbl"
    table, wanted = dynamo.read_tables(path)[None], dynamotable.read(str(path))
    assert (table.xyz == column(wanted, "x", "y", "z")).all()
    assert (table.shift == column(wanted, "dx", "dy", "dz")).all()
    assert (table.cc == column(wanted, "cc")[:, 0]).all()
