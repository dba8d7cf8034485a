"""milopyp from Python: pick tomograms, read and write picks, and judge them; and the command group ``milopyp``.

    import milopyp

    picks = milopyp.pick("tomogram.mrc", "model.onnx")
    milopyp.write_picks("tomogram.star", picks, "tomogram.mrc", "relion5")

What goes wrong is a `MilopypError`. Nothing is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milopyp_inference.api import heat_map, open_model, pick
    from milopyp_shared.errors import MilopypError
    from milopyp_shared.matching import Evaluation
    from milopyp_shared.picks import Picks
    from milopyp_shared.tomogram import open_tomogram

    from .evaluation import evaluate
    from .pick_files import read_picks, write_picks

__all__ = [
    "Evaluation",
    "MilopypError",
    "Picks",
    "evaluate",
    "heat_map",
    "open_model",
    "open_tomogram",
    "pick",
    "read_picks",
    "write_picks",
]

_MODULES = {
    "Evaluation": "milopyp_shared.matching",
    "MilopypError": "milopyp_shared.errors",
    "Picks": "milopyp_shared.picks",
    "evaluate": "milopyp.evaluation",
    "heat_map": "milopyp_inference.api",
    "open_model": "milopyp_inference.api",
    "open_tomogram": "milopyp_shared.tomogram",
    "pick": "milopyp_inference.api",
    "read_picks": "milopyp.pick_files",
    "write_picks": "milopyp.pick_files",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for only then."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """The names of the public face."""
    return sorted(__all__)
