"""Compiled kernels are kept for the next process, and no state of the folder for them ends a run."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from milopyp_shared import kernels

SOURCE = "from milopyp_shared.kernels import compiled\n@compiled\ndef plus(a, b):\n    return a + {} * b\n"
EVERY_TIME = "kernels are compiled anew every time, which takes seconds: "
Process = Callable[[], tuple[bool, list[str]]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kernels are to be kept."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Process:
    """Calls a kernel as a new process does; whether it was read, by numba's own count, and what was said."""
    (tmp_path / "sums.py").write_text(SOURCE.format(1))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which is stale for a second

    def run() -> tuple[bool, list[str]]:
        kernels._folder.cache_clear()
        monkeypatch.setattr(kernels, "_has_spoken", False)
        caplog.clear()
        spec = importlib.util.spec_from_file_location("sums", tmp_path / "sums.py")
        assert spec is not None and spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "sums", module)
        spec.loader.exec_module(module)
        times = int((tmp_path / "sums.py").read_text()[-6])
        assert (module.plus(2, 3), module.plus(2.0, 0.5)) == (2 + times * 3, 2 + times * 0.5)
        hits = module.plus.stats.cache_hits
        assert len(hits) in (0, 2)
        return bool(hits), caplog.messages

    return run


def files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def test_a_kernel_is_kept_and_read_until_its_source_changes(place: Path, process: Process, tmp_path: Path) -> None:
    assert process() == (False, [])
    assert process() == (True, [])
    [folder] = place.iterdir()
    assert folder.name == f"milopyp_kernels_{os.getuid()}"
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}
    (tmp_path / "sums.py").write_text(SOURCE.format(2))
    assert process() == (False, [])
    assert process() == (True, [])
    assert len(files(place)) == 2  # one for each type of numbers: what is stale is replaced


def flip(content: bytes, number: int) -> bytes:
    return content[:number] + bytes([content[number] ^ 16]) + content[number + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda own: own[:40], lambda own: own[:-1], lambda own: flip(own, 3), lambda own: flip(own, -3)],
    ids=["empty", "no code", "cut short", "a bit of the head", "a bit of the code"],
)
def test_what_is_damaged_is_said_once_and_replaced(
    damage: Callable[[bytes], bytes], place: Path, process: Process
) -> None:
    process()
    for path in files(place):
        path.write_bytes(damage(path.read_bytes()))
    read, [said] = process()
    assert not read
    assert said.startswith(f"a kept kernel is compiled anew: {place}/milopyp_kernels_")
    assert said.endswith(".nbc is damaged")
    assert process() == (True, [])


def test_what_others_may_have_written_is_not_run(place: Path, process: Process, tmp_path: Path) -> None:
    for change in (lambda path: path.chmod(0o666), lambda path: os.chown(path, 12345, -1)):
        process()
        try:
            for path in files(place):
                change(path)
        except PermissionError:
            continue  # only root can give files away
        read, [said] = process()
        assert not read
        assert said.endswith(".nbc may be another user's work (NUMBA_CACHE_DIR chooses another folder)")
        assert process() == (True, [])


def test_no_place(place: Path, process: Process) -> None:
    place.touch()
    line = f"{EVERY_TIME}{place} cannot be used (Not a directory); set NUMBA_CACHE_DIR to a folder of your own"
    for _ in range(2):
        assert process() == (False, [line])


def test_a_place_that_goes_away(place: Path, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process()
    for path in files(place):
        path.unlink()
        path.mkdir()
    read, [said] = process()
    assert not read
    assert "cannot be used (Is a directory)" in said


def test_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path(kernels.__file__).parent / "__pycache__"
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kernels.places() == [own, tmp_path / "numba"]
    monkeypatch.setattr(kernels, "user_cache", lambda name: None)  # no HOME, and no such user
    assert kernels.places() == [own]
    monkeypatch.setattr(numba.config, "CACHE_DIR", "/elsewhere")
    assert kernels.places() == [Path("/elsewhere")]
