"""Checkpoints of the published program: its network from the weights, its recipe from what else is known.

A published ``.pth`` is a dictionary with ``epoch``, ``state_dict`` (names with or without the prefix ``module.``) and
perhaps ``optimizer``. It does not say how the tomograms were prepared; that is in ``opt.txt``, which the program leaves
beside it, or has to be given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from milopyp_shared import axes, grey
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.recipe import Recipe, Threshold
from milopyp_training.unet2d import SectionUNet

OPTIONS_FILE = "opt.txt"
ARCHITECTURES = {4: "unet_4", 5: "unet_5"}
THRESHOLD = Threshold(0.25, "not determined: a published checkpoint carries none; see the scores of a test run")

# Entries that picking does not read: counters, and the projection head, which only training needs.
_OPTIONAL = re.compile(r"\.num_batches_tracked$|^proj\.")
_OUR_SOURCE = re.compile(r"\s+#\s*(given|default|preset)$")
_KERNELS = range(1, 64, 2)
_LARGEST_SIGMA, _LARGEST_DIAMETER = 100.0, 1000.0


@dataclass(frozen=True)
class Stated:
    """What is said about a checkpoint's training; None where nothing is said.

    Attributes
    ----------
    gauss
        Sigma of the Gaussian filter, voxels.
    compress
        Two sections are made one.
    order
        Axis order of the training tomograms, our word or ``auto``.
    bbox
        Particle diameter, voxels.
    voxel_size
        Angstrom.
    """

    gauss: float | None = None
    compress: bool | None = None
    order: str | None = None
    bbox: float | None = None
    voxel_size: float | None = None


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
    known: Stated

    @property
    def architecture(self) -> str:
        """``unet_4`` or ``unet_5``."""
        return ARCHITECTURES[self.network.levels]

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


def read(stored: dict[str, Any], path: Path, stated: Stated) -> tuple[SectionUNet, Recipe]:
    """The network and the recipe of a published checkpoint.

    Parameters
    ----------
    stored
        The content of `path`, read without running code from it.
    stated
        What the command line says; the rest comes from ``opt.txt`` beside the checkpoint.

    Raises
    ------
    InputError
        No published checkpoint, entries that are missing, unexpected or of another shape, or facts that neither
        `stated` nor ``opt.txt`` says.
    ContradictionError
        `stated` and ``opt.txt`` say different things, or ``opt.txt`` belongs to another network.
    """
    network = read_network(stored, path)
    return network, complete(_partial(network, stored, path, stated), path)


def summarise(stored: dict[str, Any], path: Path) -> Partial:
    """What a published checkpoint and ``opt.txt`` beside it say; raises as `read` does, but for what is unknown."""
    return _partial(read_network(stored, path), stored, path, Stated())


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
            remedy=f"Give {_listed(words)} as in its training.",
        )
    known = partial.known
    assert known.gauss is not None and known.compress is not None and known.bbox is not None
    return Recipe(
        architecture=partial.architecture,
        architecture_options={"last_k": partial.network.last_k},
        preset="published",
        grey=grey.published(known.gauss, known.compress),
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
    if levels not in ARCHITECTURES:
        some = ", ".join(list(weights)[:2])
        found = f"a U-Net of {levels} levels" if levels else f"entries of another network ({some}, ...)"
        raise InputError(
            f"its state_dict holds {found}", where=path, expected="unet_4 or unet_5 of the published program"
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
                expected=f"the {len(wanted)} entries of {ARCHITECTURES[levels]}",
                remedy="Give the checkpoint as the published program wrote it.",
            )
    for name, value in weights.items():
        if value.shape != wanted[name].shape:
            sizes = [" x ".join(map(str, tensor.shape)) or "a number" for tensor in (value, wanted[name])]
            raise InputError(f"{name} is {sizes[0]}", where=path, expected=f"{sizes[1]}, as in {ARCHITECTURES[levels]}")
        if not torch.isfinite(value).all():
            raise InputError(
                f"{name} holds NaN or infinite numbers",
                where=path,
                expected="finite weights",
                remedy="Its training went wrong: give the checkpoint of an earlier epoch.",
            )
    network.load_state_dict(wanted | weights)
    return network.eval()


def agree(recipe: Recipe, stated: Stated, path: Path) -> Recipe:
    """The recipe of one of our checkpoints, beside what the command line says: nothing may contradict it.

    A voxel size and an order that the recipe does not have are taken over.

    Raises
    ------
    ContradictionError
        The command line says something else; both values are named.
    """
    order = None if stated.order == axes.AUTO else stated.order
    own = Stated(recipe.grey.sigma[2], recipe.grey.pairing != "none", recipe.order, recipe.diameter, recipe.voxel_size)
    for name in ("gauss", "compress", "order", "bbox", "voxel_size"):
        _compare(name, getattr(replace(stated, order=order), name), getattr(own, name), path)
    return replace(recipe, voxel_size=recipe.voxel_size or stated.voxel_size, order=recipe.order or order)


def read_options(path: Path) -> tuple[dict[str, str], bool]:
    """Options in an ``opt.txt`` (lines ``  name: value``), and whether milopyp wrote it (order words are its own then).

    Raises
    ------
    InputError
        The file cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=path, expected="the options of a training run") from error
    ours = any(_OUR_SOURCE.search(line) for line in lines)
    found = (re.match(r"\s+(\w+):\s*(.*?)\s*$", _OUR_SOURCE.sub("", line) if ours else line) for line in lines)
    return {match[1]: match[2] for match in found if match}, ours


def _partial(network: SectionUNet, stored: dict[str, Any], path: Path, stated: Stated) -> Partial:
    epoch = stored.get("epoch")
    return Partial(
        network, epoch if isinstance(epoch, int) else None, _known(path, stated, ARCHITECTURES[network.levels])
    )


def _known(path: Path, stated: Stated, architecture: str) -> Stated:
    """`stated`, filled up from ``opt.txt`` beside the checkpoint."""
    where = path.parent / OPTIONS_FILE
    if not where.is_file():
        return stated
    options, ours = read_options(where)
    if options.get("arch", architecture) != architecture:
        raise ContradictionError(
            f"says arch {options['arch']}, but {path.name} is a {architecture}",
            where=where,
            expected="the options of this checkpoint's training",
            remedy="Move it away, or put the right one there.",
        )
    there = Stated(
        gauss=_number(options, "gauss", where, 0.0, _LARGEST_SIGMA),
        compress=_yes_or_no(options, "compress", where),
        order=_order(options, where, ours),
        bbox=_number(options, "bbox", where, 2.0, _LARGEST_DIAMETER),
    )
    if stated.order == axes.AUTO and there.order is not None:
        stated = replace(stated, order=None)
    for name in ("gauss", "compress", "order", "bbox"):
        note = f" (order {options['order']} in its own words)" if name == "order" and not ours and there.order else ""
        _compare(name, getattr(stated, name), getattr(there, name), where, note)
    return replace(there, **{name: value for name, value in vars(stated).items() if value is not None})


def _compare(name: str, given: Any, known: Any, where: Path, note: str = "") -> None:
    """Refuse an option that says something else than a file."""
    if given is None or known is None:
        return
    same = math.isclose(given, known, rel_tol=1e-3) if isinstance(known, float) else given == known
    if not same:
        raise ContradictionError(
            f"says {_spell(name, known)}{note}, but the command line says {_spell(name, given)}",
            where=where,
            expected="the same, or nothing",
            remedy=f"Leave {_spell(name, given).split()[0]} out, or give the checkpoint it belongs to.",
        )


def _spell(name: str, value: Any) -> str:
    if name == "compress":
        return "--compress" if value else "--no-compress"
    return f"--{name.replace('_', '-')} {value:g}" if isinstance(value, float) else f"--{name} {value}"


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


def _number(options: dict[str, str], name: str, where: Path, least: float, most: float) -> float | None:
    text = options.get(name)
    if text is None or text == "None":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InputError(f"{name} is {text!r}", where=where, expected=f"a number from {least:g} to {most:g}")
    return value


def _yes_or_no(options: dict[str, str], name: str, where: Path) -> bool | None:
    text = options.get(name)
    if text is None or text == "None":
        return None
    if text not in ("True", "False"):
        raise InputError(f"{name} is {text!r}", where=where, expected="True or False")
    return text == "True"


def _order(options: dict[str, str], where: Path, ours: bool) -> str | None:
    word = options.get("order")
    if word is None or word == "None":
        return None
    if ours:
        if word not in (*axes.ORDERS, axes.AUTO):
            raise InputError(f"order is {word!r}", where=where, expected=f"one of {', '.join(axes.ORDERS)}")
        return word
    try:
        return axes.from_published(word)
    except InputError as error:
        raise InputError(error.found, where=where, expected=error.expected) from error


def _listed(names: Sequence[str]) -> str:
    """The first few of a list of names, and how many there are."""
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
