"""Fixtures that all tests share."""

from __future__ import annotations

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before anything loads PyTorch; see milopyp_training
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # tests import onnxruntime themselves; see test_telemetry

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DATA = Path(__file__).parent / "data"
LONG = ("faults", "training", "end_to_end", "export")  # folders whose files are few and take long


def _keep_to_one_core() -> None:
    """Where there is a worker for every core, threads of one only get in another's way."""
    worker, count = os.environ.get("PYTEST_XDIST_WORKER"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if count >= len(cores):
            os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def _can_be_interrupted() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so does all that it starts, which tests interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# The same examples each time, so that what fails was broken by the change at hand; `make properties` draws others.
# A busy machine, and kernels that are compiled on first use, are no reason to fail.
settings.register_profile(
    "milopyp",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    derandomize="MILOPYP_RANDOM" not in os.environ,
)
settings.load_profile("milopyp")
_keep_to_one_core()
_can_be_interrupted()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker has it left at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests leave in a cache is none of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILOPYP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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
