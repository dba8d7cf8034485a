"""Tomograms in OME-Zarr, written by the zarr library: what is read is what MRC files of the same volumes give."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import fsspec
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec
from zarr.storage import FsspecStore, MemoryStore

from milopyp_shared import stores, zarr_volume
from milopyp_shared.errors import ContradictionError, InputError, MissingDependency
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.lists import read_image_list
from milopyp_shared.names import bare, from_folders, of_file
from milopyp_shared.ome_zarr import read_image
from milopyp_shared.tomogram import Tomogram, open_tomogram, read_header
from milopyp_shared.zarr_volume import ZarrVolume
from running import run_line, tree
from toys import TOY, VOXEL_SIZE, clean_phantom, noise, write_tomogram
from zarr_toys import AXES, multiscales, write_store

SHAPE = (20, 40, 44)
V2: dict[str, Any] = {
    "blosc": numcodecs.Blosc(), "zstd": numcodecs.Zstd(), "gzip": numcodecs.GZip(), "none": None,
}  # fmt: skip
V3: dict[str, Any] = {"blosc": BloscCodec(), "zstd": ZstdCodec(), "gzip": GzipCodec(), "none": None}
COMPRESSORS = {2: V2, 3: V3}


def values(dtype: str, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    kind = np.dtype(dtype)
    low, high = (0, 200) if kind.kind == "u" else (-100, 100)
    return np.random.default_rng(1).integers(low, high, shape).astype(kind)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "<i2", ">i2", "<u2", "<f2", "<f4", ">f4"])
@pytest.mark.parametrize("compressor", ["blosc", "zstd", "gzip", "none"])
@pytest.mark.parametrize(
    ("zarr_format", "name"), [(2, "a.zarr"), (3, "a.ome.zarr"), (2, "a.zarr.zip"), (3, "a.zarr.zip")]
)
def test_voxels_and_header(tmp_path: Path, zarr_format: int, name: str, compressor: str, dtype: str) -> None:
    data = values(dtype)
    codec = COMPRESSORS[zarr_format][compressor]
    path = write_store(
        tmp_path / name, data, zarr_format=zarr_format, chunks=(7, 16, 44), origin=(1.0, 2.0, 3.0), compressors=codec
    )
    tomogram = open_tomogram(path)
    assert (tomogram.shape, tomogram.order, tomogram.voxel_size) == (SHAPE, "xyz", 10.0)
    assert tomogram.mrc.placement.origin == (3.0, 2.0, 1.0)
    part = tomogram.sections(3, 15)
    assert part.dtype == data.dtype.newbyteorder("=") and part.flags.c_contiguous
    assert np.array_equal(part, data[3:15]) and np.array_equal(tomogram.zyx, data)
    assert read_header(path).frame == tomogram.frame
    assert of_file(path) == "a" and not header_warnings(tomogram)
    tomogram.raise_if_modified()


@pytest.mark.parametrize("order", ["xyz", "xzy", "yxz"])
def test_every_order_word_gives_the_same_volume(tmp_path: Path, order: str) -> None:
    from milopyp_shared import axes

    data = values("<i2")
    stored = np.ascontiguousarray(data.transpose(axes.from_zyx(order)))
    tomogram = open_tomogram(write_store(tmp_path / "a.zarr", stored), order)
    assert np.array_equal(tomogram.sections(5, 17), data[5:17]) and np.array_equal(tomogram.zyx, data)


def held(data: np.ndarray, chunks: tuple[int, int, int], **array: Any) -> ZarrVolume:
    """A volume in memory, through the same reader."""
    store = MemoryStore()
    scale = {"type": "scale", "scale": [1.0] * 3}
    content = multiscales([{"path": "0", "coordinateTransformations": [scale]}], zarr_format=3)
    root = zarr.create_group(store, zarr_format=3, attributes=content)
    root.create_array("0", shape=data.shape, dtype=data.dtype, chunks=chunks, **array)[:] = data
    return ZarrVolume(Path("held"), store, lambda: None)


@settings(max_examples=30)
@given(
    chunks=st.tuples(st.integers(1, 9), st.integers(1, 10), st.integers(1, 12)),
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 14)), min_size=1, max_size=5),
    room=st.sampled_from([0, 200, 1 << 20]),
)
def test_slices_are_those_of_the_array(
    chunks: tuple[int, int, int], asked: list[tuple[int, int, int]], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order of asking, whether decoded chunks stay in memory or not."""
    data = values("<i2", (7, 9, 11))
    with monkeypatch.context() as patched:
        patched.setattr(zarr_volume, "_IN_MEMORY", room)
        patched.setattr(zarr_volume, "_AT_ONCE", room)
        volume = held(data, chunks)
        for axis, first, last in asked:
            slices = volume.read_slices(axis, first, last)
            np.testing.assert_array_equal(slices, np.moveaxis(np.moveaxis(data, axis, 0)[first:last], 0, axis))
        np.testing.assert_array_equal(volume.mapped(), data)


def test_every_chunk_is_decoded_once_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch) -> None:
    volume, seen = held(values("<i2", (24, 16, 16)), (6, 8, 8)), []
    read = volume._read
    monkeypatch.setattr(volume, "_read", lambda start, shape: seen.append((start[0], shape[0])) or read(start, shape))
    for first in range(0, 24, 4):  # which straddle the chunks
        volume.read_slices(0, first, first + 4)
    assert seen == [(0, 6), (6, 6), (12, 6), (18, 6)]


def test_shards(tmp_path: Path) -> None:
    data = values("<i2", (16, 32, 32))
    volume = held(data, (4, 8, 8), shards=(8, 16, 16))
    assert np.array_equal(volume.read_slices(0, 3, 13), data[3:13])


def test_a_store_of_fsspec(tmp_path: Path) -> None:
    """What is not a folder or zip file of this machine is handed in."""
    data = values("<i2")
    path = write_store(tmp_path / "a.zarr", data, zarr_format=3)
    files = fsspec.filesystem("file", asynchronous=False)
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    store = FsspecStore(AsyncFileSystemWrapper(files, asynchronous=True), read_only=True, path=str(path))
    assert np.array_equal(ZarrVolume(path, store).read_slices(0, 4, 9), data[4:9])


def test_a_thick_slab_of_chunks_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_volume, "_IN_MEMORY", 1 << 20)
    monkeypatch.setattr(zarr_volume, "_AT_ONCE", 1 << 20)
    data = np.random.default_rng(1).normal(size=(64, 256, 256)).astype(np.float32)  # 16 MiB
    tomogram = open_tomogram(write_store(tmp_path / "a.zarr", data, chunks=(64, 16, 256)))
    tomogram.sections(0, 1)
    tracemalloc.start()
    tomogram = open_tomogram(tmp_path / "a.zarr")
    sums = [float(tomogram.sections(z, z + 4).sum(dtype=np.float64)) for z in range(0, 64, 4)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(sums, data.reshape(16, -1).sum(axis=1, dtype=np.float64))
    assert peak < 8 << 20


# what the metadata say


def dataset(path: str, *transformations: tuple[str, list[float]]) -> dict[str, Any]:
    return {"path": path, "coordinateTransformations": [{"type": kind, kind: own} for kind, own in transformations]}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("unit", "factor"), [("angstrom", 1.0), ("nanometer", 10.0), ("micrometer", 1e4)])
def test_units_and_transformations(zarr_format: int, unit: str, factor: float) -> None:
    """Scales are multiplied; what the dataset shifts is scaled by the image, and shifted again."""
    axes = [{**axis, "unit": unit} for axis in AXES]
    own = dataset("x", ("scale", [1.0, 2.0, 4.0]), ("translation", [10.0, 20.0, 30.0]))
    content = multiscales([own], axes, zarr_format)
    [image] = content["multiscales"] if zarr_format == 2 else content["ome"]["multiscales"]
    image["coordinateTransformations"] = [
        {"type": "scale", "scale": [3.0, 3.0, 5.0]}, {"type": "translation", "translation": [1.0, 0.0, 0.0]},
    ]  # fmt: skip
    [level] = read_image(content, Path("a.zarr")).levels
    assert level.voxel_size == tuple(factor * size for size in (20.0, 6.0, 3.0))
    assert level.origin == tuple(factor * place for place in (150.0, 60.0, 31.0))


def test_axes_of_one_and_in_another_order(tmp_path: Path) -> None:
    data = values("<i2")
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}, AXES[2], AXES[1], AXES[0]]
    content = multiscales([dataset("0", ("scale", [1.0, 1.0, 4.0, 4.0, 5.0]))], axes)
    root = zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes=content)
    root.create_array("0", shape=(1, 1, 44, 40, 20), dtype="<i2", chunks=(1, 1, 16, 16, 8))[:] = data.T[None, None]
    tomogram = open_tomogram(tmp_path / "a.zarr")
    assert (tomogram.shape, tomogram.frame.voxel_size) == (SHAPE, (4.0, 4.0, 5.0))
    assert np.array_equal(tomogram.sections(2, 11), data[2:11])


def test_without_a_unit_nothing_is_guessed(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.zarr", values("<i2"), voxel_size=None, origin=(5.0, 5.0, 5.0), levels=2)
    tomogram = open_tomogram(path)
    assert tomogram.voxel_size is None and tomogram.mrc.placement.says_nothing
    assert not header_warnings(tomogram)  # a scale of 1 says nothing either
    assert [text[:3] for text in header_warnings(open_tomogram(path / "1"))] == ["W17"]


def test_levels_and_what_lies_deeper(tmp_path: Path) -> None:
    data = values("<i2")
    path = write_store(tmp_path / "a.zarr", data, levels=2)
    assert np.array_equal(open_tomogram(path / "1").zyx, data[::2, ::2, ::2])
    assert open_tomogram(path / "1").voxel_size == 20.0
    root = zarr.create_group(tmp_path / "b.zarr", zarr_format=2)
    root.create_group("0")
    shutil.copytree(path, tmp_path / "b.zarr/0", dirs_exist_ok=True)
    assert np.array_equal(open_tomogram(tmp_path / "b.zarr/0").zyx, data)
    assert np.array_equal(open_tomogram(tmp_path / "b.zarr/0/1").zyx, data[::2, ::2, ::2])
    with pytest.raises(InputError, match="but the group 0; expected the metadata of one image"):
        open_tomogram(tmp_path / "b.zarr")


def test_names(tmp_path: Path) -> None:
    for text in (
        "TS_01.zarr",
        "TS_01.ome.zarr",
        "TS_01.zarr.zip",
        "TS_01.OME.Zarr.zip",
        "TS_01.zarr/1",
        "TS_01.zarr.zip/0",
    ):
        assert of_file(tmp_path / text) == "TS_01"
    assert bare("x/TS_01.ome.zarr") == "TS_01"
    assert from_folders([Path("TS_01/a.zarr/1"), Path("TS_02/a.zarr")], ["a", "a"]) == ["TS_01", "TS_02"]
    inside = write_tomogram(tmp_path / "folder.zarr/b.mrc", noise())  # an MRC file in such a folder is one
    assert stores.split(inside) is None and of_file(inside) == "b" and open_tomogram(inside).shape == (16, 32, 32)


# what can be wrong meanwhile, or beside


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_store(tmp_path / "a.zarr", noise())


def whole(tomogram: Tomogram) -> np.ndarray:
    return tomogram.sections(0, tomogram.shape[0])


@pytest.mark.parametrize("change", ["time", "gone", "metadata"])
def test_written_to_while_it_is_read(path: Path, change: str) -> None:
    tomogram = open_tomogram(path)
    whole(tomogram)
    tomogram.raise_if_modified()
    if change == "time":
        os.utime(path / "0/1.1.1", ns=(0, 0))
    elif change == "gone":
        (path / "0/1.1.1").unlink()
    else:
        (path / "0/.zarray").write_text("{}")
    with pytest.raises(InputError, match=r"a\.zarr: has changed while it was read; .* Repeat it when"):
        tomogram.raise_if_modified()


def test_damaged_while_it_is_read(path: Path) -> None:
    tomogram = open_tomogram(path)
    (path / "0/1.1.1").write_bytes(b"other")
    with pytest.raises(InputError, match="has changed while it was read"):
        whole(tomogram)


def test_missing_chunks_are_told(path: Path) -> None:
    for name in ("0.0.0", "1.1.0"):
        (path / "0" / name).unlink()
    tomogram = open_tomogram(path)
    expected = noise()
    expected[:8, :16, :16] = expected[8:, 16:, :16] = 0
    assert np.array_equal(whole(tomogram), expected)
    [told] = header_warnings(tomogram)
    assert told.startswith("W16 2 of 8 chunks are not in the store: their voxels are read as its fill value, 0")


def test_without_zarr(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "zarr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingDependency, match=r"a\.zarr: zarr is not installed; .* pip install 'milopyp\[zarr\]'"):
        open_tomogram(path)
    shutil.copy(TOY, path.parent / "toy.onnx")
    outcome = run_line(f"milopyp-infer {path} --model {path.parent / 'toy.onnx'} --out {path.parent / 'picks'}")
    assert isinstance(outcome.error, MissingDependency) and outcome.code == 2


def test_urls_without_the_packages_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("milopyp_shared.remote", "fsspec"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(
        MissingDependency, match=r"https://h/a\.zarr: aiohttp is not .* pip install 'milopyp\[remote\]'"
    ):
        open_tomogram("https://h/a.zarr")


def test_programs_start_without_zarr() -> None:
    names = "milopyp_inference.infer, milopyp_shared.header_checks, milopyp.commands.prepare, milopyp_shared.levels"
    code = f"import sys, {names}; print({{'zarr', 'numcodecs'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


# whole commands


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(TOY, tmp_path / "toy.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(folder: Path) -> dict[str, str]:
    return {name: content for name, content in tree(folder).items() if not name.endswith((".json", ".doc"))}


def test_the_same_picks_as_of_an_mrc_file(folder: Path) -> None:
    """Byte for byte, under the same names; twice the same store is done already, wherever it lies."""
    volume = clean_phantom().volume
    write_tomogram(Path("mrc/a.mrc"), volume, voxel_size=VOXEL_SIZE, origin=(30.0, 20.0, 10.0))
    place = {"origin": (10.0, 20.0, 30.0), "levels": 2}
    write_store(Path("v2/a.zarr"), volume, **place)
    write_store(Path("v3/a.ome.zarr"), volume, zarr_format=3, chunks=(5, 64, 80), **place)
    write_store(Path("zip/a.zarr.zip"), volume, zarr_format=3, **place)
    infer = "milopyp-infer --model toy.onnx --threads 1 --format relion5,csv,tbl"
    for file in ("mrc/a.mrc", "v2/a.zarr", "v3/a.ome.zarr", "zip/a.zarr.zip"):
        outcome = run_line(f"{infer} {file} --out {Path(file).parent}_picks")
        assert outcome.code == 0 and not outcome.doubts
        assert ("a: level 0 of 0 to 1 is read" in outcome.out) == (file != "mrc/a.mrc")
    expected = outputs(folder / "mrc_picks")
    assert len(expected) >= 6
    for kind in ("v2", "v3", "zip"):
        assert outputs(folder / f"{kind}_picks") == expected
    shutil.move("v2", "moved")
    os.utime("moved/a.zarr/0/0.0.0", ns=(0, 0))
    assert "a is already done" in run_line(f"{infer} moved/a.zarr --out v2_picks").out
    changed = Path("moved/a.zarr/0/0.0.0")
    changed.write_bytes(Path("moved/a.zarr/0/1.1.1").read_bytes())
    assert "the tomogram has changed" in run_line(f"{infer} moved/a.zarr --out v2_picks --dry-run").out


def test_the_level_that_is_like_the_training(folder: Path) -> None:
    """The toy model is of 10 A: of a volume with as large voxels on level 1 it is this level."""
    volume = clean_phantom().volume
    fine = volume.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    write_store(Path("t/a.zarr"), fine, voxel_size=5.0, levels=2)
    infer = "milopyp-infer t/a.zarr --model toy.onnx --threads 1"
    outcome = run_line(f"{infer} --out picks")
    assert "a: level 1 of 0 to 1 is read, voxels of 10 A, nearest to the 10 A" in outcome.out
    record = json.loads(Path("picks/records/a.json").read_text())
    assert (record["shape_zyx"], record["picks"]) == ([32, 64, 80], 10)
    assert record["input"]["path"] == str(folder / "t/a.zarr/1")
    assert " 160 x 128 x 64 " in run_line(f"{infer} --out other --level 0 --dry-run").out
    workers = run_line("milopyp-infer t/a.zarr --model toy.onnx --out two --workers 1 --threads 1")
    assert workers.code == 0 and outputs(folder / "two") == outputs(folder / "picks")


def test_prepared_lists_say_the_level(folder: Path) -> None:
    phantom = clean_phantom()
    write_store(Path("data/TS_01.ome.zarr"), phantom.volume.repeat(2, 0).repeat(2, 1).repeat(2, 2), levels=2)
    Path("data/TS_01_coord.txt").write_text("20 20 10\n40 30 12\n")
    outcome = run_line("milopyp prepare -d data -e .zarr -o run --level 1 --coords voxel")
    assert outcome.code == 0, outcome.err
    [entry] = read_image_list("data/run_train_imgs.txt")
    assert (entry.name, entry.path) == ("TS_01", folder / "data/TS_01.ome.zarr/1")
    assert Path("data/TS_01_labels.png").exists()
    assert "TS_01: level 0 of 0 to 1 is read" in run_line("milopyp prepare -d data -e .ome.zarr -o two --inference").out
    assert read_image_list("data/two_test_imgs.txt")[0].name == "TS_01"
    with pytest.raises(ContradictionError, match="is level 1"):
        raise run_line("milopyp-infer data/run_train_imgs.txt --model toy.onnx --level 0").error or AssertionError


class Payload:
    """What leaves a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path("harm").touch, ()


PICKLED: list[dict[str, Any]] = [
    {"filters": ["pickle"]},
    {"compressor": "pickle"},
    {"filters": ["shuffle", "pickle"]},
    {"filters": ["pickle", "delta"], "compressor": "zlib"},
]


@pytest.mark.parametrize("where", PICKLED)
def test_code_in_chunks_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: dict[str, Any]) -> None:
    monkeypatch.chdir(tmp_path)
    store = write_store(tmp_path / "a.zarr", noise((16, 32, 32)), compressors=None)
    described = store / "0/.zarray"
    settings = {"shuffle": {"elementsize": 4}, "delta": {"dtype": "<f4"}}
    codecs = {
        key: [{"id": each, **settings.get(each, {})} for each in value] if isinstance(value, list) else {"id": value}
        for key, value in where.items()
    }
    described.write_text(json.dumps(json.loads(described.read_text()) | codecs))
    for chunk in store.glob("0/*.*.*"):
        chunk.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError, match="pickle"):
        open_tomogram(store).sections(0, 16)
    assert not Path("harm").exists()


def test_an_unusual_codec_is_refused_by_its_name(tmp_path: Path) -> None:
    store = write_store(tmp_path / "a.zarr", noise((16, 32, 32)), compressors=None)
    described = store / "0/.zarray"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"filters": [{"id": "base64"}]}))
    with pytest.raises(InputError, match=r"is written with base64; expected codecs of numbers, such as blosc or zstd"):
        open_tomogram(store)
