"""Heat maps as OME-Zarr: the same numbers at the same places as in MRC files, and nothing half-written or left over."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import zarr

from milopyp_inference.batch.outputs import OutputFiles
from milopyp_shared.errors import InputError
from milopyp_shared.tomogram import open_tomogram
from milopyp_shared.zarr_writing import write_ome_zarr
from running import outputs, run_line, tree
from toys import TOY, clean_phantom, write_tomogram
from zarr_toys import write_store

INFER = "milopyp-infer --model toy.onnx --threads 1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(TOY, tmp_path / "toy.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def image_of(store: Path) -> dict[str, object]:
    [image] = json.loads((store / ".zattrs").read_text())["multiscales"]
    assert image["version"] == "0.4"
    return dict(image)


def test_it_lies_on_the_tomogram_as_the_mrc_file_does(folder: Path) -> None:
    place = {"voxel_size": 10.0, "origin": (30.0, 20.0, 10.0)}
    write_tomogram(Path("t.mrc"), clean_phantom().volume, "xzy", **place)
    for kind in ("mrc", "zarr"):
        assert run_line(f"{INFER} t.mrc --order xzy --out {kind}/picks --heat-map {kind}").code == 0
    with mrcfile.open("mrc/picks/t_hm.mrc") as mrc:
        data, size, origin = mrc.data.copy(), mrc.voxel_size.tolist(), mrc.header.origin.tolist()
    stored = zarr.open_array("zarr/picks/t_hm.zarr/0", mode="r")
    assert np.array_equal(stored[:], data) and stored.dtype == np.float32
    image = image_of(Path("zarr/picks/t_hm.zarr"))
    assert [axis["name"] + axis["unit"] for axis in image["axes"]] == ["zangstrom", "yangstrom", "xangstrom"]
    scale, translation = image["datasets"][0]["coordinateTransformations"]
    assert (scale["scale"], translation["translation"]) == ([*size[::-1]], [*origin[::-1]])
    assert json.loads(Path("zarr/picks/t_hm.zarr/0/.zarray").read_text())["dimension_separator"] == "/"
    one, other = outputs(Path("mrc/picks")), outputs(Path("zarr/picks"))
    assert {name: one[name] for name in one.keys() & other.keys()} == {
        name: one[name] for name in one if "_hm" not in name
    }
    for kind in ("mrc", "zarr"):
        assert run_line(f"milopyp report {kind}/picks -o {kind}.html").code == 0
    assert Path("mrc.html").read_text() == Path("zarr.html").read_text()


def test_it_lies_on_a_store(folder: Path) -> None:
    """At the place in space of a candidate the heat map has its score."""
    write_store(Path("t.zarr"), clean_phantom().volume, origin=(7.0, 5.0, 3.0))
    assert run_line(f"{INFER} t.zarr --out picks --heat-map zarr").code == 0
    heat = open_tomogram("picks/t_hm.zarr", "xyz", shortest=1)
    placement = heat.mrc.placement
    assert placement.voxel_size == (20.0,) * 3 and placement.origin == (8.0, 10.0, 12.0)
    table = np.loadtxt("picks/t.candidates.csv", delimiter=",", skiprows=3, ndmin=2)[:10]
    space = table[:, :3] * 10.0 + (3.0, 5.0, 7.0)
    x, y, z = np.rint((space - placement.origin) / 20.0).astype(int).T
    assert heat.zyx[z, y, x] == pytest.approx(table[:, 3], abs=1e-4)


def test_a_tomogram_without_voxel_size(folder: Path) -> None:
    write_tomogram(Path("t.mrc"), clean_phantom().volume)
    assert run_line(f"{INFER} t.mrc --out picks --heat-map zarr").code == 0
    image = image_of(Path("picks/t_hm.zarr"))
    scale, translation = image["datasets"][0]["coordinateTransformations"]
    assert (scale["scale"], translation["translation"]) == ([2.0] * 3, [0.5] * 3)
    assert not any("unit" in axis for axis in image["axes"])


def test_one_kind_at_a_time(folder: Path) -> None:
    write_tomogram(Path("t.mrc"), clean_phantom().volume, voxel_size=10.0)
    said = [run_line(f"{INFER} t.mrc --out picks {more}") for more in ("", "--heat-map zarr", "", "--overwrite")]
    assert [one.code for one in said] == [0] * 4
    assert "picked again (missing: t_hm.zarr)" in said[1].out and "is already done" in said[2].out
    names = {path.name for path in Path("picks").iterdir()}
    assert names == {"t.txt", "t.mod", "t_hm.zarr", "t.candidates.csv", "records", "run.json", "status.json"}
    assert [path.name for path in Path("picks/records").iterdir()] == ["t.json"]
    whole = tree(Path("picks/t_hm.zarr"))
    assert run_line("milopyp threshold picks --value 0.3").code == 0  # needs none
    assert run_line(f"{INFER} t.mrc --out picks --heat-map mrc").code == 0
    assert Path("picks/t_hm.mrc").is_file() and not Path("picks/t_hm.zarr").exists()
    assert run_line(f"{INFER} t.mrc --out picks --workers 1 --heat-map zarr").code == 0
    assert tree(Path("picks/t_hm.zarr")) == whole and not Path("picks/t_hm.mrc").exists()


def test_what_is_there_counts(tmp_path: Path) -> None:
    assert OutputFiles.of(tmp_path, "a").heat.name == "a_hm.mrc"
    (tmp_path / "a_hm.zarr").mkdir()
    files = OutputFiles.of(tmp_path, "a")
    assert (files.heat.name, [path.name for path in files.other_heat_maps]) == ("a_hm.zarr", ["a_hm.mrc"])
    assert OutputFiles.of(tmp_path, "a", heat="mrc").heat.name == "a_hm.mrc"


def test_without_zarr(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tomogram(Path("t.mrc"), clean_phantom().volume)
    monkeypatch.setitem(sys.modules, "zarr", None)
    refused = run_line(f"{INFER} t.mrc --out picks --heat-map zarr")
    assert (
        refused.code == 2 and "--heat-map zarr: zarr is not installed; " in refused.err and not Path("picks").exists()
    )


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a_hm.zarr").write_text("a file")
    with pytest.raises(InputError, match=r"a_hm\.zarr: cannot be written"):
        write_ome_zarr(tmp_path / "a_hm.zarr", np.zeros((4, 4, 4)), np.ones(3), np.ones(3), angstrom=True)
