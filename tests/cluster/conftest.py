"""The tests of this folder run on a cluster of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from one_node import missing, one_node


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """SLURM's commands work while it is in use."""
    if why := missing():
        if os.environ.get("MILOPYP_NO_SKIP"):
            pytest.fail(why)
        pytest.skip(why)
    with one_node():
        yield
