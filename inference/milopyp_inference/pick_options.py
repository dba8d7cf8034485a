"""Which picks are wanted: what the command line and the model say of decoding, together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from milopyp_shared.axes import NO_TURN
from milopyp_shared.commandline import spelled
from milopyp_shared.errors import UsageError
from milopyp_shared.option_types import ANGSTROM
from milopyp_shared.particles import case_hint, of_class

if TYPE_CHECKING:  # the help must not pay for what these modules load
    from pathlib import Path

    from milopyp_shared.recipe import Recipe

    from .batch.records import PickOptions
    from .decode.published import PublishedOptions
    from .options import InferOptions


FIBRE_OPTIONS = ("distance_cutoff", "r2_cutoff", "curvature_cutoff", "distance_scale")
TYPED = {
    "threshold": "out_thresh", "limit": "limit", "margin": "margin", "exclusive": "exclusive",
    "with_score": "with_score", "coords": "coords", "formats": "formats", "turn": "turn",
}  # fmt: skip
PUBLISHED_OPTIONS = ("nms", "cutoff_z", "fiber", *FIBRE_OPTIONS)


@dataclass(frozen=True)
class Decoding:
    """How a heat map becomes picks, as far as that does not depend on the model.

    Attributes
    ----------
    thresholds
        Picks score above them, by class or called "" for all; None, or absent: the model's suggestion.
    formats
        Other formats that the picks are written in, too.
    published
        Decode as the published program does.
    mask_distance
        Angstrom from the mask's surface, from and to.
    """

    thresholds: Mapping[str, float | None]
    formats: tuple[str, ...]
    published: PublishedOptions | None
    mask_distance: tuple[float, float] | None = None


def decoding(options: InferOptions) -> Decoding:
    """Everything that the options say of decoding.

    Raises
    ------
    UsageError
        One that is wrong, or has no effect beside the others.
    """
    thresholds, published = parse_thresholds(options.out_thresh or "auto"), published_options(options)
    formats = parse_formats(options.formats, published is not None)
    return Decoding(thresholds, formats, published, mask_distance(options))


def mask_distance(options: InferOptions) -> tuple[float, float] | None:
    """What ``--mask-distance`` gives.

    Raises
    ------
    UsageError
        It is no range, or it or ``--normals`` stands without what it is measured from.
    """
    if options.mask_distance is None:
        if options.normals:
            raise UsageError(
                "has no effect", where="--normals", expected="--mask and --mask-distance beside it",
                remedy="Say how far from the mask's surface picks may lie, such as --mask-distance 0:150.",
            )  # fmt: skip
        return None
    found = parse_range(options.mask_distance)
    if options.mask is None:
        raise UsageError(
            "has no effect", where="--mask-distance", expected="--mask beside it: a membrane, or an organelle"
        )
    return found


def parse_thresholds(text: str) -> dict[str, float | None]:
    """What ``--out-thresh`` gives, by class, "" where there is none.

    Raises
    ------
    UsageError
        As `parse_threshold`, or one class twice.
    """
    parts = [part.rpartition("=") for part in text.split(",")]
    if len({name.strip() for name, _, _ in parts}) < len(parts):
        raise UsageError(f"{text}", where="--out-thresh", expected="one score, or one for each class: ribosome=0.3")
    return {name.strip(): parse_threshold(score.strip()) for name, _, score in parts}


def parse_threshold(text: str) -> float | None:
    """A number; None for ``auto``.

    Raises
    ------
    UsageError
        Neither.
    """
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{text}", where="--out-thresh", expected="a score from 0 to 1, or auto")
    return value


def parse_range(text: str) -> tuple[float, float]:
    """Angstrom from a surface: ``0:150`` or ``-40A:150A``.

    Raises
    ------
    UsageError
        Not two numbers with a colon between them, the smaller one first.
    """
    try:
        nearest, farthest = (float(part.strip().rstrip("".join(ANGSTROM))) for part in text.split(":"))
    except ValueError:
        nearest, farthest = math.inf, -math.inf
    if not (-math.inf < nearest < farthest < math.inf):
        raise UsageError(
            f"{text!r}", where="--mask-distance",
            expected="two distances in Angstrom, the smaller one first, such as 0:150; below 0 is inside the mask",
        )  # fmt: skip
    return nearest, farthest


def parse_formats(text: str | None, published: bool) -> tuple[str, ...]:
    """The words of ``--format``.

    Raises
    ------
    UsageError
        An unknown one, or any beside ``--published``.
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
    return tuple(dict.fromkeys(word for word in words if word not in always))


def published_options(options: InferOptions) -> PublishedOptions | None:
    """How to decode as the published program does; None without ``--published``.

    Raises
    ------
    UsageError
        An option that has no effect beside the others, or an even ``--nms``.
    """
    if not options.published:
        if given := options.given(*PUBLISHED_OPTIONS):
            raise UsageError(
                "has no effect: double picks are told apart by distance, and nothing is cut off at the borders",
                where=spelled(*given),
                expected="it beside --published only",
                remedy="Give --published to pick as the published program does, or leave it out.",
            )
        return None
    _refuse_beside_published(options)

    from .decode.filaments import FibreOptions
    from .decode.published import PublishedOptions

    fibre = FibreOptions(**options.given(*FIBRE_OPTIONS)) if options.fiber else None
    limit = {} if options.limit is None else {"limit": options.limit[""]}
    return PublishedOptions(**limit, **options.given("nms", "cutoff_z"), fibre=fibre)


def _refuse_beside_published(options: InferOptions) -> None:
    """Raise an error for what the published program does not know."""
    if options.coords is not None:
        raise UsageError(
            f"{options.coords} beside --published",
            where="--coords",
            expected="one of them: the published text is whole voxel indices x z y",
            remedy="Leave --coords out; NAME.mod is right for IMOD.",
        )
    if options.turn != NO_TURN:
        raise UsageError(
            "given beside --published", where="--turn",
            expected="one of them: the published text is x z y, whatever the tomogram's file",
        )  # fmt: skip
    if named := options.given("names", "tomograms"):
        raise UsageError(
            "given beside --published", where=spelled(*named), expected="one of them: the published text has no names"
        )
    if measured := options.given("mask_distance", "normals"):
        raise UsageError(
            "given beside --published", where=spelled(*measured),
            expected="one of them: the published program knows no distances", remedy="Leave --published out.",
        )  # fmt: skip
    if options.rescale:
        raise UsageError(
            "given beside --published",
            where="--rescale",
            expected="one of them: the published program picks whole voxels of the tomogram as it is",
            remedy="Leave --published out.",
        )
    if not options.fiber and (fibre := options.given(*FIBRE_OPTIONS)):
        raise UsageError("has no effect on single particles", where=spelled(*fibre), expected="it beside --fiber only")
    if options.nms is not None and options.nms % 2 == 0:
        raise UsageError(f"{options.nms}", where="--nms", expected="an odd number: a window is centred on a voxel")


def check_classes(options: InferOptions, decoding: Decoding, recipe: Recipe, where: Path) -> None:
    """Refuse what is asked of a class that the model does not find, or of several where there is one.

    Raises
    ------
    UsageError
        There is something.
    """
    names = [one.particle for one in recipe.classes]
    said = {
        "--out-thresh": decoding.thresholds, "--K": options.limit, "--margin": options.margin,
        "--object": options.object,
    }  # fmt: skip
    for option, values in said.items():
        if unknown := [name for name in values or () if name and name not in names]:
            found = f"one of {', '.join(names)}" if names[0] else "a value without a class"
            raise UsageError(
                f"class {', '.join(unknown)}", where=option, expected=f"{found}, as {where.name} finds them",
                remedy=case_hint(unknown, names),
            )  # fmt: skip
    if len(names) > 1 and decoding.published is not None:
        raise UsageError(
            "the published program picks one class", where="--published",
            expected=f"a model of one; {where.name} finds {', '.join(names)}",
        )  # fmt: skip
    if len(names) == 1 and not options.exclusive:
        raise UsageError(
            "changes nothing", where="--no-exclusive", expected="a model of several classes", remedy="Leave it out."
        )


def pick_options(options: InferOptions, decoding: Decoding, recipe: Recipe) -> PickOptions:
    """All that changes results, with what the model suggests where the command line says nothing; of one class."""
    from .batch.records import PickOptions
    from .decode.select import Selection

    threshold = of_class(decoding.thresholds, recipe.particle, None)
    return PickOptions(
        selection=Selection(
            threshold=recipe.threshold.score if threshold is None else threshold,
            distance=recipe.suppression_distance,
            limit=None if decoding.published else of_class(options.limit, recipe.particle, None),
            margin=of_class(options.margin, recipe.particle, 0.0),
            exclusive=options.exclusive,
        ),
        order=options.order,
        voxel_size=options.voxel_size,
        contrast=options.contrast,
        flips=None if options.flips is None else int(options.flips),
        rescale=options.rescale,
        with_score=options.with_score,
        coords=options.coords or "model2point",
        formats=decoding.formats,
        turn=options.turn,
        mask=None if options.mask is None else str(options.mask),
        mask_distance=decoding.mask_distance,
        normals=options.normals,
        precision=options.precision,
        published=decoding.published,
    )


def typed_options(options: InferOptions) -> tuple[str, ...]:
    """Names, as `batch.chosen` has them, of the options that need no network and stand on the command line."""
    return tuple(name for name, given in TYPED.items() if _is_typed(options, given))


def _is_typed(options: InferOptions, name: str) -> bool:
    value = getattr(options, name)
    return not value if name == "exclusive" else bool(options.given(name)) and value != NO_TURN


def threshold_note(threshold: float | None, recipe: Recipe) -> str:
    """What there is to say of the threshold: the model's suggestion, or what it expects of another one."""
    suggestion, expected = recipe.threshold, recipe.calibration
    of = recipe.particle and f"{recipe.particle}: "
    if threshold is None:
        return f"{of}threshold {suggestion.score:.2f} ({suggestion.basis})"
    if expected is None:
        return ""
    precision, recall = expected.at(threshold)
    return f"{of}threshold {threshold:.2f}: expected precision {precision:.2f}, recall {recall:.2f}"
