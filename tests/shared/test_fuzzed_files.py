"""Damaged files of every kind: read, or refused with a MilopypError. `make fuzz` goes on where this stops."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import READERS, read_whatever

TOKENS = [
    b"nan", b"inf", b"-1", b"1e999", b"99999999999999999999", b"0", b"\x00", b"\xff\xfe", b"\n", b"\r\n", b"\t", b'"',
    b"{", b"]", b",", b"#", b"\xef\xbb\xbf", b"_rlnCoordinateX #1", b"loop_", b"../..", "é".encode(), b"-0.0", b"true",
    b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"OBJT", b"CONT", b"IMAT", b"IEOF",
]  # fmt: skip

Edit = tuple[str, float, float, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "delete", "insert", "truncate", "repeat"]),
        st.floats(0, 1), st.floats(0, 0.2), st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def damaged(content: bytes, edits: list[Edit]) -> bytes:
    """The bytes with parts of them replaced, removed, added, cut off or repeated."""
    for what, place, length, token in edits:
        start = int(place * len(content))
        end = min(start + max(int(length * len(content)), 1), len(content))
        part = content[start:end]
        middle = {"replace": token, "delete": b"", "insert": token + part, "repeat": part * 2}
        content = content[:start] + middle.get(what, b"") + (b"" if what == "truncate" else content[end:])
    return content


@pytest.mark.parametrize("kind", sorted(READERS))
@settings(max_examples=120)
@given(edits=EDITS)
def test_damaged_files(kind: str, edits: list[Edit], tmp_path: Path) -> None:
    reader = READERS[kind]
    good = tmp_path / f"good{reader.suffix}"
    if not good.exists():
        reader.make(good)
        assert read_whatever(reader, tmp_path / f"a{reader.suffix}", good.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_whatever(reader, tmp_path / f"a{reader.suffix}", damaged(good.read_bytes(), edits))


@pytest.mark.parametrize("kind", sorted(READERS))
@settings(max_examples=60)
@given(content=st.binary(max_size=300))
def test_any_bytes(kind: str, content: bytes, tmp_path: Path) -> None:
    read_whatever(READERS[kind], tmp_path / f"a{READERS[kind].suffix}", content)
