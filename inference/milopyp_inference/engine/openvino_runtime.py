"""OpenVINO as a package: imported here and nowhere else, and what may stand in its way."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module, metadata, util
from typing import Any

from .runtime import first_line

MINIMUM = (2026, 4)  # the one that was compared with onnxruntime
_PACKAGES = ("openvino", "openvino-nightly")
_TELEMETRY = "openvino_telemetry"


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    The Python package imports tools of its own that keep an identifier of the user in the home folder as soon as the
    package ``openvino_telemetry`` can be imported; they do without it.

    Raises
    ------
    ImportError
        It is not there, or cannot be loaded.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        return import_module("openvino")
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def openvino_core() -> Any:
    """The only ``Core`` of this process, which lives as long as it does.

    The first network that a core compiles gives the thread another stack for signals, which goes with the core; where
    the older of two cores goes first, the stack that the younger one restores is gone, and the next signal, such as
    Ctrl-C, ends the process (seen with 2026.4).
    """
    return _core_of(import_openvino())


@cache
def _core_of(package: Any) -> Any:
    return package.Core()


def obstacle_to_openvino() -> str | None:
    """Why it cannot be used on this machine; None when it can."""
    if util.find_spec("openvino") is None:
        return "it is not installed"
    both = sorted(_installed().intersection(_PACKAGES))
    if len(both) > 1:
        return f"{' and '.join(both)} are both installed, and share one folder"
    try:
        package = import_openvino()
        version: str = package.__version__
        if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < MINIMUM:
            wanted = ".".join(map(str, MINIMUM))
            return f"openvino {version.partition('-')[0]} is older than {wanted}"
        if "CPU" not in openvino_core().available_devices:
            return "it has no plugin for this CPU"
    except (ImportError, AttributeError, RuntimeError) as error:
        return f"it cannot be loaded ({first_line(error)})"
    return None


def obstacle_to_bf16() -> str | None:
    """Why nothing can be computed in bf16 here; None when it can."""
    if reason := obstacle_to_openvino():
        return f"OpenVINO cannot be used, {reason}"
    return None if has_bf16(openvino_core()) else "this CPU has no bf16 arithmetic"


def has_bf16(core: Any) -> bool:
    """Whether this CPU multiplies bf16 numbers itself."""
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _installed() -> set[str]:
    return {(entry.metadata["Name"] or "").lower() for entry in metadata.distributions()}
