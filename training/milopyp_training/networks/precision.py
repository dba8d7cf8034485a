"""bfloat16 where it pays: several times faster on GPUs and on CPUs that multiply in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from milopyp_shared import cpu
from milopyp_shared.recipe import Geometry

FEWEST_SECTIONS = 4  # of the coarsest level, with which gradients were seen to be right


def bfloat16_pays(device: torch.device) -> bool:
    """Whether `device` is one of them."""
    return device.type == "cuda" or cpu.bfloat16_pays()


def right_on_cpus(patch: tuple[int, int, int], geometry: Geometry) -> bool:
    """Whether training on such a patch ``(z, y, x)`` is right in bfloat16 on CPUs.

    Of layers with two sections, PyTorch 2.13 leaves parts of the weights' gradient unset: whatever lies in that memory
    goes into the weights.
    """
    return patch[0] // geometry.alignment[0] >= FEWEST_SECTIONS


def trains_in_bfloat16(device: torch.device, *, on_cpus: bool) -> bool:
    """Whether training pays in bfloat16 on `device`, and is right there; on CPUs only if `on_cpus`."""
    return bfloat16_pays(device) and (device.type == "cuda" or on_cpus)


def mixed(network: Callable[..., Any]) -> Callable[..., Any]:
    """A network, or a part of what it does, under autocast; its results back in float32."""

    def run(*inputs: Any) -> Any:
        with torch.autocast(inputs[0].device.type, torch.bfloat16):
            result = network(*inputs)
        return tuple(part.float() for part in result) if isinstance(result, tuple) else result.float()

    return run
