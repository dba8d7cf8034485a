"""onnxruntime sends nothing, and keeps nothing about the machine, whoever loads it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys import TOY, clean_phantom, write_tomogram

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "inference/milopyp_inference/engine/runtime.py"
FOLDERS = ("shared", "training", "export", "inference", "benchmarks")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) if path != RUNTIME]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("from milopyp_inference.cli import main; main()", f"a.mrc --model {TOY} --out picks --provider cpu"),
        ("from milopyp_inference import pick; pick(*sys.argv[1:])", f"a.mrc {TOY}"),
        ("from milopyp.cli import main; main()", f"show {TOY}"),
        ("from milopyp.cli import main; main()", "doctor"),
    ],
    ids=["picking", "picking from Python", "showing a model", "doctor"],
)
def test_nothing_is_left_in_the_home_folder(body: str, words: str, tmp_path: Path) -> None:
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    home = tmp_path / "home"
    home.mkdir()
    said = ("ORT_", "XDG_", "MILOPYP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(said)}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {body}", *words.split()], cwd=tmp_path,
        env=environment | {"HOME": str(home)}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # compiled functions, if need be, and which models OpenVINO runs as it should
    kept = (".cache/numba", ".cache/milopyp/numba", ".cache/milopyp/compared")
    files = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert [name for name in files if not name.startswith(kept)] == []


def imports(source: str) -> Iterator[str]:
    """Modules that a source imports, by a statement or by a call with their name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield ast.unparse(node.args[0]).strip("f'\"")


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_nobody_else_imports_onnxruntime(path: Path) -> None:
    assert [name for name in imports(path.read_text(encoding="utf-8")) if name.startswith("onnxruntime")] == []


def test_the_search_finds_every_way() -> None:
    ways = [
        "import onnxruntime as ort",
        "from onnxruntime.quantization import QuantType",
        "def f():\n    import numpy, onnxruntime.capi",
        "import_module('onnxruntime')",
        "importlib.import_module(f'onnxruntime.{name}')",
        "__import__('onnxruntime')",
    ]
    for source in ways:
        assert [name for name in imports(source) if name.startswith("onnxruntime")], source
    assert len([name for name in imports(RUNTIME.read_text(encoding="utf-8")) if name.startswith("onnxruntime")]) == 2
