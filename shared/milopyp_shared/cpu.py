"""What the CPU can do, and how much of it this process may have, from the kernel's description of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
#: 8-bit products are multiplied and added in one step, without overflow; asimd: any 64-bit ARM.
_INT8 = {"avx512_vnni", "avx_vnni", "asimd"}
#: Products of bfloat16, summed in float32.
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Names of the instruction sets (``flags``; ``Features`` on ARM); empty where the system does not say."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    named = (line.partition(":") for line in lines)
    return frozenset(next((text for name, _, text in named if name.strip() in ("flags", "Features")), "").split())


def int8_pays(cpuinfo: Path = CPUINFO) -> bool:
    """True where 8-bit arithmetic is faster and exact."""
    return not _INT8.isdisjoint(flags(cpuinfo))


def bfloat16_pays(cpuinfo: Path = CPUINFO) -> bool:
    """True where bfloat16 arithmetic is faster than float32."""
    return not _BFLOAT16.isdisjoint(flags(cpuinfo))


def quota(root: Path = Path("/")) -> float | None:
    """CPUs of whose time this process may have as much, by the limits of its control groups; None without any.

    Containers and clusters set such limits (``docker run --cpus 1.5``). A group's parents count, too: the least is
    what there is. A process is slowed down when it takes more, so that more threads make it slower.

    Parameters
    ----------
    root
        Folder that holds ``proc`` and ``sys``.
    """
    limits = [_limit(group) for group in _groups(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders that may describe the groups of this process: its own, those above, and what a container sees as root."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0":
            mounts = ("", "unified")
        elif "cpu" in controllers.split(","):
            mounts = (controllers, "cpu")
        else:
            continue
        own = Path(name.lstrip("/"))
        for mount in mounts:
            yield from (root / "sys/fs/cgroup" / mount / part for part in (own, *own.parents) if ".." not in part.parts)


def _limit(group: Path) -> float | None:
    """Time that a group may use in a period, in parts of the period; of both versions of control groups."""
    try:
        if (group / "cpu.max").is_file():
            time, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            time, period = ((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
        used, whole = int(time), int(period)
    except (OSError, ValueError):  # "max": no limit
        return None
    return used / whole if used > 0 and whole > 0 else None
