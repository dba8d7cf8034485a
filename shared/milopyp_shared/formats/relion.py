"""Particles in STAR files under RELION's labels: those of RELION 3 to 5 and of Warp.

Numbers are kept as the file has them; what they count is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..names import bare
from ..textfile import fixed, read_lines
from .star import Block, Floats, read_star, write_tables

VOXELS = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTRED = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
TOMOGRAM, MICROGRAPH = "rlnTomoName", "rlnMicrographName"
SCORE = "rlnAutopickFigureOfMerit"
SCORES = (SCORE, "rlnLCCmax")  # the second one is pytom-match-pick's
CLASS = "rlnClassNumber"
OPTICS_GROUP, OPTICS_GROUP_NAME = "rlnOpticsGroup", "rlnOpticsGroupName"
PARTICLE_FILE = "rlnTomoImportParticleFile"
NOT_SET = -999.0  # what RELION writes for a figure that it does not know
_BEYOND = 1.0  # the size of the tomogram, that normalised coordinates may lie outside by

_ORIGIN_VOXELS = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")
_ORIGIN_ANGSTROM = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_SUBTOMOGRAM_ANGLES = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")


@dataclass(frozen=True, eq=False)
class Particles:
    """Particles of one tomogram, numbers as in the file.

    Attributes
    ----------
    name
        Of the tomogram: rlnTomoName as it is, rlnMicrographName without folder and ending; None when there is neither.
    xyz
        ``(n, 3)`` coordinates, in the unit of their labels.
    origin_voxels, origin_angstrom
        ``(n, 3)`` refined shifts along the tomogram's axes, to be subtracted from the coordinates; zeros where the
        file has none.
    score
        ``(n,)``, the first of `SCORES` that is there, or None; NaN where RELION's `NOT_SET` stands.
    class_number
        ``(n,)``; None without such a column, NaN where `NOT_SET` stands.
    normalised
        The coordinates of the whole file lie in 0..1: they count sizes of the tomogram, as those of WarpTools' template
        matching do.
    """

    name: str | None
    xyz: Floats
    origin_voxels: Floats
    origin_angstrom: Floats
    score: Floats | None
    class_number: Floats | None = None
    normalised: bool = False

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Particles:
        score, class_number = (None if own is None else own[chosen] for own in (self.score, self.class_number))
        places = (self.xyz[chosen], self.origin_voxels[chosen], self.origin_angstrom[chosen])
        return Particles(self.name, *places, score, class_number, self.normalised)


def kind_of(path: Path) -> str | None:
    """The format whose coordinates a STAR file's labels name; None where they name none, or two kinds of them.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    labels = {line.split()[0][1:] for _, line in read_lines(path) if line.lstrip().startswith("_")}
    centred, in_voxels = CENTRED[0] in labels, VOXELS[0] in labels
    if centred == in_voxels:
        return None
    if centred:
        return "relion5"
    return "relion4" if TOMOGRAM in labels else "warp"


def read_all_particles(path: str | Path, coordinates: Sequence[str]) -> dict[str | None, Particles]:
    """Particles of all tomograms by the name that the file has for them; None: a file without names.

    Parameters
    ----------
    coordinates
        `VOXELS` or `CENTRED`.

    Raises
    ------
    InputError
        Not a STAR file, no such coordinates, a value that is no number.
    """
    groups = _by_tomogram(path, coordinates)
    return {name: _particles(*own, coordinates) for name, own in groups.items()}


@dataclass(frozen=True)
class Written:
    """What a file has of one tomogram.

    Attributes
    ----------
    name
        What stands as its name, which `can_name` accepts.
    xyz, score
        ``(n, 3)`` coordinates and ``(n,)``.
    numbers
        Further labels, and what stands there for each of the particles; the same labels for all tomograms.
    angles
        ``(n, 3)`` of `ANGLES`, for all tomograms or for none.
    """

    name: str
    xyz: Floats
    score: Floats
    numbers: Mapping[str, int] = field(default_factory=dict)
    angles: Floats | None = None

    @property
    def columns(self) -> Floats:
        """Coordinates, angles and scores side by side."""
        return np.column_stack([self.xyz, *([] if self.angles is None else [self.angles]), self.score])


def write_particles(
    path: str | Path,
    tomograms: Sequence[Written],
    *,
    block: str,
    name_label: str,
    coordinates: Sequence[str],
    optics: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write the particles of tomograms as the table ``data_BLOCK``, six decimals.

    Parameters
    ----------
    name_label
        `TOMOGRAM` or `MICROGRAPH`.
    coordinates
        `VOXELS` or `CENTRED`, what they count.
    optics
        Rows of the table ``data_optics``, which goes before; none: there is no such table.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    more = list(tomograms[0].numbers) if tomograms else []
    angles = ANGLES if any(own.angles is not None for own in tomograms) else ()
    rows = [
        [own.name, *(fixed(value, 6) for value in row), *(str(own.numbers[label]) for label in more)]
        for own in tomograms
        for row in own.columns.tolist()
    ]
    tables = {"optics": (list(optics[0]), [list(own.values()) for own in optics])} if optics else {}
    write_tables(path, {**tables, block: ([name_label, *coordinates, *angles, SCORE, *more], rows)})


def _with_labels(path: str | Path, coordinates: Sequence[str]) -> Block:
    blocks = read_star(path)
    fitting = [block for block in blocks.values() if all(label in block.labels for label in coordinates)]
    if not fitting:
        known = [labels[0] for labels in (VOXELS, CENTRED) if any(labels[0] in b.labels for b in blocks.values())]
        other = "relion5" if coordinates == VOXELS else "relion4 or warp"
        raise InputError(
            f"has no table with {', '.join(coordinates)}",
            where=path,
            expected="a STAR file with particles",
            remedy=f"It has {known[0]}: give --from {other}." if known else "Is it the list of tomograms?",
        )
    return blocks["particles"] if blocks.get("particles") in fitting else fitting[0]


def _is_normalised(block: Block, coordinates: Sequence[str]) -> bool:
    """Whether all coordinates lie in 0..1 and are more than zeros: no particle lies in the first voxel's corner.

    Raises
    ------
    InputError
        They lie a little beyond: nobody has all particles in the first two voxels.
    """
    xyz = block.numbers(coordinates)
    if coordinates != VOXELS or not xyz.any() or xyz.min() < -_BEYOND or xyz.max() > 1 + _BEYOND:
        return False
    if xyz.min() < 0 or xyz.max() > 1:
        if (xyz == np.rint(xyz)).all():
            return False
        raise InputError(
            f"coordinates of {xyz.min():g} to {xyz.max():g}", where=block.path,
            expected="voxels, or all of them in 0..1, the parts of a tomogram that WarpTools writes",
            remedy="Take out the particles that lie outside.",
        )  # fmt: skip
    return True


def _subtomogram_axes(degrees: Floats) -> Floats:
    """``(n, 3, 3)`` matrices that take shifts of pseudo-subtomograms to the tomogram's axes.

    RELION subtracts them so (`ParticleSet::getPosition`, particle_set.cpp), with the matrix of its Euler angles
    (`Euler::anglesToMatrix3`): turns about z, y and z again, transposed.
    """
    (c1, c2, c3), (s1, s2, s3) = np.cos(np.radians(degrees.T)), np.sin(np.radians(degrees.T))
    rows = [
        [c3 * c2 * c1 - s3 * s1, c3 * c2 * s1 + s3 * c1, -c3 * s2],
        [-s3 * c2 * c1 - c3 * s1, -s3 * c2 * s1 + c3 * c1, s3 * s2],
        [s2 * c1, s2 * s1, c2],
    ]
    return np.array(rows).transpose(2, 0, 1)


def _by_tomogram(path: str | Path, coordinates: Sequence[str]) -> dict[str | None, tuple[Block, str | None, bool]]:
    """Of each tomogram by its name in the file: its rows, what it is called, and whether the file is normalised."""
    block = _with_labels(path, coordinates)
    label = next((label for label in (TOMOGRAM, MICROGRAPH) if label in block.labels), None)
    normalised = _is_normalised(block, coordinates)
    if label is None or not block.rows:
        return {None: (block, None, normalised)}
    groups: dict[str, Block] = {}
    for name, row, line in zip(block.words(label), block.rows, block.lines, strict=True):
        if (own := groups.get(name)) is None:
            own = groups[name] = replace(block, rows=[], lines=[])
        own.rows.append(row)
        own.lines.append(line)
    return {name: (own, name if label == TOMOGRAM else bare(name), normalised) for name, own in groups.items()}


def _particles(block: Block, name: str | None, normalised: bool, coordinates: Sequence[str]) -> Particles:
    """The rows of one tomogram as numbers."""
    axes = _subtomogram_axes(block.numbers(_SUBTOMOGRAM_ANGLES))
    in_voxels, angstrom = (
        np.einsum("nij,nj->ni", axes, block.numbers(labels)) for labels in (_ORIGIN_VOXELS, _ORIGIN_ANGSTROM)
    )
    score, class_number = _figure(block, SCORES), _figure(block, (CLASS,))
    return Particles(name, block.numbers(coordinates), in_voxels, angstrom, score, class_number, normalised)


def _figure(block: Block, labels: Sequence[str]) -> Floats | None:
    """The first of some columns that is there, ``(n,)``, with NaN for `NOT_SET`."""
    there = [label for label in labels if label in block.labels]
    if not there:
        return None
    values = block.numbers(there[:1])[:, 0]
    return np.where(values == NOT_SET, np.nan, values)
