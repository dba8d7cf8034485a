"""The options of ``milopyp prepare`` that are of a copick project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_shared.commandline import option
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.names import listed
from milopyp_shared.option_types import Number
from milopyp_shared.particles import check_names, of_class, one_diameter

if TYPE_CHECKING:
    from milopyp_shared.copick_project import Project
    from milopyp_shared.label_files import How
    from milopyp_shared.lengths import Length
    from milopyp_shared.lists import ImageEntry
    from milopyp_shared.project_labels import Wanted

GROUP = "A copick project"
OF_PROJECT = ("tomo_type", "voxel_spacing", "user", "session")
OF_FOLDERS = (
    "folder", "ext", "columns", "coords", "fourth_column", "picks", "name_map", "double_z", "from_", "binning",
    "class_", "labels", "name_from",
)  # fmt: skip
OPTIONS = (
    option(
        "--copick", type=click.Path(path_type=Path), metavar="CONFIG.json", group=GROUP,
        help="Take the tomograms of a project in folders, called as its runs, and the picks of --object in them.",
    ),
    option("--tomo-type", metavar="TYPE", group=GROUP, help="Kind of its tomograms: wbp.  [default: the only one]"),
    option(
        "--voxel-spacing", type=Number(min=0, min_open=True), metavar="ANGSTROM", group=GROUP,
        help="Of its tomograms, as their folders say.  [default: the only one]",
    ),
    option(
        "--user", metavar="NAME,...", group=GROUP,
        help="Whose picks; two of two people within half a particle are one.  [default: all but milopyp's own]",
    ),
    option("--session", metavar="NAME", group=GROUP, help="Of the users.  [default: all]"),
)  # fmt: skip


def copick_options(function: Any) -> Any:
    """Add the options to a command."""
    for add in reversed(OPTIONS):
        function = add(function)
    return function


def refuse_idle(given: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing with a project, or without one.

    Raises
    ------
    UsageError
        There is one.
    """
    context = click.get_current_context()
    said = [
        own for own in context.command.params
        if context.get_parameter_source(own.name or "") == click.core.ParameterSource.COMMANDLINE
    ]  # fmt: skip
    wrong = OF_PROJECT if given["copick"] is None else OF_FOLDERS
    named = [next(name for name in own.opts if name.startswith("--")) for own in said if own.name in wrong]
    if named and given["copick"] is None:
        raise UsageError("has no effect", where=", ".join(named), expected="it beside --copick only")
    if named:
        raise UsageError(
            "given beside --copick", where=", ".join(named), expected="one of them: the project says where what is"
        )


def project_tomograms(path: Path, given: Mapping[str, Any], console: Console) -> tuple[Project, list[ImageEntry]]:
    """A project and its tomograms, called as its runs.

    Raises
    ------
    UsageError, InputError
        As `read_project` and `Project.volumes`.
    """
    from milopyp_shared.copick_project import read_project

    project = read_project(path)
    volumes = project.volumes(given["tomo_type"], given["voxel_spacing"])
    if volumes.without:
        console.say(f"without {volumes.words}, and left out: {listed(volumes.without)}")
    return project, volumes.images


def of_objects(project: Project, how: How, given: Mapping[str, Any], console: Console) -> dict[str, How]:
    """How the labels of a project are read: "" of one object, or by name of several, which are classes.

    Raises
    ------
    UsageError
        No such object, one twice, or one whose diameter neither ``--bbox`` nor the project says; a user without a name.
    """
    said = given["object_"]
    names = [None] if said is None else [name.strip() for name in said.split(",")]
    if len(set(names)) < len(names):
        raise UsageError(f"{said!r}", where="--object", expected="each particle once")
    wanted = [_wanted(project, name, given["user"], given["session"]) for name in names]
    if len(wanted) == 1:
        return {"": _sized(how, wanted[0], one_diameter(given["bbox"]), console)}
    classes = [own.object for own in wanted]
    check_names(classes, "--object")
    bbox = given["bbox"] or {}
    if unknown := [name for name in bbox if name and name not in classes]:
        raise UsageError(f"class {', '.join(unknown)}", where="--bbox", expected=f"some of {', '.join(classes)}")
    return {own.object: _sized(how, own, of_class(bbox, own.object, None), console) for own in wanted}


def _sized(how: How, wanted: Wanted, bbox: Length | None, console: Console) -> How:
    """How the labels of an object are read, with its diameter: that of ``--bbox``, else the project's."""
    path = wanted.project.path
    if bbox is None and wanted.bbox is None:
        raise UsageError("is missing", where="--bbox", expected=f"a diameter: {path} says no radius of {wanted.object}")
    if bbox is None:
        console.say(f"--bbox {wanted.bbox}, twice the radius of {wanted.object} in {path}; give it to training, too")
    return replace(how, bbox=bbox or wanted.bbox, project=wanted)


def _wanted(project: Project, object_: str | None, user: str | None, session: str | None) -> Wanted:
    """Whose picks of what are labels."""
    from milopyp_shared.project_labels import Wanted

    users = () if user is None else tuple(name.strip() for name in user.split(","))
    if not all(users):
        raise UsageError(f"{user!r}", where="--user", expected="names with commas between them")
    return Wanted(project, project.object_called(object_), users, session)
