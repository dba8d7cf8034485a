"""Checkpoints of the published program: its network from the weights, its recipe from what else is known.

A published ``.pth`` is a dictionary with ``epoch``, ``state_dict`` (names with or without the prefix ``module.``) and
perhaps ``optimizer``. It does not say how the tomograms were prepared; that is in ``opt.txt``, which the program leaves
beside it, or has to be given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from milopyp_shared import axes, preprocessing
from milopyp_shared.calibration import Threshold
from milopyp_shared.errors import InputError
from milopyp_shared.recipe import Recipe
from milopyp_training.networks.registry import NETWORKS, trained_by
from milopyp_training.networks.section_unet import SectionUNet

from .published_options import OPTIONS_FILE, TrainingFacts, with_options_file

THRESHOLD = Threshold(0.25, "not determined: a published checkpoint carries none; see the scores of a test run")

# Entries that picking does not read: counters, and the projection head, which only training needs.
_OPTIONAL = re.compile(r"\.num_batches_tracked$|^proj\.")
_KERNELS = range(1, 64, 2)


@dataclass(frozen=True)
class Partial:
    """What is known of a published checkpoint.

    Attributes
    ----------
    network
        With its weights, in evaluation mode.
    epoch
        As stored; None when it is not.
    known
        How it was trained, as far as that is said.
    """

    network: SectionUNet
    epoch: int | None
    known: TrainingFacts

    @property
    def architecture(self) -> str:
        """``unet_4`` or ``unet_5``."""
        return _name(self.network.levels)

    @property
    def unknown(self) -> list[str]:
        """Options that nothing says and without which nothing can be picked."""
        return [name for name in _SPELLED if getattr(self.known, name) is None]


_SPELLED = {
    "gauss": "--gauss SIGMA",
    "compress": "--compress or --no-compress",
    "order": "--order WORD",
    "bbox": "--bbox DIAMETER",
}


def read(stored: dict[str, Any], path: Path, facts: TrainingFacts) -> tuple[SectionUNet, Recipe]:
    """The network and the recipe of a published checkpoint.

    Parameters
    ----------
    stored
        The content of `path`, read without running code from it.
    facts
        What the command line says; the rest comes from ``opt.txt`` beside the checkpoint.

    Raises
    ------
    InputError
        No published checkpoint, entries that are missing, unexpected or of another shape, or facts that neither
        `facts` nor ``opt.txt`` says.
    ContradictionError
        `facts` and ``opt.txt`` say different things, or ``opt.txt`` belongs to another network.
    """
    network = read_network(stored, path)
    return network, complete(_partial(network, stored, path, facts), path)


def summarise(stored: dict[str, Any], path: Path) -> Partial:
    """What a published checkpoint and ``opt.txt`` beside it say; raises as `read` does, but for what is unknown."""
    return _partial(read_network(stored, path), stored, path, TrainingFacts())


def complete(partial: Partial, path: Path) -> Recipe:
    """The recipe, when nothing is unknown.

    Raises
    ------
    InputError
        Something is; all of it is named.
    """
    if partial.unknown:
        words = [_SPELLED[name] for name in partial.unknown]
        raise InputError(
            "a published checkpoint does not say how it was trained: "
            f"{_listed([word.split()[0] for word in words])} unknown",
            where=path,
            expected=f"the options of its training, or the {OPTIONS_FILE} of its training beside it",
            remedy=f"Give milopyp-export {_listed(words)} as in its training.",
        )
    known = partial.known
    assert known.gauss is not None and known.compress is not None and known.bbox is not None
    return Recipe(
        architecture=partial.architecture,
        architecture_options={"last_k": partial.network.last_k},
        preset="published",
        grey=preprocessing.published(known.gauss, known.compress),
        geometry=partial.network.geometry(),
        diameter=known.bbox,
        threshold=THRESHOLD,
        voxel_size=known.voxel_size,
        versions={"milopyp": version("milopyp"), "torch": torch.__version__},
        flips=1,
        order=None if known.order == axes.AUTO else known.order,
    )


def read_network(stored: dict[str, Any], path: Path) -> SectionUNet:
    """The network of a published checkpoint, in evaluation mode: depth and last kernel are seen from the weights.

    Raises
    ------
    InputError
        As `read`.
    """
    weights = _weights(stored, path)
    levels = 1 + max(
        (int(match[1]) for name in weights if (match := re.match(r"unet\.down_convs\.(\d+)\.", name))), default=-1
    )
    architecture = _name(levels)
    if architecture not in NETWORKS:
        some = ", ".join(list(weights)[:2])
        found = f"a U-Net of {levels} levels" if levels else f"entries of another network ({some}, ...)"
        raise InputError(
            f"its state_dict holds {found}",
            where=path,
            expected=f"{' or '.join(trained_by('published'))} of the published program",
        )
    last = weights.get("feature_head.2.weight")
    edge = int(last.shape[-1]) if last is not None and last.ndim == 5 else 3
    network = SectionUNet(levels, last_k=edge if edge in _KERNELS else 3)
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in weights and not _OPTIONAL.search(name)]
    unexpected = [name for name in weights if name not in wanted]
    for names, what in ((missing, "lacks"), (unexpected, "has unexpected")):
        if names:
            raise InputError(
                f"its state_dict {what} {_listed(names)}",
                where=path,
                expected=f"the {len(wanted)} entries of {architecture}",
                remedy="Give the checkpoint as the published program wrote it.",
            )
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            sizes = [" x ".join(map(str, tensor.shape)) or "a number" for tensor in (value, wanted[name])]
            raise InputError(f"{name} is {sizes[0]}", where=path, expected=f"{sizes[1]}, as in {architecture}")
        if not torch.isfinite(value).all():
            raise InputError(
                f"{name} holds NaN or infinite numbers",
                where=path,
                expected="finite weights",
                remedy="Its training went wrong: give the checkpoint of an earlier epoch.",
            )
    network.load_state_dict(wanted | weights)
    return network.eval()


def _name(levels: int) -> str:
    """The published networks are called after their number of levels."""
    return f"unet_{levels}"


def _partial(network: SectionUNet, stored: dict[str, Any], path: Path, facts: TrainingFacts) -> Partial:
    epoch = stored.get("epoch")
    known = with_options_file(path, facts, _name(network.levels))
    return Partial(network, epoch if isinstance(epoch, int) else None, known)


def _weights(stored: dict[str, Any], path: Path) -> dict[str, torch.Tensor]:
    weights = stored.get("state_dict")
    if not isinstance(weights, dict) or not weights:
        found = ", ".join(map(str, list(stored)[:3])) or "nothing"
        raise InputError(
            f"is no checkpoint: it holds {found}",
            where=path,
            expected="one of milopyp-train, or one of the published program (epoch, state_dict)",
            remedy="Give a model_*.pth.",
        )
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise InputError(
                f"its state_dict's {str(name)[:60]!r} is a {type(value).__name__}", where=path, expected="tensors"
            )
    return {name.removeprefix("module."): value for name, value in weights.items()}


def _listed(names: Sequence[str]) -> str:
    """The first few of a list of names, and how many there are."""
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
