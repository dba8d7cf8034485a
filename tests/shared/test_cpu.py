"""What the CPU can do, and how much of it a process may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from milopyp_shared import cpu, system


@pytest.mark.parametrize(
    ("text", "int8", "bfloat16"),
    [
        ("flags : fpu avx2 avx512f avx512_vnni avx512_bf16", True, True),
        ("flags\t\t: fpu avx2 avx_vnni", True, False),
        ("Features : fp asimd", True, False),
        ("Features : fp asimd bf16", True, True),
        ("flags : fpu avx2 avx512f", False, False),
        ("model name : avx512_vnni\nflags : fpu", False, False),
    ],
)
def test_instruction_sets(text: str, int8: bool, bfloat16: bool, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\n{text}\n\nprocessor : 1\n{text}\n")
    assert (cpu.int8_pays(path), cpu.bfloat16_pays(path)) == (int8, bfloat16)


def test_nothing_is_known(tmp_path: Path) -> None:
    assert cpu.flags(tmp_path / "gone") == frozenset()


# ---------------------------------------------------------------- control groups

V2, V1 = "0::/", "4:memory:/a\n3:cpu,cpuacct:"


def root(folder: Path, groups: str, limits: dict[str, str]) -> Path:
    """What the kernel shows of groups: what ``/proc/self/cgroup`` says, and files below ``/sys/fs/cgroup``."""
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{at}": limits[at] for at in limits}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("groups", "limits", "quota"),
    [
        (V2, {"cpu.max": "150000 100000"}, 1.5),  # docker run --cpus 1.5
        (V2, {"cpu.max": "max 100000"}, None),
        (V2, {}, None),
        (f"{V2}pod/job", {"pod/job/cpu.max": "max 100000", "pod/cpu.max": "400000 100000"}, 4.0),
        (f"{V2}pod/job", {"pod/job/cpu.max": "20000 10000", "pod/cpu.max": "400000 100000"}, 2.0),
        (f"{V2}pod/job", {"pod/other/cpu.max": "20000 10000"}, None),
        (f"{V2}../../system.slice", {"cpu.max": "50000 100000"}, 0.5),  # of another name space
        (f"{V1}/docker/1f", {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3.0),
        (f"{V1}/job", {"cpu/job/cpu.cfs_quota_us": "120000", "cpu/job/cpu.cfs_period_us": "100000"}, 1.2),
        (f"{V1}/job", {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, None),
        (f"{V1}/job\n0::/job", {"unified/job/cpu.max": "100000 50000"}, 2.0),  # both versions at once
        ("3:cpuset:/job", {"cpuset/job/cpu.cfs_quota_us": "1", "cpuset/job/cpu.cfs_period_us": "1"}, None),
        (V2, {"cpu.max": "what?"}, None),
        (V2, {"cpu.max": "100000 0"}, None),
        ("", {"cpu.max": "100000 100000"}, None),
    ],
)
def test_quotas(groups: str, limits: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    assert cpu.quota(root(tmp_path, groups, limits)) == quota


def test_no_control_groups(tmp_path: Path) -> None:
    assert cpu.quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "threads"), [(None, 8), (0.1, 1), (1.0, 1), (1.5, 2), (3.0, 3), (64.0, 8)])
def test_threads(quota: float | None, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "affinity", lambda: 8)
    monkeypatch.setattr(cpu, "quota", lambda: quota)
    assert system.allowed_threads() == threads
