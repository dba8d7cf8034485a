"""Where each pick format has its zero: its numbers <-> voxels of the inside frame.

The modules beside this one read and write numbers as the files have them; every origin is applied here, and the
sources are in docs/formats.md. Coordinates of all formats but ``csv`` (napari's apart) count along the axes of the
tomogram's file, X being the fastest; points without a score get 1.0, that of a person's pick. Readers take a path and
a `FormatContext` and return `Picks`, writers take picks too. All raise `InputError` for a file that is none of their
format, and `UsageError` for what must be known and is not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import axes, orientations
from ..colours import colour_of
from ..coordinate_lists import SCORE, read_picks, with_named, write_coordinate_list
from ..names import bare, only
from ..particles import the_class
from ..picks import NO_SCORE, Picks
from ..textfile import fixed
from . import copick, dynamo, eman, mod, relion, spreadsheet, text
from .candidates import write_candidates
from .classes import of_class
from .context import FormatContext

Floats = NDArray[np.float64]
Tomograms: TypeAlias = Sequence[tuple[Picks, FormatContext]]  # of files that hold several

Of = TypeVar("Of")

SCORE_DIGITS = 6

_warn = logging.getLogger("milopyp").warning


@dataclass(frozen=True)
class NamedPicks(Picks):
    """Picks of a file that says the name of their tomogram."""

    name: str | None = None


def _named(picks: Picks, name: str | None) -> NamedPicks:
    return NamedPicks(picks.xyz, picks.score, picks.distance, picks.angles, picks.rival, name)


def _inside(columns: Floats, score: Floats | None, context: FormatContext, **measured: Floats | None) -> Picks:
    """Picks, best first, from voxel indices in file axes; NaN, all zeros and no scores at all become `NO_SCORE`."""
    values = np.full(len(columns), NO_SCORE)
    if score is not None and np.nan_to_num(score).any():
        values = np.where(np.isnan(score), NO_SCORE, score)
    best_first = np.argsort(-values, kind="stable")
    return Picks(axes.columns_to_xyz(columns, context.order or "xyz"), values, **measured)[best_first]


def _columns(picks: Picks, context: FormatContext) -> Floats:
    """Voxel indices in file axes."""
    return axes.xyz_to_columns(picks.xyz, context.order or "xyz")


def _rotations(tomograms: Tomograms) -> list[Floats | None]:
    """Of each tomogram matrices ``(n, 3, 3)`` along the axes of its file; all None where no pick has an orientation.

    Those without one among others are not turned.
    """
    if all(picks.angles is None for picks, _ in tomograms):
        return [None] * len(tomograms)
    found: list[Floats | None] = []
    for picks, context in tomograms:
        angles = np.full((len(picks), 3), np.nan) if picks.angles is None else picks.angles
        places = ["xyz".index(letter) for letter in context.order or "xyz"]
        found.append(orientations.filled(orientations.in_axes(angles, places)))
    return found


def _angles(tomograms: Tomograms, convention: orientations.Convention) -> list[Floats | None]:
    """As `_rotations`, in Euler angles ``(n, 3)``."""
    return [None if own is None else orientations.angles_of(own, convention) for own in _rotations(tomograms)]


def _centre(context: FormatContext, where: Path) -> Floats:
    """N/2 along each file axis, voxels."""
    return np.array(context.require("size", where), dtype=np.float64) / 2


# ---------------------------------------------------------------- text, models, candidates


def read_txt(path: Path, context: FormatContext) -> Picks:
    """Three columns in file axes, with `with_score` a fourth."""
    table = text.read_points(path, extra="score" if context.with_score else None)
    columns = table[:, :3]
    if context.coords == "model2point":
        columns = mod.from_model(columns, context.placement, context.size or (0, 0, 0))
    return _inside(columns, table[:, 3] if context.with_score else None, context)


def write_txt(path: Path, picks: Picks, context: FormatContext) -> None:
    """As `read_txt`."""
    columns = _columns(picks, context)
    if context.coords == "model2point":
        columns = mod.to_model(columns, context.placement, context.size or (0, 0, 0))
    text.write_points(path, columns, picks.score if context.with_score else None)


def read_mod(path: Path, context: FormatContext) -> Picks:
    """All points of a model, or those of its objects of a class, placed as 3dmod does; scores of contours are kept.

    Objects of several names that are taken together are said.
    """
    model = mod.read_mod(path)
    if context.class_ is not None:
        model = mod.of_object(model, context.class_, path)
    elif any(item.name == context.known_class for item in model.objects):
        model = mod.of_object(model, str(context.known_class), path)
    elif doubt := mod.objects_warning(model, path.name, context.class_option):
        _warn(doubt)
    placement = None if context.frame is None else context.frame.placement
    columns = mod.to_voxel_index(mod.model_points(model), model, placement, context.size)
    return _inside(columns, mod.model_scores(model), context)


def write_mod(path: Path, picks: Picks, context: FormatContext) -> None:
    """One point per contour with its score."""
    mod.write_mod(
        path,
        _columns(picks, context),
        scores=picks.score,
        radius=context.radius,
        size_xyz=context.require("size", path),
        placement=context.placement,
    )


def write_models(path: Path, tomograms: Tomograms) -> None:
    """As `write_mod`, of several classes of one tomogram: an object for each, with its name, size and colour."""
    objects = []
    for picks, context in tomograms:
        red, green, blue = (level / 255 for level in colour_of((context.class_number or 1) - 1))
        columns = _columns(picks, context)
        objects.append(mod.PointObject(columns, picks.score, context.radius, context.particle, (red, green, blue)))
    first = tomograms[0][1]
    mod.write_objects(path, objects, size_xyz=first.require("size", path), placement=first.placement)


def read_csv(path: Path, context: FormatContext) -> NamedPicks:
    """Candidates of a run and other tables of x, y, z; points of napari, which are indices of the file's array."""
    return place_sheet(only(read_sheets(path, context), context.name, path), context, path)


def read_sheets(path: Path, context: FormatContext) -> Mapping[str | None, spreadsheet.SheetPoints]:
    """Points of all tomograms for `place_sheet`; of several classes those of the one that is asked for, or known."""
    classes = spreadsheet.read_classes(path)
    found = _of_one_class(classes, path, context)
    every = {name: points[:0] for own in classes.values() for name, points in own.items() if context.all_listed}
    return every | found


def place_sheet(points: spreadsheet.SheetPoints, context: FormatContext, path: Path) -> NamedPicks:
    """As `read_csv`, of points that are read."""
    if points.of_array:
        context.require("order", path)
    else:
        context = replace(context, order="xyz")
    measured = {"distance": points.distance, "angles": points.angles, "rival": points.rival}
    name = None if points.tomogram is None or not len(points.tomogram) else str(points.tomogram[0])
    return _named(_inside(points.columns, points.score, context, **measured), name)


def write_csv(path: Path, picks: Picks, context: FormatContext) -> None:
    """Candidates as those of a run, which `read_csv` reads."""
    write_candidates(path, picks, "picks")


# ---------------------------------------------------------------- coordinate lists


def read_list(path: Path, context: FormatContext) -> NamedPicks:
    """x, y, z in the inside frame, with scores where the list has them."""
    return place_listed(only(read_lists(path, context), context.name, path), context, path)


def read_lists(path: Path, context: FormatContext) -> Mapping[str | None, NamedPicks]:
    """As `read_list`, of all tomograms; of a list with classes those of the one that is asked for, or known."""
    listed = read_picks(path)
    found = _of_one_class(listed.classes, path, context)
    named = [] if context.as_labels else [*listed.tomograms]
    if context.all_listed:
        named += [name for own in listed.classes.values() for name in own]
    return {name: _named(picks, name) for name, picks in with_named(found, named).items()}


def _of_one_class(classes: Mapping[str, Of], path: Path, context: FormatContext) -> Of:
    """Of what a file has by class, that of the one that is asked for, or known."""
    asked = context.class_ is not None
    return the_class(classes, path, context.class_ if asked else context.known_class, asked=asked)


def place_listed(picks: NamedPicks, context: FormatContext, path: Path) -> NamedPicks:
    """As they are."""
    return picks


def write_list(path: Path, tomograms: Tomograms) -> None:
    """As `read_list`, with scores."""
    xyz = {context.label: picks.xyz for picks, context in tomograms}
    scores = {own.label: [fixed(score, SCORE_DIGITS) for score in picks.score.tolist()] for picks, own in tomograms}
    write_coordinate_list(path, xyz, {SCORE: scores})


# ---------------------------------------------------------------- STAR


def read_star(path: Path, context: FormatContext) -> Picks:
    """RELION 3 and 4, Warp: voxels, the centre of the first at 0, refined shifts subtracted.

    Normalised coordinates, which WarpTools' template matching writes, are scaled by the size of the tomogram.
    """
    return place_voxels(only(read_voxels(path, context), context.name, path), context, path)


def read_voxels(path: Path, context: FormatContext) -> Mapping[str | None, relion.Particles]:
    """Particles of all tomograms for `place_voxels`, those of a class where one is asked for."""
    return of_class(relion.read_all_particles(path, relion.VOXELS), context, path, _warn)


def place_voxels(particles: relion.Particles, context: FormatContext, path: Path) -> NamedPicks:
    """As `read_star`, of particles that are read."""
    xyz = particles.xyz
    if particles.normalised:
        xyz = xyz * np.array(context.require("size", path)) * context.binning
    voxels = xyz - particles.origin_voxels
    if particles.origin_angstrom.any():
        voxels = voxels - particles.origin_angstrom * context.binning / context.voxel_sizes(path)
    return _named(_inside(voxels / context.binning, particles.score, context), particles.name)


def write_relion4(path: Path, tomograms: Tomograms) -> None:
    """Voxels and rlnTomoName."""
    _write_star(path, tomograms, _binned, block="particles", name_label=relion.TOMOGRAM, coordinates=relion.VOXELS)


def write_warp(path: Path, tomograms: Tomograms) -> None:
    """Voxels and rlnMicrographName NAME.tomostar, a block without name."""
    named = [(picks, replace(own, label=own.label.removesuffix(".tomostar") + ".tomostar")) for picks, own in tomograms]
    _write_star(path, named, _binned, block="", name_label=relion.MICROGRAPH, coordinates=relion.VOXELS)


def _binned(picks: Picks, context: FormatContext, path: Path) -> Floats:
    """Voxels of the files that count in other voxels."""
    return _columns(picks, context) * context.binning


def _write_star(
    path: Path, tomograms: Tomograms, numbers: Callable[[Picks, FormatContext, Path], Floats], **table: Any
) -> None:
    rows = []
    for (picks, context), angles in zip(tomograms, _angles(tomograms, orientations.RELION), strict=True):
        said = {relion.CLASS: context.class_number, relion.OPTICS_GROUP: context.optics_group}
        known = {label: number for label, number in said.items() if number is not None}
        rows.append(relion.Written(context.label, numbers(picks, context, path), picks.score, known, angles))
    relion.write_particles(path, rows, **table)


def read_relion5(path: Path, context: FormatContext) -> Picks:
    """Angstrom from the centre N/2, refined shifts subtracted."""
    return place_centred(only(read_centred(path, context), context.name, path), context, path)


def read_centred(path: Path, context: FormatContext) -> Mapping[str | None, relion.Particles]:
    """Particles of all tomograms for `place_centred`, those of a class where one is asked for."""
    return of_class(relion.read_all_particles(path, relion.CENTRED), context, path, _warn)


def place_centred(particles: relion.Particles, context: FormatContext, path: Path) -> NamedPicks:
    """As `read_relion5`, of particles that are read."""
    angstrom = particles.xyz - particles.origin_angstrom
    columns = angstrom / context.voxel_sizes(path) + _centre(context, path)
    return _named(_inside(columns, particles.score, context), particles.name)


def write_relion5(path: Path, tomograms: Tomograms, optics: Sequence[Mapping[str, str]] = ()) -> None:
    """As `read_relion5`; with `optics` groups where there are some."""
    _write_star(
        path, tomograms, _from_centre, block="particles", name_label=relion.TOMOGRAM, coordinates=relion.CENTRED,
        optics=optics,
    )  # fmt: skip


def _from_centre(picks: Picks, context: FormatContext, path: Path) -> Floats:
    return (_columns(picks, context) - _centre(context, path)) * context.voxel_sizes(path)


# ---------------------------------------------------------------- Dynamo, copick, data portal, EMAN2


def read_tbl(path: Path, context: FormatContext) -> NamedPicks:
    """Voxels from `dynamo_zero`, shifts added."""
    return place_table(only(read_tables(path, context), context.name, path), context, path)


def read_tables(path: Path, context: FormatContext) -> Mapping[str | None, dynamo.DynamoTable]:
    """Particles of all tomograms for `place_table`, those of a class where one is asked for."""
    return of_class(dynamo.read_tables(path, context.dynamo_tomogram), context, path, _warn, dynamo.CLASS)


def place_table(table: dynamo.DynamoTable, context: FormatContext, path: Path) -> NamedPicks:
    """As `read_tbl`, of particles that are read."""
    voxels = (table.xyz + table.shift - context.dynamo_zero) / context.binning
    return _named(_inside(voxels, table.cc, context), None if table.name is None else bare(table.name))


def write_tbl(path: Path, picks: Picks, context: FormatContext) -> None:
    """As `read_tbl`, without shifts, with orientations where there are some."""
    write_tables(path, [(picks, context)])


def write_tables(path: Path, tomograms: Tomograms) -> None:
    """As `write_tbl`, of several tomograms: the number of each is in its context."""
    rows = []
    for (picks, context), angles in zip(tomograms, _angles(tomograms, orientations.DYNAMO), strict=True):
        voxels = _binned(picks, context, path) + context.dynamo_zero
        number = 1 if context.dynamo_tomogram is None else context.dynamo_tomogram
        rows.append(dynamo.Written(voxels, picks.score, number, context.class_number or 0, angles))
    dynamo.write_table(path, rows)


def read_copick(path: Path, context: FormatContext) -> NamedPicks:
    """Angstrom from the centre of the first voxel; without a known voxel size that of the file counts."""
    return place_copick(only(copick.read_by_run(path), context.name, path), context, path)


def place_copick(picks: copick.CopickPicks, context: FormatContext, path: Path) -> NamedPicks:
    """As `read_copick`, of picks that are read."""
    if context.voxel_size is None and picks.voxel_spacing is not None:
        voxels = picks.angstrom / picks.voxel_spacing
    else:
        voxels = picks.angstrom / context.voxel_sizes(path)
    return _named(_inside(voxels, picks.score, context), picks.run_name)


def write_copick(path: Path, picks: Picks, context: FormatContext) -> None:
    """As `read_copick`, with orientations where there are some."""
    spacing = float(np.median(context.voxel_sizes(path)))  # the format holds one, which says which volume is meant
    copick.write_copick(path, copick_points(picks, context, path), spacing, copick.Whose(context.particle))


def copick_points(picks: Picks, context: FormatContext, where: Path) -> copick.Written:
    """Picks in Angstrom from the centre of the first voxel, along the axes of the file."""
    (rotations,) = _rotations([(picks, context)])
    angstrom = _columns(picks, context) * context.voxel_sizes(where)
    return copick.Written(context.label, angstrom, picks.score, rotations)


def read_ndjson(path: Path, context: FormatContext) -> Picks:
    """Voxels from the centre of the first one."""
    return _inside(copick.read_ndjson(path) / context.binning, None, context)


def write_ndjson(path: Path, picks: Picks, context: FormatContext) -> None:
    """As `read_ndjson`; scores are lost."""
    (rotations,) = _rotations([(picks, context)])
    copick.write_ndjson(path, _columns(picks, context) * context.binning, rotations)


def read_eman(path: Path, context: FormatContext) -> Picks:
    """Unbinned voxels from the voxel ``size // 2``; in old files voxels from the first one."""
    boxes = eman.read_boxes(path, context.class_, context.class_option)
    if boxes.unbinned is None:
        return _inside(boxes.xyz, boxes.score, context)
    centre = np.floor(_centre(context, path))
    return _inside(boxes.xyz * boxes.unbinned / context.voxel_sizes(path) + centre, boxes.score, context)
