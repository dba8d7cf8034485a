"""What the source must not contain, whatever it is used for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("shared", "training", "export", "inference") for path in (ROOT / package).rglob("*.py")
)
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
KERNELS = ROOT / "shared/milopyp_shared/kernels.py"  # only files of the same user, see test_kernels.py
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "torch.jit.load", "yaml.load"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls with the name of what is called, as it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> object:
    """The constant that a call gives for an argument; None when it gives none."""
    return next(
        (word.value.value for word in call.keywords if word.arg == name and isinstance(word.value, ast.Constant)), None
    )


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_nothing_in_the_source_runs_what_a_file_brings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported & FORBIDDEN_MODULES == ({"pickle"} if path == KERNELS else set())
    for name, call in calls(tree):
        assert name not in FORBIDDEN_CALLS, f"{name} in line {call.lineno}"
        if name == "torch.load":
            assert keyword(call, "weights_only") is True, f"line {call.lineno}"
        if name in ("np.load", "numpy.load"):
            assert keyword(call, "allow_pickle") is not True, f"line {call.lineno}"
        if name.startswith("subprocess."):
            assert not keyword(call, "shell"), f"line {call.lineno}"
            assert not (call.args and isinstance(call.args[0], ast.Constant)), f"line {call.lineno}"


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    """Each forbidden thing in a file of its own is found."""
    bad = [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "import torch\ntorch.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
    ]
    for number, text in enumerate(bad):
        path = tmp_path / f"{number}.py"
        path.write_text(text + "\n")
        with pytest.raises(AssertionError):
            test_nothing_in_the_source_runs_what_a_file_brings(path)
