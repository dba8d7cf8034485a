"""bfloat16 where it pays: several times faster on GPUs and on CPUs that multiply in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from milopyp_shared import cpu


def bfloat16_pays(device: torch.device) -> bool:
    """Whether `device` is one of them."""
    return device.type == "cuda" or cpu.bfloat16_pays()


def trains_in_bfloat16(device: torch.device, *, whole_patches: bool) -> bool:
    """Whether training pays in bfloat16 on `device`, and is right there.

    Parameters
    ----------
    whole_patches
        Patches have the sections that the preset means: of layers with two of them, PyTorch 2.13 leaves parts of the
        weights' gradient unset on CPUs.
    """
    return bfloat16_pays(device) and (device.type == "cuda" or whole_patches)


def mixed(network: Callable[..., Any]) -> Callable[..., Any]:
    """A network, or a part of what it does, under autocast; its results back in float32."""

    def run(*inputs: Any) -> Any:
        with torch.autocast(inputs[0].device.type, torch.bfloat16):
            result = network(*inputs)
        return tuple(part.float() for part in result) if isinstance(result, tuple) else result.float()

    return run
