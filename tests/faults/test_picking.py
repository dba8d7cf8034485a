"""Batches that are killed, interrupted, out of room or memory, or lose their tomograms; and two at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from faults.processes import (
    KILLS,
    Undisturbed,
    ended,
    kill,
    limit_memory,
    on_a_small_disk,
    started,
    undisturbed,
)
from milopyp_inference.batch.leases import Leases
from running import outputs, wait_for
from toys import VOXEL_SIZE, clean_phantom, write_batch, write_tomogram

COUNT = 20
LINE = "milopyp-infer tomograms.txt --model toy.onnx --threads 1 --out"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Twenty tomograms, and what a run without trouble makes of them."""
    folder = tmp_path_factory.mktemp("batch")
    write_batch(folder, COUNT, (32, 64, 64), particles=6)
    run = undisturbed(f"{LINE} whole", folder, folder / "whole")
    assert len(records(run.folder)) == COUNT
    return run


@pytest.fixture
def home(whole: Undisturbed) -> Path:
    """Where the tomograms are."""
    return whole.folder.parent


def records(run: Path) -> dict[str, int]:
    """When each tomogram was finished."""
    return {path.stem: path.stat().st_mtime_ns for path in (run / "records").glob("*.json")}


def staged(run: Path) -> list[str]:
    """Those with a record whose stage is still there, which a restart looks at again: `test_killed_at_any_moment`."""
    return [name for name in records(run) if (run / "records" / f"{name}.new").exists()]


def assert_as_undisturbed(run: Path, whole: Undisturbed) -> None:
    """Equal bytes in every file, and nothing left over."""
    assert outputs(run) == outputs(whole.folder)
    summary = json.loads((run / "run.json").read_text())
    assert (summary["done"], summary["failed"]) == (len(records(whole.folder)), {})


@pytest.mark.parametrize("moment", range(KILLS))
def test_killed_at_any_moment(whole: Undisturbed, home: Path, moment: int) -> None:
    run = home / f"moment_{moment}"
    kill(f"{LINE} {run}", home, run, moment, whole.seconds)
    ended(f"{LINE} {run}", home)
    assert_as_undisturbed(run, whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130), (signal.SIGINT, 130)])
def test_a_restart_does_only_what_was_missing(whole: Undisturbed, home: Path, number: int, code: int) -> None:
    run = home / f"killed_{number}"
    for _ in range(5):
        process = started(f"{LINE} {run}", home)
        wait_for(lambda: len(records(run)) >= 7 and not staged(run))
        process.send_signal(number)
        said, _ = process.communicate()
        if process.returncode:
            break
        shutil.rmtree(run)  # on a busy machine it was done before the signal came
    assert process.returncode == code
    assert code < 0 or "the same command goes on where it stopped" in said
    before = records(run)
    assert 7 <= len(before) < COUNT
    assert ended(f"{LINE} {run}", home).count("is already done") == len(before)
    after = records(run)
    assert {name: after[name] for name in before} == before
    assert_as_undisturbed(run, whole)


def test_two_at_once_share_the_work(whole: Undisturbed, home: Path) -> None:
    run = home / "shared"
    both = [started(f"{LINE} {run}", home) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    picked = [
        {line.split()[2] for line in text.splitlines() if " picks in " in line and "(order" in line} for text in said
    ]
    assert picked[0] | picked[1] == {f"t{number:02d}" for number in range(COUNT)}
    assert not picked[0] & picked[1]
    assert_as_undisturbed(run, whole)


@pytest.mark.parametrize("workers", ["", " --workers 2"])
@pytest.mark.parametrize("size", ["200k", "40k", "400k", "700k"][: KILLS // 2])
def test_full_disk(whole: Undisturbed, home: Path, size: str, workers: str) -> None:
    run = home / f"full_{size}{workers[-1:]}"
    code, said, again, more = on_a_small_disk(f"{LINE} {run}{workers}", f"{LINE} {run}", home, run, size)
    assert code == 3, said
    [error] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "cannot be written (No space left on device); expected free space. Make room" in error
    assert "FAILED" not in said  # it is no tomogram's fault
    assert again == 0, more
    assert_as_undisturbed(run, whole)


def test_full_disk_of_what_is_only_kept(whole: Undisturbed, home: Path) -> None:
    """Compiled kernels are for speed: where they cannot be kept, the run goes on."""
    run, kept = home / "full_cache", home / "kernels"
    line = f"NUMBA_CACHE_DIR=kernels milopyp-infer tomograms/t00.mrc --model toy.onnx --threads 1 --out {run}"
    code, said, _, _ = on_a_small_disk(line, "true", home, kept, "64k")
    assert code == 0, said
    [warning] = [line for line in said.splitlines() if "kernels" in line]
    assert warning.startswith("warning: kernels are compiled anew every time, which takes seconds: kernels/milopyp_")
    assert "cannot be used (No space left on device); set NUMBA_CACHE_DIR" in warning
    assert (run / "t00.txt").read_bytes() == (whole.folder / "t00.txt").read_bytes()


def test_tomograms_that_disappear_and_change(whole: Undisturbed, home: Path) -> None:
    run, gone, cut = home / "lost", home / "tomograms/t18.mrc", home / "tomograms/t19.mrc"
    content, then = cut.read_bytes(), cut.stat()
    process = started(f"{LINE} {run}", home)
    wait_for(lambda: records(run))
    gone.rename(home / "elsewhere.mrc")
    os.truncate(cut, 50_000)
    said, _ = process.communicate()
    (home / "elsewhere.mrc").rename(gone)
    cut.write_bytes(content)
    os.utime(cut, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert process.returncode == 1, said
    assert "failed: t18: tomograms/t18.mrc: no such file" in said
    assert "failed: t19: tomograms/t19.mrc: " in said
    assert len(records(run)) == COUNT
    assert ended(f"{LINE} {run}", home).count("is already done") == COUNT - 2
    assert_as_undisturbed(run, whole)


def test_out_of_memory(tmp_path: Path) -> None:
    """One tomogram of six is too large for what the process may take."""
    write_batch(tmp_path, 6, (32, 64, 64), particles=6)
    large = np.tile(clean_phantom(5, (32, 64, 64), 6).volume, (2, 8, 8))
    write_tomogram(tmp_path / "tomograms/t04.mrc", large, voxel_size=VOXEL_SIZE)
    whole = undisturbed(f"{LINE} whole", tmp_path, tmp_path / "whole")
    run = tmp_path / "little"
    process = started(f"{LINE} {run}", tmp_path)
    wait_for(lambda: records(run))
    limit_memory(process, 16)
    said, _ = process.communicate()
    assert process.returncode == 1, said
    [failed] = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert failed.startswith("failed: t04: tomograms/t04.mrc: not enough memory")
    ended(f"{LINE} {run}", tmp_path)
    assert_as_undisturbed(run, whole)


def test_containers_of_one_host_share_the_work(whole: Undisturbed, home: Path) -> None:
    """Each believes to be process 1 of the same host, and cannot see the others."""
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody make PID namespaces")
    run, infer = home / "containers", Path(sys.executable).with_name("milopyp-infer")
    words = [*container, str(infer), *LINE.split()[1:], str(run)]
    three = [
        subprocess.Popen(words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(3)
    ]
    said = [process.communicate()[0] for process in three]
    assert [process.returncode for process in three] == [0, 0, 0], said
    picked = [
        line.split()[2] for text in said for line in text.splitlines() if " picks in " in line and "(order" in line
    ]
    assert sorted(picked) == [f"t{number:02d}" for number in range(COUNT)], said
    assert_as_undisturbed(run, whole)


def test_leases_of_the_living_hold_and_those_of_the_dead_do_not(tmp_path: Path) -> None:
    with Leases(tmp_path) as ours:
        assert ours.acquire("a")
        said = json.loads((tmp_path / "a.claim").read_text())
        assert not Leases(tmp_path).acquire("a")
        ours.release("a")
        assert Leases(tmp_path).acquire("a")
        ours.release("a")  # by now another's
        assert (tmp_path / "a.claim").exists()
    (tmp_path / "a.claim").unlink()
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    here = said | {"pid": gone.pid}
    for owner, age, free in (
        (here, 0, True),  # the process is not there
        (here | {"pid": os.getpid()}, 1000, False),  # it is, and stood still for a while
        (here | {"pid": os.getpid(), "born": "1"}, 0, True),  # another one has got its number since
        (here | {"host": "elsewhere"}, 0, True),  # a container of another name, and the same processes
        (here | {"namespace": "pid:[1]"}, 0, False),  # a container: its processes are not seen
        (here | {"namespace": "pid:[1]"}, 1000, True),  # not touched for long
        (here | {"boot": "elsewhere"}, 0, False),  # another host of this name, or this one before it was started again
        (here | {"boot": "elsewhere"}, 1000, True),
        (here | {"boot": "", "namespace": "", "born": ""}, 0, False),  # a system without /proc
        (here | {"boot": "", "namespace": "", "born": ""}, 1000, True),
        ({"host": os.uname().nodename, "pid": gone.pid, "born": "1"}, 0, False),  # of an older version
        ({"host": os.uname().nodename, "pid": gone.pid, "born": "1"}, 1000, True),
        ({}, 0, False),  # just being written
        ({}, 1000, True),
    ):
        lease = tmp_path / "b.claim"
        lease.write_text(json.dumps(owner) if owner else "")
        then = time.time() - age
        os.utime(lease, (then, then))
        with Leases(tmp_path) as leases:
            assert leases.acquire("b") is free, owner
        lease.unlink(missing_ok=True)
        assert list(tmp_path.iterdir()) == []


def test_without_proc_leases_go_by_their_age(tmp_path: Path) -> None:
    """A process that sees no /proc leaves a lease to whom it cannot see, and its own is heeded."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if subprocess.run([*hidden, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody hide /proc")
    take = "import sys, pathlib, os; from milopyp_inference.batch.leases import Leases\n"
    take += "print(Leases(pathlib.Path(sys.argv[1])).acquire('a')); sys.stdout.flush(); os._exit(0)"
    words = [*hidden, sys.executable, "-c", take, str(tmp_path)]
    assert subprocess.run(words, capture_output=True, text=True).stdout == "True\n"
    assert not Leases(tmp_path).acquire("a")
    (tmp_path / "a.claim").unlink()
    with Leases(tmp_path) as ours:
        assert ours.acquire("a")
        assert subprocess.run(words, capture_output=True, text=True).stdout == "False\n"
