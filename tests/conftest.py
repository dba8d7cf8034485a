"""Fixtures that all tests share."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything loads PyTorch; see milopyp_training
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # tests import onnxruntime themselves; see test_telemetry

from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Small reference files of the published method that live in the repository."""
    return DATA / "golden"


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder with `golden/` and `data/`; skips without MILOPYP_REFERENCE, fails when it is set but wrong."""
    folder = os.environ.get("MILOPYP_REFERENCE")
    if not folder:
        pytest.skip("MILOPYP_REFERENCE is not set: the reference data are not at hand")
    path = Path(folder)
    if not (path / "golden").is_dir() or not (path / "data").is_dir():
        pytest.fail(f"MILOPYP_REFERENCE={folder} holds no golden/ and data/")
    return path
