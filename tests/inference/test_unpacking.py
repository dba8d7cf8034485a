"""How often packed tomograms are unpacked: headers are looked at before any work, voxels once, when they are needed."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from milopyp_shared import tomogram
from running import Outcome, outputs, run_line
from toys import TOY, clean_phantom, write_tomogram

NAMES = ("a", "b", "c", "d")
SHAPE = (24, 48, 64)
LINE = "milopyp-infer a.mrc.gz b.mrc.gz c.mrc.gz d.mrc.gz --model toy.onnx --threads 1 --out"
Unpacked = Callable[[], list[str]]


def pack(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four packed tomograms and their packed masks."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    for number, name in enumerate(NAMES):
        phantom = clean_phantom(number + 1, SHAPE, 4)
        pack(write_tomogram(Path(f"{name}.mrc"), phantom.volume, voxel_size=10.0))
        pack(write_tomogram(Path(f"masks/{name}_mask.mrc"), np.ones(SHAPE, np.int8)))
    return tmp_path


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> Unpacked:
    """Names of the files of which more than a header has been unpacked since the last question, in their order."""
    read: list[tuple[str, list[int]]] = []

    class Counted(gzip.GzipFile):
        """The real reader, which notes how much it is asked for."""

        def read(self, size: int | None = -1) -> bytes:
            read[-1][1].append(size or 0)
            return super().read(size)

    def opened(stream: IO[bytes], *_: Any) -> Any:
        read.append((Path(stream.name).name, []))
        return Counted(fileobj=stream)

    monkeypatch.setitem(tomogram._PACKED, b"\x1f\x8b", opened)

    def names() -> list[str]:
        found = [name for name, asked in read if sum(asked) > tomogram.HEADER_BYTES]
        read.clear()
        return found

    return names


def run(words: str) -> Outcome:
    outcome = run_line(f"{LINE} {words}")
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.mark.parametrize("more", ["", "--memory 2GB", "--rescale", "--overwrite", "--margin 10 --format relion5"])
def test_each_tomogram_is_unpacked_once(more: str, unpacked: Unpacked) -> None:
    run(f"picks {more}")
    assert unpacked() == [f"{name}.mrc.gz" for name in NAMES]
    if more != "--overwrite":
        assert run(f"picks {more}").out.count("is already done") == 4
        assert unpacked() == []


def test_what_is_done_is_not_unpacked_again(unpacked: Unpacked) -> None:
    run("picks")
    unpacked()
    Path("picks/c_hm.mrc").unlink()
    run("picks")
    assert unpacked() == ["c.mrc.gz"]


def test_masks_are_unpacked_once_too(unpacked: Unpacked) -> None:
    run("picks --mask masks")
    assert unpacked() == [f"{name}{end}.mrc.gz" for name in NAMES for end in ("", "_mask")]


def test_who_leads_others_unpacks_nothing_and_they_each_once(unpacked: Unpacked) -> None:
    run("one --mask masks")
    unpacked()
    run("two --mask masks --workers 2")
    assert unpacked() == []
    assert outputs(Path("two")) == outputs(Path("one"))
    run("three --mask masks --as-worker")
    assert unpacked() == [f"{name}{end}.mrc.gz" for name in NAMES for end in ("", "_mask")]
    run("four --slurm --dry-run")
    assert unpacked() == []


def test_the_first_that_is_damaged_is_looked_at_twice_and_the_others_once(unpacked: Unpacked) -> None:
    path = Path("a.mrc.gz")
    path.write_bytes(path.read_bytes()[:-200])
    outcome = run_line(f"{LINE} picks")
    assert (outcome.code, "failed: a: a.mrc.gz: cannot be unpacked" in outcome.err) == (1, True)
    assert sorted(unpacked()) == ["a.mrc.gz", "a.mrc.gz", "b.mrc.gz", "c.mrc.gz", "d.mrc.gz"]


def test_all_that_are_damaged_leave_nothing() -> None:
    for name in NAMES:
        path = Path(f"{name}.mrc.gz")
        path.write_bytes(path.read_bytes()[:-200])
    outcome = run_line(f"{LINE} picks")
    assert outcome.code == 2
    assert "a.mrc.gz: cannot be unpacked" in outcome.err
    assert "none of the 4 tomograms can be picked" in outcome.err
    assert not Path("picks").exists()
