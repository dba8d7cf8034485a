"""What is doubtful in a tomogram's header: said in one line each, or refused."""

from __future__ import annotations

from .errors import ContradictionError
from .imod_header import FURTHEST, ROUNDING, Three, middle
from .store_facts import store_doubts
from .tomogram import Tomogram, TomogramHeader

DIFFERENT = 0.05  # particles that are longer along one axis by more are not what a network has seen


def header_warnings(header: TomogramHeader, *, one_size: bool = True) -> list[str]:
    """One sentence, with its W number, for everything in a header that is not taken as it stands.

    Parameters
    ----------
    one_size
        Whether the command takes voxels for cubes, as networks do; False: it counts by each axis's own size.
    """
    warnings, placement = [], header.mrc.placement
    if (size := header.frame.voxel_size) and _difference(size) > ROUNDING:
        warnings.append(_taken_for_cubes(size) if one_size else _left_as_they_are(size))
    if placement.origin is None:
        warnings.append(
            f"W10 the origin in the header is no number, or beyond {FURTHEST:g} lengths of the volume: models are "
            "taken and written as drawn on this volume"
        )
    if header.mrc.absent:
        warnings.append(
            f"W11 the header announces {header.mrc.absent} bytes before the voxels that are not there: the file is as "
            "long as its voxels alone"
        )
    missed = getattr(header.stored, "missed", 0) if isinstance(header, Tomogram) else 0
    return warnings + store_doubts(header.path, missed)


def refuse_unequal_voxels(header: TomogramHeader, option: str = "--voxel-size") -> None:
    """Refuse a volume whose voxels are longer along one axis, unless the user has said one size by `option`.

    Raises
    ------
    ContradictionError
        They differ by more than `DIFFERENT`.
    """
    size = header.frame.voxel_size
    if size is not None and _difference(size) > DIFFERENT:
        raise ContradictionError(
            f"the header says voxels of {_sizes(size)} A",
            where=header.path,
            expected=f"the same size along x, y and z within {DIFFERENT:.0%}",
            remedy=f"If only the header is wrong, give {option}; else resample it.",
        )


def _taken_for_cubes(size: Three) -> str:
    return f"W09 voxels of {_sizes(size)} A, taken as {middle(size):.4g}: --voxel-size says one size"


def _left_as_they_are(size: Three) -> str:
    later = "refuse them" if _difference(size) > DIFFERENT else f"take {middle(size):.4g}"
    return (
        f"W09 voxels of {_sizes(size)} A: each axis counts by its own; milopyp-train and milopyp-infer {later} without "
        "--voxel-size"
    )


def _difference(size: Three) -> float:
    """Of the largest to the smallest, as a part of the latter."""
    return max(size) / min(size) - 1


def _sizes(size: Three) -> str:
    return " x ".join(f"{value:.4g}" for value in size)
