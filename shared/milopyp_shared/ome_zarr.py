"""What the metadata of OME-Zarr say of a tomogram: its levels, which axis is which, where its voxels are.

Source: the specification of OME-NGFF, versions 0.4 and 0.5 (``multiscales``, ``axes``, ``coordinateTransformations``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from .errors import ContradictionError, InputError
from .imod_header import Three

ANGSTROM = {
    "angstrom": 1.0, "picometer": 1e-2, "nanometer": 10.0, "micrometer": 1e4, "millimeter": 1e7, "meter": 1e10,
}  # fmt: skip
METADATA = "the metadata of one image of OME-Zarr 0.4 or 0.5"
_SPACE = "zyx"


class _Axis(Struct):
    name: str
    unit: str | None = None


class _Transformation(Struct):
    type: str
    scale: list[float] | None = None
    translation: list[float] | None = None


class _Dataset(Struct, rename={"transformations": "coordinateTransformations"}):
    path: str
    transformations: list[_Transformation]


class _Image(Struct, rename={"transformations": "coordinateTransformations"}):
    axes: list[_Axis]
    datasets: list[_Dataset]
    transformations: list[_Transformation] = []


@dataclass(frozen=True)
class Level:
    """One size of a tomogram.

    Attributes
    ----------
    path
        Of its array, from the image's group on.
    scale
        Of a voxel along x, y and z, in the unit of the axes.
    voxel_size
        Angstrom along x, y and z; None where the axes have no unit.
    origin
        Position of the first voxel, Angstrom, x, y, z; zeros where the axes have no unit.
    """

    path: str
    scale: Three
    voxel_size: Three | None
    origin: Three


@dataclass(frozen=True)
class Image:
    """The levels of a tomogram, the largest first, and which axes of their arrays are z, y and x."""

    levels: tuple[Level, ...]
    dimensions: int
    zyx: tuple[int, int, int]


def is_image(attributes: object) -> bool:
    """Whether the attributes of a group are those of an image."""
    return _listed(attributes) is not None


def read_image(attributes: object, where: Path) -> Image:
    """What the attributes of a group say.

    Parameters
    ----------
    attributes
        As they stand in ``zarr.json`` or ``.zattrs``.
    where
        The group, for messages.

    Raises
    ------
    InputError
        They are not those of one image of version 0.4 or 0.5, or have axes or units that no tomogram has.
    ContradictionError
        Scales that do not fit the axes, or each other.
    """
    listed = _listed(attributes)
    if listed is None:
        raise InputError("holds no multiscales", where=where, expected=METADATA)
    if not isinstance(listed, list) or len(listed) != 1:
        found = f"multiscales of {len(listed)} images" if isinstance(listed, list) else "multiscales that are no list"
        raise InputError(found, where=where, expected=METADATA)
    try:
        stored = msgspec.convert(listed[0], _Image)
    except msgspec.ValidationError as error:
        raise InputError(f"multiscales in another form ({error})", where=where, expected=METADATA) from error
    if not stored.datasets:
        raise InputError("multiscales without datasets", where=where, expected=METADATA)
    zyx, count = _space(stored.axes, where), len(stored.axes)
    units = _units([stored.axes[axis] for axis in zyx], where)
    outer_scale, outer_shift = _scale_and_shift(stored.transformations, count, where, "the multiscales")
    levels = []
    for dataset in stored.datasets:
        scale, shift = _scale_and_shift(dataset.transformations, count, where, f"level {dataset.path}", needed=True)
        own = [scale[axis] * outer_scale[axis] for axis in zyx]
        origin = [shift[axis] * outer_scale[axis] + outer_shift[axis] for axis in zyx]
        levels.append(_level(dataset.path, own, origin, units))
    _refuse_disorder(levels, where)
    return Image(tuple(levels), count, zyx)


def _listed(attributes: object) -> Any:
    """The multiscales, where version 0.5 or 0.4 has them."""
    for holder in (attributes.get("ome"), attributes) if isinstance(attributes, dict) else ():
        if isinstance(holder, dict) and "multiscales" in holder:
            return holder["multiscales"]
    return None


def _space(axes: Sequence[_Axis], where: Path) -> tuple[int, int, int]:
    names = [axis.name for axis in axes]
    others = [name for name in names if name not in _SPACE]
    if len(set(names)) < len(names) or any(name not in names for name in _SPACE) or not set(others) <= {"t", "c"}:
        raise InputError(
            f"axes {', '.join(map(repr, names)) or 'without names'}",
            where=where,
            expected="z, y and x, and beside them t and c at most",
        )
    z, y, x = (names.index(name) for name in _SPACE)
    return z, y, x


def _units(axes: Sequence[_Axis], where: Path) -> list[float] | None:
    """Angstrom per unit of z, y and x; None where they have none."""
    found = [axis.unit for axis in axes]
    if all(unit is None for unit in found):
        return None
    if unknown := [unit for unit in found if unit not in ANGSTROM]:
        raise InputError(
            f"{'axes without a unit beside others' if unknown[0] is None else f'the unit {unknown[0]!r}'}",
            where=where, expected=f"{', '.join(ANGSTROM)} for all of z, y and x, or nothing",
        )  # fmt: skip
    return [ANGSTROM[str(unit)] for unit in found]


def _level(path: str, scale: Sequence[float], origin: Sequence[float], units: Sequence[float] | None) -> Level:
    """A level from its scale and origin along z, y and x."""
    if units is None:
        return Level(path, _xyz(scale), None, (0.0, 0.0, 0.0))
    size, place = (_xyz([value * unit for value, unit in zip(along, units, strict=True)]) for along in (scale, origin))
    return Level(path, _xyz(scale), size, place)


def _scale_and_shift(
    given: Sequence[_Transformation], count: int, where: Path, whose: str, *, needed: bool = False
) -> tuple[list[float], list[float]]:
    """A scale and what is added after it, per axis of the arrays."""
    kinds = [one.type for one in given if one.type != "identity"]
    if kinds not in (["scale"], ["scale", "translation"]) and (kinds or needed):
        _contradict(f"{whose} has {' and '.join(kinds) or 'no transformations'}", where)
    scale, shift = [1.0] * count, [0.0] * count
    for one in given:
        if one.type == "scale":
            scale = _numbers(one.scale, count, where, f"a scale of {whose}")
        elif one.type == "translation":
            shift = _numbers(one.translation, count, where, f"a translation of {whose}")
    if min(scale, default=1.0) <= 0:
        _contradict(f"a scale of {whose} is {min(scale):g}", where)
    return scale, shift


def _numbers(given: list[float] | None, count: int, where: Path, whose: str) -> list[float]:
    if given is None or len(given) != count:
        _contradict(f"{whose} has {len(given or ())} numbers for {count} axes", where)
    if not all(map(math.isfinite, given)):
        _contradict(f"{whose} has a number that is not finite", where)
    return given


def _refuse_disorder(levels: Sequence[Level], where: Path) -> None:
    for number, (one, following) in enumerate(pairwise(levels)):
        if one.scale == following.scale or any(a > b for a, b in zip(one.scale, following.scale, strict=True)):
            _contradict(
                f"level {number + 1} has voxels of {_sizes(following.scale)}, and level {number} of "
                f"{_sizes(one.scale)}",
                where,
            )


def _contradict(found: str, where: Path) -> NoReturn:
    raise ContradictionError(
        found,
        where=where,
        expected="one scale, above 0, and at most one translation after it, with a number for each axis; larger voxels "
        "from level to level",
        remedy="Correct the coordinateTransformations.",
    )


def _sizes(scale: Three) -> str:
    return " x ".join(f"{value:.4g}" for value in scale)


def _xyz(zyx: Sequence[float]) -> Three:
    z, y, x = zyx
    return x, y, z
