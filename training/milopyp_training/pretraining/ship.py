"""From a finished pre-training to the files that every installation has."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import torch

from milopyp_shared.pretrained_weights import Description, NetworkOptions, write_pretrained

from ..networks.pretrained import HEAD
from ..networks.unet3d import UNet3d
from .domain import KNOWN
from .settings import PretrainingSettings


def ship(network: UNet3d, settings: PretrainingSettings, folder: Path) -> None:
    """Write the weights of `network`, without a head, and what they are.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    state = network.state_dict()
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items() if not name.startswith(HEAD)}
    description = Description(
        architecture="unet3d",
        options=NetworkOptions(**network.architecture_options),
        grey=settings.grey,
        diameters=KNOWN,
        settings={entry.name: str(getattr(settings, entry.name)) for entry in fields(settings)},
        versions={"milopyp": version("milopyp"), "torch": torch.__version__},
    )
    write_pretrained(folder, arrays, description)
