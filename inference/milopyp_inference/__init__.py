"""Inference without PyTorch: an ONNX file and tomograms in, picks out.

From Python: ``from milopyp_inference import open_model, pick, heat_map``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import heat_map, open_model, pick

__all__ = ["heat_map", "open_model", "pick"]


def __getattr__(name: str) -> Any:
    """Load what is asked for only then: the command's help must not pay for it."""
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
