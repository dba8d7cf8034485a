"""What a wheel of milopyp holds: every module, the markers of typed packages, the files that modules read."""

from __future__ import annotations

import importlib.util
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / path
    for path in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of a wheel's files but for those that describe it."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def sources() -> set[str]:
    """Files of the packages, as a wheel should name them."""
    return {
        str(path.relative_to(package.parent))
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_holds_the_packages_and_nothing_else(names: set[str]) -> None:
    assert names == sources()
    assert {name.split("/")[0] for name in names} == {
        "milopyp", "milopyp_shared", "milopyp_simulation", "milopyp_training", "milopyp_learning", "milopyp_export",
        "milopyp_inference",
    }  # fmt: skip
    assert {"milopyp/pages/viewer.js", "milopyp/commands/report/report.js"} <= names
    assert {f"milopyp_shared/pretrained/features.{kind}" for kind in ("npz", "onnx", "json")} <= names


def test_every_package_says_that_it_is_typed(names: set[str]) -> None:
    assert {f"{package.name}/py.typed" for package in PACKAGES} <= names


def test_every_folder_of_modules_is_a_package(names: set[str]) -> None:
    """Without its ``__init__.py`` a folder would be a namespace, which type checkers and import contracts pass over."""
    folders = {str(Path(name).parent) for name in names if name.endswith(".py")}
    assert {f"{folder}/__init__.py" for folder in folders} <= names
