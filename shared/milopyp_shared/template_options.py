"""Options of what learns from a density map: the map, and what neither its header nor the tomograms say."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from .commandline import option, spelled
from .errors import UsageError
from .option_types import Number

TEMPLATE = "From a density map, without labels"
OF_TEMPLATE = ("map_voxel_size", "mass", "membrane_z", "tilt_axis", "tilt_range")
BESIDE_LABELS = ("rejected",)  # what only labels that are learned from have a use for


def _two_angles(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """``"-60,54"`` -> ``(-60.0, 54.0)``."""
    if value is None:
        return None
    try:
        low, high = (float(word) for word in value.split(","))
    except ValueError:
        message = f"{value!r} is not two numbers separated by a comma, e.g. -60,60"
        raise click.BadParameter(message, ctx=ctx, param=param) from None
    return low, high


_OPTIONS = (
    option(
        "--template", type=click.Path(path_type=Path), metavar="MAP.mrc", group=TEMPLATE,
        help="Density map of the particle, protein positive: tomograms like those of the image list are simulated with "
        "it and learned from; labels are only compared with what is found.",
    ),
    option(
        "--map-voxel-size", type=Number(min=0, min_open=True), group=TEMPLATE,
        help="Of the map in Angstrom, if its header says none, or exactly 1.0.",
    ),
    option(
        "--mass", type=Number(min=0, min_open=True), metavar="KDA", group=TEMPLATE,
        help="Of the particle.  [default: estimated from the map]",
    ),
    option(
        "--membrane-z", type=Number(min=0), metavar="SECTION", group=TEMPLATE,
        help="The particle stands on a membrane, whose middle is this section of the map (from 0); +z points away from "
        "it.",
    ),
    option(
        "--tilt-axis", type=click.Choice(["x", "y"]), group=TEMPLATE,
        help="Of the tomograms.  [default: as their missing wedge shows]",
    ),
    option(
        "--tilt-range", metavar="MIN,MAX", callback=_two_angles, group=TEMPLATE,
        help="Of the tomograms in degrees.  [default: as their missing wedge shows]",
    ),
)  # fmt: skip


def template_options(function: Any) -> Any:
    """Decorator: adds them all."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


def check_template(ctx: click.Context, labels: str, required: Collection[str], of_labels: Collection[str]) -> None:
    """Refuse what is missing, and what nothing would use.

    Parameters
    ----------
    labels
        Name of the parameter that gives labels.
    required
        Parameters that only a template can replace.
    of_labels
        Parameters that nothing uses without labels.

    Raises
    ------
    click.MissingParameter, UsageError
    """
    template, labelled = (ctx.params[name] is not None for name in ("template", labels))
    parameters = {parameter.name: parameter for parameter in ctx.command.params}
    for name in () if template else required:
        if ctx.params[name] is None:
            raise click.MissingParameter("Or give --template.", ctx=ctx, param=parameters[name])
    called = spelled(labels) if isinstance(parameters[labels], click.Option) else labels.upper()
    unused = [(name, "--template beside it") for name in OF_TEMPLATE if not template]
    unused += [(name, f"{called} beside it") for name in of_labels if not labelled]
    unused += [(name, "no --template beside it") for name in BESIDE_LABELS if template]
    for name, expected in unused:
        if ctx.params[name] is not None:
            raise UsageError("nothing would use it", where=spelled(name), expected=expected, remedy="Leave it out.")
