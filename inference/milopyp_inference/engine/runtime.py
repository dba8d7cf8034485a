"""onnxruntime as a package: imported here and nowhere else, which kinds of it are installed, and what it raises."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

from milopyp_shared.errors import ContradictionError, MissingDependency

MINIMUM = (1, 24)  # heat maps of earlier ones differ from PyTorch's by up to 0.006
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
        It is not there, not whole, or older than `MINIMUM`.
    """
    try:
        package = import_onnxruntime()
        package.InferenceSession  # noqa: B018 - missing when one of two that shared a folder was removed
    except (ImportError, AttributeError) as error:
        if util.find_spec("onnxruntime") is None:
            raise MissingDependency(
                "onnxruntime is not installed", remedy="Run: pip install 'milopyp[cpu]' (or [gpu])."
            ) from error
        raise MissingDependency(
            "onnxruntime is installed in part only",
            remedy="Run: pip install --force-reinstall 'milopyp[cpu]' (or [gpu]).",
        ) from error
    if release(package) < MINIMUM:
        raise MissingDependency(
            f"onnxruntime {package.__version__} answers otherwise than the network that was trained",
            expected=f"{'.'.join(map(str, MINIMUM))} or newer",
            remedy="Run: pip install -U 'milopyp[cpu]' (or [gpu]).",
        )
    return package


def release(package: Any) -> tuple[int, ...]:
    """The first two numbers of the version of an onnxruntime."""
    return tuple(int(part) for part in package.__version__.split(".")[:2] if part.isdecimal())


@dataclass(frozen=True)
class Runtime:
    """An installed distribution of onnxruntime; `used` is what `import onnxruntime` finds in its folder."""

    name: str
    version: str
    folder: Path
    used: bool

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + ("" if self.used else f" in {self.folder} (not used)")


def installed_runtimes() -> list[Runtime]:
    """All of them, in the order of Python's path; of several folders the first one with the package counts."""
    used, found = _imported_from(), dict[Runtime, None]()
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower()
        if name == "onnxruntime" or name.startswith("onnxruntime-"):
            folder = Path(str(distribution.locate_file(""))).resolve()
            found[Runtime(name, distribution.version, folder, folder == (used or folder))] = None
    return list(found)


def refuse_two_runtimes(found: Iterable[Runtime]) -> None:
    """Refuse onnxruntime beside onnxruntime-gpu in the folder that is used: they spoil each other's files.

    Raises
    ------
    ContradictionError
        Both are installed there.
    """
    used = {runtime.name for runtime in found if runtime.used}
    both = [name for name in _SHARE_A_FOLDER if name in used]
    if len(both) > 1:
        raise ContradictionError(
            f"{' and '.join(both)} are both installed, and share one folder",
            expected="one of them",
            remedy=f"Run: pip uninstall {' '.join(both)}, then pip install the one that you want.",
        )


def _imported_from() -> Path | None:
    """The folder in which Python finds onnxruntime; None where it finds none, or what is left of one."""
    try:
        spec = util.find_spec("onnxruntime")
    except ValueError:
        return None
    return Path(spec.origin).resolve().parents[1] if spec and spec.origin else None


def runtime_errors() -> tuple[type[BaseException], ...]:
    """What onnxruntime raises: classes without a common base of their own, and plain ones."""
    state = import_onnxruntime("capi.onnxruntime_pybind11_state")
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, KeyError)


def first_line(error: BaseException) -> str:
    """What an error says, without what follows."""
    return str(error).partition("\n")[0][:200]
