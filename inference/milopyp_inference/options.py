"""Options looked at before any work: alone, beside each other, and beside what the model file says of itself."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milopyp_shared.commandline import spelled
from milopyp_shared.errors import ContradictionError, InputError, MilopypError, UsageError
from milopyp_shared.lists import ImageEntry

if TYPE_CHECKING:  # the help must not pay for what these modules load
    from milopyp_shared.preprocessing import Sections
    from milopyp_shared.recipe import Recipe

    from .batch.records import PickOptions
    from .decode.published import PublishedOptions
    from .engine.machine import Machine
    from .engine.model import Model

DEFAULT_OUT = Path("picks")
EXPERIMENTS = Path("exp/semi")
FIBRE_OPTIONS = ("distance_cutoff", "r2_cutoff", "curvature_cutoff", "distance_scale")
PUBLISHED_OPTIONS = ("nms", "cutoff_z", "fiber", *FIBRE_OPTIONS)


def threshold(text: str) -> float | None:
    """The number that ``--out-thresh`` gives; None for ``auto``."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{text}", where="--out-thresh", expected="a score from 0 to 1, or auto")
    return value


def formats(text: str | None, published: bool) -> tuple[str, ...]:
    """The words of ``--format``.

    Raises
    ------
    UsageError
        An unknown or a repeated one, two of one suffix, or any beside ``--published``.
    """
    if text is None:
        return ()
    from milopyp_shared.formats.registry import FORMATS

    if published:
        raise UsageError(
            "given beside --published", where="--format",
            expected="one of them: the published program has its own text", remedy="Convert it: milopyp convert.",
        )  # fmt: skip
    words = tuple(word.strip() for word in text.split(","))
    always = ("txt", "mod")
    known = [word for word, row in FORMATS.items() if row.write is not None and word not in always]
    for word in words:
        if word not in (*known, *always):
            raise UsageError(f"{word!r}", where="--format", expected=f"words of {', '.join(known)}, with commas")
    others = tuple(dict.fromkeys(word for word in words if word not in always))
    suffixes = [FORMATS[word].suffixes[0] for word in others]
    if len(set(suffixes)) < len(suffixes):
        raise UsageError(
            " and ".join(word for word, suffix in zip(others, suffixes, strict=True) if suffixes.count(suffix) > 1),
            where="--format", expected="one format of each suffix, since files are named NAME.suffix",
        )  # fmt: skip
    return others


def mask(path: Path | None, images: Sequence[ImageEntry], say: Callable[[str], None], led: bool) -> str | None:
    """The value of ``--mask``, after a look at which tomograms it is for.

    Raises
    ------
    InputError
        No such file or folder, or a folder without a mask of any tomogram.
    """
    if path is None:
        return None
    from milopyp_shared.masks import find_masks

    if not led:  # of a part of the list perhaps none has a mask
        find_masks(path, images, say)
    return str(path)


def published_options(options: Mapping[str, Any]) -> PublishedOptions | None:
    """How to decode as the published program does; None without ``--published``.

    Parameters
    ----------
    options
        Values by option name, None where the command line gives none.

    Raises
    ------
    UsageError
        An option that has no effect beside the others, or an even ``--nms``.
    """
    given = [name for name in PUBLISHED_OPTIONS if options[name] is not None]
    if not options["published"]:
        if given:
            raise UsageError(
                "has no effect: double picks are told apart by distance, and nothing is cut off at the borders",
                where=spelled(*given),
                expected="it beside --published only",
                remedy="Give --published to pick as the published program does, or leave it out.",
            )
        return None
    if options["coords"] is not None:
        raise UsageError(
            f"{options['coords']} beside --published",
            where="--coords",
            expected="one of them: the published text is whole voxel indices x z y",
            remedy="Leave --coords out; NAME.mod is right for IMOD.",
        )
    if options["rescale"]:
        raise UsageError(
            "given beside --published",
            where="--rescale",
            expected="one of them: the published program picks whole voxels of the tomogram as it is",
            remedy="Leave --published out.",
        )
    fibre = {name: options[name] for name in FIBRE_OPTIONS if options[name] is not None}
    if fibre and not options["fiber"]:
        raise UsageError("has no effect on single particles", where=spelled(*fibre), expected="it beside --fiber only")
    if options["nms"] is not None and options["nms"] % 2 == 0:
        raise UsageError(f"{options['nms']}", where="--nms", expected="an odd number: a window is centred on a voxel")

    from .decode.filaments import FibreOptions
    from .decode.published import PublishedOptions

    numbers = {name: options[name] for name in ("limit", "nms", "cutoff_z") if options[name] is not None}
    return PublishedOptions(**numbers, fibre=FibreOptions(**fibre) if options["fiber"] else None)


def against_recipe(options: Mapping[str, Any], recipe: Recipe, where: Path) -> None:
    """Options of the training, which the manual wants repeated, must say what the model file says.

    Raises
    ------
    ContradictionError
        One of them says something else; both values are named.
    """
    grey, last_k = recipe.grey, recipe.architecture_options.get("last_k")
    facts: list[tuple[str, Any, Any]] = [
        ("--arch", options["arch"], recipe.architecture),
        ("--last-k", options["last_k"], last_k),
        ("--gauss", options["gauss"], grey.sigma[2]),
        ("--down-ratio", options["down_ratio"], recipe.geometry.stride[2]),
    ]
    for name, given, trained in facts:
        same = math.isclose(given, trained) if isinstance(given, float) else given == trained
        if given is not None and not same:
            stored = f"no {name}" if trained is None else f"{name} {_plain(trained)}"
            raise _contradiction(f"{name} {_plain(given)}", stored, where)
    paired = grey.pairing != "none"
    if options["compress"] not in (None, paired):
        words = {True: "--compress", False: "--no-compress"}
        raise _contradiction(words[not paired], words[paired], where)


def output_folder(out: Path | None, exp_id: str | None, out_id: str | None) -> Path:
    """Where outputs go: ``--out``, or ``exp/semi/EXP_ID/OUT_ID`` as in the published program.

    Raises
    ------
    UsageError
        Both ways, half of the second, or a name that is more than a folder's name.
    """
    if exp_id is None and out_id is None:
        return out or DEFAULT_OUT
    given = {"--exp-id": exp_id, "--out-id": out_id}
    if out is not None:
        named = " and ".join(name for name, value in given.items() if value is not None)
        raise UsageError(
            f"given beside {named}", where="--out", expected="one place for the outputs",
            remedy=f"Leave --out or {named} out.",
        )  # fmt: skip
    for name, value in given.items():
        if value is None:
            raise UsageError("is missing", where=name, expected="--exp-id and --out-id together, or --out alone")
        if value in ("", ".", "..") or not value.isprintable() or any(letter in value for letter in "/\\"):
            raise UsageError(f"{value!r}", where=name, expected="a plain name without slashes")
    return EXPERIMENTS.joinpath(*map(str, given.values()))


def machine(provider: str, gpus: str | None, threads: int | None, memory: str | None) -> Machine:
    """Where to run: ``--gpus -1`` is ``--provider cpu``, a number names a GPU that is to be used.

    Raises
    ------
    UsageError
        No number, several, a size that is none, or ``--gpus`` and ``--provider`` that contradict each other.
    """
    from .engine.machine import Machine
    from .engine.planning import parse_memory

    device = None
    if gpus is not None:
        word = gpus.strip()
        if word == "-1":
            if provider not in ("auto", "cpu"):
                raise UsageError(
                    f"{provider} beside --gpus -1",
                    where="--provider",
                    expected="one of them: --gpus -1 is the CPU",
                    remedy="Leave --gpus out.",
                )
            provider = "cpu"
        elif word.isdecimal() and provider != "cpu":
            device = int(word)
        else:
            raise UsageError(
                f"{gpus!r}" + (" beside --provider cpu" if provider == "cpu" else ""),
                where="--gpus",
                expected="-1 (the CPU) or the number of one GPU",
                remedy="Leave --gpus out.",
            )
    return Machine(provider, device, threads, None if memory is None else parse_memory(memory))


def memory_suffices(images: Sequence[ImageEntry], options: PickOptions, model: Model) -> None:
    """Refuse a ``--memory`` into which not even the smallest tile of a tomogram fits, before any work.

    Raises
    ------
    UsageError
        It does not.
    """
    seen = set()
    for image in images:
        try:
            z, y, x = _as_seen(image, options, model).shape
        except MilopypError:
            continue
        shape = (-(-z // model.recipe.grey.sections_per_pair), y, x)
        if shape not in seen:
            seen.add(shape)
            model.engine.plan(shape)


def outputs_apart(images: Sequence[ImageEntry], out: Path) -> None:
    """Outputs must not replace what lies beside the tomograms: NAME.txt and NAME.mod are often a person's clicks."""
    for image in images:
        if os.path.realpath(image.path.parent) == os.path.realpath(out):  # Path.resolve raises where links go round
            raise UsageError(
                f"holds the tomogram {image.path.name}",
                where=out,
                expected="a folder of its own, because outputs replace files of the same names (.txt, .mod)",
                remedy="Give another --out.",
            )


def one_is_readable(images: Sequence[ImageEntry], options: PickOptions, model: Model) -> None:
    """Look at headers before any work, up to the first good one: when none is usable, nothing is begun."""
    from milopyp_shared.masks import find_mask, open_mask
    from milopyp_shared.tomogram import open_tomogram

    errors = []
    for image in images:
        try:
            _as_seen(image, options, model)
            if options.mask and (path := find_mask(Path(options.mask), image)):
                open_mask(path, open_tomogram(image.path, options.order))
            return
        except MilopypError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    first = errors[0]
    raise InputError(
        f"{first.found} (none of the {len(errors)} tomograms can be picked)",
        where=first.where, expected=first.expected, remedy=first.remedy,
    )  # fmt: skip


def _as_seen(image: ImageEntry, options: PickOptions, model: Model) -> Sections:
    """The tomogram with the voxels that the network sees."""
    from milopyp_shared.resample import resampled
    from milopyp_shared.tomogram import open_tomogram

    tomogram = open_tomogram(image.path, options.order, options.voxel_size)
    return resampled(tomogram, model.recipe.voxel_size) if options.rescale else tomogram


def _contradiction(given: str, trained: str, where: Path) -> ContradictionError:
    return ContradictionError(
        f"was trained with {trained}, but the command line says {given}",
        where=where,
        expected="the same, or nothing: the file knows how it was trained",
        remedy=f"Leave {given.split()[0]} out, or give the model it belongs to.",
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
