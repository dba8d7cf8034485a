"""Where each pick format has its zero: its numbers <-> voxels of the inside frame.

The modules beside this one read and write numbers as the files have them; every origin is applied here, and the
sources are in docs/formats.md. Coordinates of all formats but ``csv`` count along the axes of the tomogram's file, X
being the fastest; points without a score get 1.0, that of a person's pick. Readers take a path and a `FormatContext`
and return `Picks`, writers take picks too. All raise `InputError` for a file that is none of their format, and
`UsageError` for a setting that must be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import axes
from ..errors import UsageError
from ..picks import NO_SCORE, Picks
from ..tomogram import Frame
from . import copick, dynamo, eman, mod, star, text
from .candidates import read_candidates, write_candidates

Floats = NDArray[np.float64]

REMEDIES = {
    "order": "Give --tomogram FILE or --order WORD.",
    "size": "Give --tomogram FILE or --shape X Y Z.",
    "voxel_size": "Give --voxel-size ANGSTROM.",
    "coords": "Give --coords model2point (numbers of IMOD's models) or --coords voxel (indices from 0).",
}


@dataclass(frozen=True)
class FormatContext:
    """What is known beside the picks.

    Attributes
    ----------
    order
        Order word of the tomogram's file, or None.
    size
        Of the tomogram's file, voxels, fastest axis first, or None.
    voxel_size
        Angstrom, or None.
    frame
        Of the tomogram itself, when it is at hand: header values that models are placed by.
    coords
        What text counts; None: not said.
    with_score
        Text has a fourth column.
    name
        Tomogram to select; None: there is only one.
    label
        Name of the tomogram to write.
    binning
        Voxel of the tomogram over voxel of the files that count in other voxels.
    dynamo_zero, dynamo_tomogram
        Number of the first voxel, number of the tomogram (None: the only one, or 1).
    radius
        Of spheres in models, voxels.
    particle
        Name of the particle for formats that have one.
    """

    order: str | None = None
    size: tuple[int, int, int] | None = None
    voxel_size: float | None = None
    frame: Frame | None = None
    coords: Literal["model2point", "voxel"] | None = None
    with_score: bool = False
    name: str | None = None
    label: str = "tomogram"
    binning: float = 1.0
    dynamo_zero: int = 1
    dynamo_tomogram: int | None = None
    radius: float = 5.0
    particle: str = "particle"

    @classmethod
    def of(cls, frame: Frame, label: str, **more: Any) -> FormatContext:
        """What a tomogram itself says, and `more`."""
        z, y, x = frame.stored_shape
        return cls(order=frame.order, size=(x, y, z), voxel_size=frame.voxel_size, frame=frame, label=label, **more)

    def require(self, need: str, where: Path) -> Any:
        """The value of ``order``, ``size``, ``voxel_size`` or ``coords``.

        Raises
        ------
        UsageError
            It is not known; the message names the option that says it.
        """
        value = getattr(self, need)
        if value is None:
            what = f"{need.replace('_', ' ')} of the tomogram" if need != "coords" else "meaning of its numbers"
            raise UsageError(f"the {what} is not known", where=where, expected="it to be", remedy=REMEDIES[need])
        return value


@dataclass(frozen=True)
class NamedPicks(Picks):
    """Picks of a file that says the name of their tomogram."""

    name: str | None = None


def _named(picks: Picks, name: str | None) -> NamedPicks:
    return NamedPicks(picks.xyz, picks.score, name)


def _inside(columns: Floats, score: Floats | None, setting: FormatContext) -> Picks:
    """Picks, best first, from voxel indices in file axes; NaN scores and none at all become `NO_SCORE`."""
    values = np.full(len(columns), NO_SCORE) if score is None else np.where(np.isnan(score), NO_SCORE, score)
    best_first = np.argsort(-values, kind="stable")
    return Picks(axes.columns_to_xyz(columns, setting.order or "xyz"), values)[best_first]


def _columns(picks: Picks, setting: FormatContext) -> Floats:
    """Voxel indices in file axes."""
    return axes.xyz_to_columns(picks.xyz, setting.order or "xyz")


def _centre(setting: FormatContext, where: Path) -> Floats:
    """N/2 along each file axis, voxels."""
    return np.array(setting.require("size", where), dtype=np.float64) / 2


# ---------------------------------------------------------------- text, models, candidates


def read_txt(path: Path, setting: FormatContext) -> Picks:
    """Three columns in file axes, with `with_score` a fourth."""
    table = text.read_points(path, extra="score" if setting.with_score else None)
    columns = table[:, :3] - (mod.CENTRE if setting.coords == "model2point" else 0.0)
    return _inside(columns, table[:, 3] if setting.with_score else None, setting)


def write_txt(path: Path, picks: Picks, setting: FormatContext) -> None:
    """As `read_txt`."""
    columns = _columns(picks, setting) + (mod.CENTRE if setting.coords == "model2point" else 0.0)
    text.write_points(path, columns, picks.score if setting.with_score else None)


def read_mod(path: Path, setting: FormatContext) -> Picks:
    """All points of a model, placed as 3dmod does; scores of contours are kept."""
    model, frame = mod.read_mod(path), setting.frame
    columns = mod.to_voxel_index(
        mod.model_points(model),
        model,
        pixel_size=None if frame is None else frame.header_voxel_size,
        origin=None if frame is None else frame.origin,
    )
    return _inside(columns, mod.model_scores(model), setting)


def write_mod(path: Path, picks: Picks, setting: FormatContext) -> None:
    """One point per contour with its score."""
    frame = setting.frame
    mod.write_mod(
        path,
        _columns(picks, setting),
        scores=picks.score,
        radius=setting.radius,
        size_xyz=setting.require("size", path),
        pixel_size=None if frame is None else frame.header_voxel_size,
        origin=(0.0, 0.0, 0.0) if frame is None else frame.origin,
    )


def read_csv(path: Path, setting: FormatContext) -> Picks:
    """Candidates of a run."""
    return read_candidates(path)


def write_csv(path: Path, picks: Picks, setting: FormatContext) -> None:
    """What `read_csv` reads."""
    write_candidates(path, picks, "picks")


# ---------------------------------------------------------------- STAR


def read_star(path: Path, setting: FormatContext) -> Picks:
    """RELION 3 and 4, Warp: voxels, the centre of the first at 0, refined shifts subtracted."""
    particles = star.read_particles(path, star.VOXELS, setting.name)
    voxels = particles.xyz - particles.origin_voxels
    if particles.origin_angstrom.any():
        voxels = voxels - particles.origin_angstrom * setting.binning / setting.require("voxel_size", path)
    return _named(_inside(voxels / setting.binning, particles.score, setting), particles.name)


def write_relion4(path: Path, picks: Picks, setting: FormatContext) -> None:
    """Voxels and rlnTomoName."""
    voxels = _columns(picks, setting) * setting.binning
    star.write_particles(path, "particles", star.TOMOGRAM, setting.label, star.VOXELS, voxels, picks.score)


def write_warp(path: Path, picks: Picks, setting: FormatContext) -> None:
    """Voxels and rlnMicrographName NAME.tomostar, a block without name."""
    voxels = _columns(picks, setting) * setting.binning
    name = setting.label.removesuffix(".tomostar") + ".tomostar"
    star.write_particles(path, "", star.MICROGRAPH, name, star.VOXELS, voxels, picks.score)


def read_relion5(path: Path, setting: FormatContext) -> Picks:
    """Angstrom from the centre N/2, refined shifts subtracted."""
    particles = star.read_particles(path, star.CENTRED, setting.name)
    angstrom = particles.xyz - particles.origin_angstrom
    columns = angstrom / setting.require("voxel_size", path) + _centre(setting, path)
    return _named(_inside(columns, particles.score, setting), particles.name)


def write_relion5(path: Path, picks: Picks, setting: FormatContext) -> None:
    """As `read_relion5`."""
    angstrom = (_columns(picks, setting) - _centre(setting, path)) * setting.require("voxel_size", path)
    star.write_particles(path, "particles", star.TOMOGRAM, setting.label, star.CENTRED, angstrom, picks.score)


# ---------------------------------------------------------------- Dynamo, copick, data portal, EMAN2


def read_tbl(path: Path, setting: FormatContext) -> Picks:
    """Voxels from `dynamo_zero`, shifts added."""
    table = dynamo.read_table(path, setting.dynamo_tomogram)
    return _inside((table.xyz + table.shift - setting.dynamo_zero) / setting.binning, table.cc, setting)


def write_tbl(path: Path, picks: Picks, setting: FormatContext) -> None:
    """As `read_tbl`, without shifts."""
    voxels = _columns(picks, setting) * setting.binning + setting.dynamo_zero
    number = 1 if setting.dynamo_tomogram is None else setting.dynamo_tomogram
    dynamo.write_table(path, voxels, picks.score, number)


def read_copick(path: Path, setting: FormatContext) -> Picks:
    """Angstrom from the centre of the first voxel; without a known voxel size that of the file counts."""
    picks = copick.read_copick(path)
    voxel_size = picks.voxel_spacing if setting.voxel_size is None else setting.voxel_size
    if voxel_size is None:
        voxel_size = setting.require("voxel_size", path)
    return _inside(picks.angstrom / voxel_size, picks.score, setting)


def write_copick(path: Path, picks: Picks, setting: FormatContext) -> None:
    """As `read_copick`."""
    voxel_size = setting.require("voxel_size", path)
    angstrom = _columns(picks, setting) * voxel_size
    copick.write_copick(path, angstrom, picks.score, voxel_size, setting.label, setting.particle)


def read_ndjson(path: Path, setting: FormatContext) -> Picks:
    """Voxels from the centre of the first one."""
    return _inside(copick.read_ndjson(path) / setting.binning, None, setting)


def write_ndjson(path: Path, picks: Picks, setting: FormatContext) -> None:
    """As `read_ndjson`; scores are lost."""
    copick.write_ndjson(path, _columns(picks, setting) * setting.binning)


def read_eman(path: Path, setting: FormatContext) -> Picks:
    """Unbinned voxels from the voxel ``size // 2``; in old files voxels from the first one."""
    boxes = eman.read_boxes(path)
    if boxes.unbinned is None:
        return _inside(boxes.xyz, boxes.score, setting)
    centre = np.floor(_centre(setting, path))
    return _inside(boxes.xyz * boxes.unbinned / setting.require("voxel_size", path) + centre, boxes.score, setting)
