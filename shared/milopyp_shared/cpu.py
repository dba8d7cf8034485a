"""What the CPU can do, from the kernel's description of it."""

from __future__ import annotations

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
