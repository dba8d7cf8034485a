"""onnxruntime as a package: imported here and nowhere else, which kinds of it are installed, and what it raises."""

from __future__ import annotations

import os
from importlib import import_module, metadata
from typing import Any

from milopyp_shared.errors import ContradictionError, MissingDependency

_SHARE_A_FOLDER = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")


def import_onnxruntime(submodule: str = "") -> Any:
    """Import onnxruntime, or a submodule of it by its dotted name, with telemetry switched off.

    Since 1.29 it keeps an identifier of the machine and a database of events in the user's cache folder and sends
    them, unless it is told otherwise before its library is loaded. Builds for Windows that record events by the
    system's means are told afterwards.

    Raises
    ------
    ImportError
        It is not there, or cannot be loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for child processes, too; any other value means on
    package = import_module("onnxruntime")
    getattr(package, "disable_telemetry_events", lambda: None)()
    return import_module(f"onnxruntime.{submodule}") if submodule else package


def load_onnxruntime() -> Any:
    """Import onnxruntime for a session.

    Raises
    ------
    MissingDependency
        It is not there, or not whole.
    """
    try:
        package = import_onnxruntime()
        package.InferenceSession  # noqa: B018 - missing when one of two that shared a folder was removed
    except (ImportError, AttributeError) as error:
        raise MissingDependency(
            "onnxruntime is not installed, or in part only",
            remedy="Run: pip install --force-reinstall 'milopyp[cpu]' (or [gpu]).",
        ) from error
    return package


def installed_runtimes() -> dict[str, str]:
    """Installed distributions of onnxruntime and their versions; more than one is a broken installation."""
    found = {}
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name == "onnxruntime" or name.startswith("onnxruntime-"):
            found[name] = distribution.version
    return found


def refuse_two_runtimes(found: dict[str, str]) -> None:
    """Refuse onnxruntime beside onnxruntime-gpu: they install into the same folder and spoil each other.

    Raises
    ------
    ContradictionError
        Both are installed.
    """
    both = [name for name in _SHARE_A_FOLDER if name in found]
    if len(both) > 1:
        raise ContradictionError(
            f"{' and '.join(both)} are both installed, and share one folder",
            expected="one of them",
            remedy=f"Run: pip uninstall {' '.join(both)}, then pip install the one that you want.",
        )


def runtime_errors() -> tuple[type[BaseException], ...]:
    """What onnxruntime raises: classes without a common base of their own, and plain ones."""
    state = import_onnxruntime("capi.onnxruntime_pybind11_state")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, KeyError)


def first_line(error: BaseException) -> str:
    """What an error says, without what follows."""
    return str(error).partition("\n")[0][:200]
