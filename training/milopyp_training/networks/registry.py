"""A network by the name in a recipe."""

from __future__ import annotations

from torch import Tensor, nn

from milopyp_shared.errors import InputError
from milopyp_shared.recipe import Recipe

from .section_unet import SectionUNet
from .unet3d import UNet3d

SECTION_UNETS = {"unet_4": 4, "unet_5": 5}


def build_network(recipe: Recipe, where: object = "recipe") -> nn.Module:
    """The untrained network that a recipe names; `where` is the file it comes from.

    Raises
    ------
    InputError
        An unknown architecture, or parameters that it does not have.
    """
    options = recipe.architecture_options
    try:
        if recipe.architecture == "unet3d":
            return UNet3d(**options, grey_limits=recipe.grey.limits)
        if recipe.architecture in SECTION_UNETS:
            return SectionUNet(SECTION_UNETS[recipe.architecture], **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{recipe.architecture} with {options} cannot be built ({error})",
            where=where,
            expected="what milopyp-train writes into its recipe",
        ) from error
    known = ", ".join(["unet3d", *SECTION_UNETS])
    raise InputError(
        f"unknown architecture {recipe.architecture!r}",
        where=where,
        expected=f"one of {known}",
        remedy="Update milopyp: pip install -U milopyp.",
    )


def picking_logits(network: nn.Module, sections: Tensor) -> Tensor:
    """Heat-map logits ``(b, z, y/2, x/2)`` of grey levels ``(b, z, y, x)`` in 0..1, whatever the network."""
    if isinstance(network, SectionUNet):
        logits, _ = network(sections, embed=False)
        return logits.squeeze(1)
    result: Tensor = network(sections)
    return result
