"""The reference values in the repository are the reference values."""

from __future__ import annotations

from filecmp import cmp
from pathlib import Path


def test_copies_equal_their_originals(golden: Path, reference: Path) -> None:
    copies = [path for path in golden.rglob("*") if path.is_file()]
    changed = [path for path in copies if not cmp(path, reference / "golden" / path.relative_to(golden), shallow=False)]
    assert copies and not changed
