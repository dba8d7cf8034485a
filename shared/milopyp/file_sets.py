"""The files that a program is handed for all tomograms at once.

In: picks by tomogram, as other programs count them. Out: by their place in a folder, what writes each file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from milopyp_shared.atomic import write_text
from milopyp_shared.coordinate_lists import SCORE, write_coordinate_list
from milopyp_shared.errors import InputError
from milopyp_shared.formats import conventions, relion, star
from milopyp_shared.formats.candidates import measured_cells
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.copick import Whose, can_name
from milopyp_shared.formats.dynamo import write_doc
from milopyp_shared.formats.positions import CLASS_TABLE, NOTHING
from milopyp_shared.formats.registry import check_names
from milopyp_shared.lists import check_image_name
from milopyp_shared.names import listed
from milopyp_shared.picks import Picks
from milopyp_shared.textfile import fixed
from milopyp_shared.written_names import OPTICS, PIXEL, KnownTomogram

Plan = dict[str, Callable[[Path], object]]

COORDINATES = "coordinates"  # folder of the files that RELION imports
_DECIMALS = 6


@dataclass(frozen=True)
class FileSet:
    """What is handed over.

    Attributes
    ----------
    tomograms
        Picks, none of them empty, and what is known beside them; the same tomogram once for each class.
    known
        What a list of tomograms says, by the name that they are written with.
    map
        Lines of the map of Dynamo's table, by number.
    classes
        Names of the particles, by class number less 1.
    folder
        Where the files are to be, as a person has said it.
    """

    tomograms: conventions.Tomograms
    folder: Path
    known: Mapping[str, KnownTomogram] = field(default_factory=dict)
    map: Mapping[int, str] = field(default_factory=dict)
    classes: Sequence[str] = ()

    @property
    def by_name(self) -> dict[str, conventions.Tomograms]:
        """The picks of each tomogram."""
        groups: dict[str, list[tuple[Picks, FormatContext]]] = {}
        for own in self.tomograms:
            groups.setdefault(own[1].label, []).append(own)
        return {**groups}

    @property
    def optics(self) -> dict[str, dict[str, str]]:
        """The optics group of each tomogram, which RELION 5 makes one for each of, too; none where a figure lacks."""
        known = {name: self.known.get(name, KnownTomogram()) for name in self.by_name}
        if not all(own.optics and own.pixel_size for own in known.values()):
            return {}
        labels = (relion.OPTICS_GROUP, relion.OPTICS_GROUP_NAME, *OPTICS, PIXEL)
        return {
            name: dict(
                zip(labels, (str(number), name, *own.optics, fixed(own.pixel_size or 0.0, _DECIMALS)), strict=True)
            )
            for number, (name, own) in enumerate(known.items(), start=1)
        }


@dataclass(frozen=True)
class Program:
    """A row of the table.

    Attributes
    ----------
    word
        Of the format of single files, in the registry.
    plan
        What writes each file; raises `InputError` for names that it cannot hold.
    next
        What to do there; may hold ``{folder}`` and ``{voxel_size}``.
    unbinned
        Whether coordinates are to count the voxels of the tilt series.
    """

    title: str
    word: str
    plan: Callable[[FileSet], Plan]
    next: str = ""
    unbinned: bool = False


def _relion5(of: FileSet) -> Plan:
    """All particles; and for the import, a file of each tomogram and the list of these."""
    optics = of.optics
    groups = {name: int(own[relion.OPTICS_GROUP]) for name, own in optics.items()}
    grouped = [(picks, replace(own, optics_group=groups.get(own.label))) for picks, own in of.tomograms]
    files = {name: str(PurePosixPath(COORDINATES, f"{name}.star")) for name in of.by_name}
    rows = [(name, str(PurePosixPath(of.folder, path))) for name, path in files.items()]
    if bad := [path for name, path in rows if not star.can_name(path)]:
        raise InputError(
            f"RELION's list of files would hold {listed(bad)}", where=of.folder,
            expected="a path without spaces, quotes and #", remedy="Choose another --out.",
        )  # fmt: skip
    each: Plan = {
        files[name]: partial(conventions.write_relion5, tomograms=own) for name, own in of.by_name.items()
    }  # fmt: skip
    table = {"coordinate_files": ([relion.TOMOGRAM, relion.PARTICLE_FILE], rows)}
    return {
        "particles.star": partial(
            conventions.write_relion5, tomograms=grouped, optics=tuple(optics.values())
        ),
        **each,
        "import.star": partial(star.write_tables, tables=table),
    }  # fmt: skip


def _star(write: Callable[[Path, conventions.Tomograms], None]) -> Callable[[FileSet], Plan]:
    """One table of all particles."""
    return lambda of: {"particles.star": lambda path: write(path, of.tomograms)}


def _dynamo(of: FileSet) -> Plan:
    """One table, and its map."""
    return {
        "particles.tbl": partial(conventions.write_tables, tomograms=of.tomograms),
        "particles.doc": partial(write_doc, tomograms=of.map),
    }


def _copick(of: FileSet) -> Plan:
    """A project of its own: picks where copick looks for them, and its configuration."""
    names = of.classes or [of.tomograms[0][1].particle]
    if bad := [name for name in names if not can_name(name)]:
        raise InputError(
            listed(bad), where="--class-names", expected="names without spaces and _, which copick's files cannot hold"
        )
    radii = {own.particle: own.radius * (own.one_voxel_size or 1.0) for _, own in of.tomograms}
    objects = [
        {"name": name, "is_particle": True, "label": number, "radius": round(radii.get(name, 0.0), 2) or None}
        for number, name in enumerate(names, start=1)
    ]
    project = {
        "config_type": "filesystem", "name": "milopyp", "version": "0.2.0", "pickable_objects": objects,
        "overlay_root": f"local://{of.folder.absolute()}", "overlay_fs_args": {"auto_mkdir": True},
    }  # fmt: skip
    picks: Plan = {
        str(PurePosixPath(Whose(own.particle).place(Path(), own.label))): partial(
            conventions.write_copick, picks=picks, context=own
        )
        for picks, own in of.tomograms
    }
    return {**picks, "copick_config.json": partial(write_text, text=json.dumps(project, indent=1) + "\n")}


def _imod(of: FileSet) -> Plan:
    """A model for each tomogram, with an object for each class, which is empty where nothing was picked of it."""
    radii = {own.class_number: own.radius for _, own in of.tomograms}
    files: Plan = {}
    for name, own in of.by_name.items():
        first, found = own[0][1], {context.class_number: (picks, context) for picks, context in own}
        for number, kind in enumerate(of.classes, start=1):
            radius = radii.get(number, first.radius)
            found.setdefault(number, (NOTHING, replace(first, class_number=number, particle=kind, radius=radius)))
        files[f"{name}.mod"] = partial(
            conventions.write_models, tomograms=[found[number] for number in sorted(found, key=lambda n: n or 0)]
        )
    return files


def _csv(of: FileSet) -> Plan:
    """One table for spreadsheets and programs of one's own."""
    text = io.StringIO()
    measured = list(dict.fromkeys(name for picks, _ in of.tomograms for name in measured_cells(picks)))
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["tomogram", "x", "y", "z", "score", *measured, *(["class"] if of.classes else [])])
    for picks, own in of.tomograms:
        more = [of.classes[(own.class_number or 1) - 1]] if of.classes else []
        cells = measured_cells(picks)
        columns = [cells.get(name, [""] * len(picks)) for name in measured]
        for index, (point, score) in enumerate(zip(picks.xyz.tolist(), picks.score.tolist(), strict=True)):
            found = [column[index] for column in columns]
            rows.writerow([own.label, *(fixed(value, 3) for value in point), fixed(score, _DECIMALS), *found, *more])
    return {"particles.csv": partial(write_text, text=text.getvalue())}


def _list(of: FileSet) -> Plan:
    """One coordinate list, which milopyp reads."""
    xyz: dict[str, list[list[float]]] = {name: [] for name in of.by_name}
    scores: dict[str, list[str]] = {name: [] for name in of.by_name}
    classes: dict[str, list[str]] = {name: [] for name in of.by_name}
    for picks, own in of.tomograms:
        xyz[own.label] += picks.xyz.tolist()
        scores[own.label] += [fixed(score, _DECIMALS) for score in picks.score.tolist()]
        classes[own.label] += [of.classes[(own.class_number or 1) - 1]] * len(picks) if of.classes else []
    notes = {SCORE: scores, **({"class": classes} if of.classes else {})}
    return {"particles.tsv": partial(write_coordinate_list, coordinates=xyz, notes=notes)}


PROGRAMS: dict[str, Program] = {
    "relion5": Program(
        "RELION 5", "relion5", _relion5,
        "Extract subtomos takes {folder}/particles.star with your tomograms.star; or import {folder}/import.star, "
        "whose paths begin as --out does, and count from RELION's project folder",
    ),
    "relion4": Program(
        "RELION 4", "relion4", _star(conventions.write_relion4),
        "relion_tomo_import_particles --i {folder}/particles.star --t tomograms.star --o ImportTomo/particles",
        unbinned=True,
    ),
    "warp": Program(
        "Warp", "warp", _star(conventions.write_warp),
        "WarpTools ts_export_particles --settings warp_tiltseries.settings --input_star {folder}/particles.star "
        "--coords_angpix {voxel_size}",
    ),
    "dynamo": Program(
        "Dynamo", "tbl", _dynamo,
        "dtcrop('{folder}/particles.doc', '{folder}/particles.tbl', 'data', BOX)",
    ),
    "copick": Program("copick", "copick", _copick, "copick.from_file('{folder}/copick_config.json')"),
    "imod": Program("IMOD", "mod", _imod, "3dmod TOMOGRAM {folder}/NAME.mod"),
    "csv": Program("spreadsheets", "csv", _csv),
    "list": Program("milopyp", "list", _list, "milopyp convert and evaluate read {folder}/particles.tsv"),
}  # fmt: skip


def plan(program: Program, of: FileSet) -> Plan:
    """What writes each of a program's files, and the table of classes where there are several.

    Raises
    ------
    InputError
        Names that the files cannot hold.
    """
    names = list(of.by_name)
    check_names(program.word, names, "RUN")
    for name in names:
        check_image_name(name, "RUN", "Rename it with --tomograms, or leave that out.")
    files = program.plan(of)
    if of.classes:
        rows = ["class\tname\tpicks"]
        for number, name in enumerate(of.classes, start=1):
            rows.append(f"{number}\t{name}\t{sum(len(p) for p, own in of.tomograms if own.class_number == number)}")
        files[CLASS_TABLE] = partial(write_text, text="\n".join(rows) + "\n")
    return files
