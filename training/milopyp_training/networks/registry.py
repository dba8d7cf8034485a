"""The networks by name: one file and one row each.

Names and presets are read without PyTorch and numpy, which a row needs only when its network is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from milopyp_shared.errors import InputError

if TYPE_CHECKING:
    from milopyp_shared.preprocessing import Preprocessing
    from milopyp_shared.recipe import Recipe

    from .base import PickingNetwork


@dataclass(frozen=True)
class NetworkSpec:
    """A row of `NETWORKS`.

    Attributes
    ----------
    name
        In ``--arch`` and in recipes.
    build
        The untrained network for grey levels made in this way, with parameters as a recipe's
        ``architecture_options`` has them; those that are absent have the network's defaults.
    preset
        The method that trains it: ``default`` wants logits ``(b, z, y, x)`` from ``forward``, ``published`` a pair of
        logits and embedding.
    working_bytes
        Memory per input voxel at work in onnxruntime on the CPU, by the same parameters, measured as
        ``benchmarks/bench_inference.py`` does, the larger one of both graphs of a file. The default is safe for
        networks of the usual size.
    int8_working_bytes
        The same in int8; None: the same number.
    tile_bytes
        The same of the graph for tiles alone, in every precision; None: not known to be less.
    """

    name: str
    build: Callable[[Preprocessing, Mapping[str, int]], PickingNetwork]
    preset: Literal["default", "published"] = "default"
    working_bytes: Callable[[Mapping[str, int]], int] = lambda options: 400
    int8_working_bytes: int | None = None
    tile_bytes: Callable[[Mapping[str, int]], int] | None = None


def _unet3d(grey: Preprocessing, options: Mapping[str, int]) -> PickingNetwork:
    from .unet3d import UNet3d

    return UNet3d(**options, grey_limits=grey.limits)


def _unet3d_bytes(options: Mapping[str, int]) -> int:
    # a narrower network has as much around it
    return max(240, 15 * options.get("channels", 16), 4 * options.get("coarse", 0))


def _unet3d_tile_bytes(options: Mapping[str, int]) -> int:
    return max(132, 8 * options.get("channels", 16))


def _section_unet(levels: int) -> Callable[[Preprocessing, Mapping[str, int]], PickingNetwork]:
    def build(grey: Preprocessing, options: Mapping[str, int]) -> PickingNetwork:
        from .section_unet import SectionUNet

        return SectionUNet(levels, **options)

    return build


NETWORKS = {
    spec.name: spec
    for spec in (
        NetworkSpec("unet3d", _unet3d, working_bytes=_unet3d_bytes, tile_bytes=_unet3d_tile_bytes),
        NetworkSpec("unet_4", _section_unet(4), "published", lambda options: 300, int8_working_bytes=420),
        NetworkSpec("unet_5", _section_unet(5), "published", lambda options: 300, int8_working_bytes=420),
    )
}


def trained_by(preset: Literal["default", "published"]) -> list[str]:
    """Names of the networks that belong to a preset."""
    return [spec.name for spec in NETWORKS.values() if spec.preset == preset]


def build_network(recipe: Recipe, where: object = "recipe") -> PickingNetwork:
    """The untrained network that a recipe names; `where` is the file it comes from.

    Raises
    ------
    InputError
        An unknown architecture, or parameters that it does not have.
    """
    if recipe.architecture not in NETWORKS:
        raise InputError(
            f"unknown architecture {recipe.architecture!r}",
            where=where,
            expected=f"one of {', '.join(NETWORKS)}",
            remedy="Update milopyp: pip install -U milopyp.",
        )
    options = recipe.architecture_options
    try:
        return NETWORKS[recipe.architecture].build(recipe.grey, options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{recipe.architecture} with {options} cannot be built ({error})",
            where=where,
            expected="what milopyp-train writes into its recipe",
        ) from error
