"""The examples of docs/python.md run as they stand, and print what stands below them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import milopyp
from toys import TOY

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "ribosome.onnx")
    names: dict[str, Any] = {}
    printed = ""
    for kind, block in BLOCKS:
        if kind == "python":
            assert printed == ""
            exec(block, names)
            printed = capsys.readouterr().out
        else:
            assert printed == block
            printed = ""
    assert printed == ""


def test_every_function_is_on_the_page() -> None:
    code = "".join(block for kind, block in BLOCKS if kind == "python")
    functions = {name for name in milopyp.__all__ if name[0].islower()}
    assert functions == set(re.findall(r"milopyp\.([a-z_]+)\(", code))
