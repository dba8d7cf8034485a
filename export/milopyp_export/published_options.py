"""What is said about a published checkpoint's training, on the command line and in ``opt.txt`` beside it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_shared import axes
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.recipe import Recipe

OPTIONS_FILE = "opt.txt"

_OUR_SOURCE = re.compile(r"\s+#\s*(given|default|preset)$")
_LARGEST_SIGMA, _LARGEST_DIAMETER = 100.0, 1000.0


@dataclass(frozen=True)
class TrainingFacts:
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


def with_options_file(path: Path, facts: TrainingFacts, architecture: str) -> TrainingFacts:
    """`facts`, filled up from ``opt.txt`` beside the checkpoint `path`, a network called `architecture`.

    Raises
    ------
    InputError
        ``opt.txt`` cannot be read, or a value in it is none.
    ContradictionError
        `facts` and ``opt.txt`` say different things, or ``opt.txt`` belongs to another network.
    """
    where = path.parent / OPTIONS_FILE
    if not where.is_file():
        return facts
    options, ours = read_options(where)
    if options.get("arch", architecture) != architecture:
        raise ContradictionError(
            f"says arch {options['arch']}, but {path.name} is a {architecture}",
            where=where,
            expected="the options of this checkpoint's training",
            remedy="Move it away, or put the right one there.",
        )
    there = TrainingFacts(
        gauss=_number(options, "gauss", where, 0.0, _LARGEST_SIGMA),
        compress=_yes_or_no(options, "compress", where),
        order=_order(options, where, ours),
        bbox=_number(options, "bbox", where, 2.0, _LARGEST_DIAMETER),
    )
    if facts.order == axes.AUTO and there.order is not None:
        facts = replace(facts, order=None)
    for name in ("gauss", "compress", "order", "bbox"):
        note = f" (order {options['order']} in its own words)" if name == "order" and not ours and there.order else ""
        _compare(name, getattr(facts, name), getattr(there, name), where, note)
    return replace(there, **{name: value for name, value in vars(facts).items() if value is not None})


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


def reconcile(recipe: Recipe, facts: TrainingFacts, path: Path) -> Recipe:
    """The recipe of one of our checkpoints, beside what the command line says: nothing may contradict it.

    A voxel size and an order that the recipe does not have are taken over.

    Raises
    ------
    ContradictionError
        The command line says something else; both values are named.
    """
    order = None if facts.order == axes.AUTO else facts.order
    own = TrainingFacts(
        recipe.grey.sigma[2], recipe.grey.pairing != "none", recipe.order, recipe.diameter, recipe.voxel_size
    )
    for name in ("gauss", "compress", "order", "bbox", "voxel_size"):
        _compare(name, getattr(replace(facts, order=order), name), getattr(own, name), path)
    return replace(recipe, voxel_size=recipe.voxel_size or facts.voxel_size, order=recipe.order or order)


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
