"""Recipes for containers, of which none can be built in the tests: what they copy, install and call is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPES = sorted((ROOT / "examples/containers").iterdir())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipe(path: Path) -> None:
    text = path.read_text()
    [extras] = set(re.findall(r"^ARG EXTRAS=(.*)$|\.whl\)\[([a-z,]+)\]", text, re.M))
    assert set("".join(extras).split(",")) <= set(PROJECT["optional-dependencies"])
    assert text.count(f"examples/containers/{path.name}") == 1
    assert "dist/milopyp-*.whl" in text and (ROOT / "constraints.txt").is_file()
    called = set(re.findall(r"milopyp(?:-infer|-train|-export)?(?= )", text)) & {*PROJECT["scripts"]}
    assert {"milopyp", "milopyp-infer"} <= called
    assert f"python:{PROJECT['requires-python'].removeprefix('>=')}-slim" in text


def test_both_kinds_of_recipe_install_the_same() -> None:
    for docker, apptainer in (("Dockerfile", "milopyp.def"), ("Dockerfile.gpu", "milopyp-gpu.def")):
        extras = re.findall(r"EXTRAS=([a-z,]+)$", (ROOT / "examples/containers" / docker).read_text(), re.M)[-1]
        assert f".whl)[{extras}]" in (ROOT / "examples/containers" / apptainer).read_text()
