"""Writing in one step: the old file or the new one, nothing between, nothing left behind."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from milopyp_shared.atomic import atomic_write, make_folder, remove_leftovers, write_text
from milopyp_shared.errors import CheckError, FullDiskError, InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "down" / "picks.txt"
    write_text(target, "old")
    with atomic_write(target) as part:
        part.write_text("new, half")
        assert target.read_text() == "old"
        assert part.parent == target.parent and part.name.startswith(".picks.txt.") and part.suffix == ".part"
        part.write_text("new")
    assert target.read_text() == "new"
    assert names(target.parent) == ["picks.txt"]


@pytest.mark.parametrize("error", [ValueError("bug"), CheckError("NaN"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("existed", [True, False])
def test_a_failing_block_changes_nothing(tmp_path: Path, error: BaseException, existed: bool) -> None:
    target = tmp_path / "picks.txt"
    if existed:
        write_text(target, "old")
    with pytest.raises(type(error)), atomic_write(target) as part:
        part.write_text("new, half")
        raise error
    assert names(tmp_path) == (["picks.txt"] if existed else [])
    assert not existed or target.read_text() == "old"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "picks.txt"
    write_text(target, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(FullDiskError, match=r"cannot be written \(File too large\); expected free space"):
            write_text(target, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (names(tmp_path), target.read_text()) == (["picks.txt"], "old")


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    file, folder = tmp_path / "file.txt", tmp_path / "folder"
    write_text(file, "old")
    folder.mkdir()
    for target in (file / "below.txt", file / "deeper" / "below.txt", folder, tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="cannot be written") as caught:
            write_text(target, "new")
        assert str(caught.value).startswith(str(tmp_path)) and "Choose another output place." in str(caught.value)
    with pytest.raises(InputError, match="cannot be written"):
        make_folder(file)
    assert names(tmp_path) == ["file.txt", "folder"]
    assert names(folder) == []
    assert file.read_text() == "old"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_get_the_rights_of_any_new_file(tmp_path: Path, mask: int, mode: int) -> None:
    """A temporary file is private; what a group shares must not become so."""
    before = os.umask(mask)
    try:
        write_text(tmp_path / "picks.txt", "new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "picks.txt").stat().st_mode) == mode


def test_text_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(str(tmp_path / "note.txt"), "13.5 Å\nµ")
    assert (tmp_path / "note.txt").read_bytes() == "13.5 Å\nµ".encode()


def test_a_killed_run_leaves_what_the_next_one_removes(tmp_path: Path) -> None:
    target = tmp_path / "picks.txt"
    write_text(target, "old")
    killed = (
        "import os, sys\n"
        "from milopyp_shared.atomic import atomic_write\n"
        "with atomic_write(sys.argv[1]) as part:\n"
        "    part.write_text('new, half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, target]).returncode == 9
    assert target.read_text() == "old"
    assert len(names(tmp_path)) == 2
    (tmp_path / "download.part").write_text("someone else's")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["download.part", "picks.txt"]
    remove_leftovers(tmp_path / "none")
