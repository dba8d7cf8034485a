"""What the CPU can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from milopyp_shared import cpu


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
