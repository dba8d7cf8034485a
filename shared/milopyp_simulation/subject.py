"""What is looked for, and in what: a density map and a tomogram, read and compared with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_shared.axes import mirrors
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.header_checks import refuse_unequal_voxels
from milopyp_shared.lengths import Length, diameter_in_voxels, refuse_wide
from milopyp_shared.template_options import OF_TEMPLATE
from milopyp_shared.tomogram import Tomogram, TomogramHeader

from .among_others import Imaging
from .densities import NM3_PER_KDA, Density, mirrored
from .maps import read_map
from .settings import STEEPEST
from .spectrum import TiltRange, find_tilt_range

SIZE = "--voxel-size, or a header that says it"


@dataclass(frozen=True)
class Template:
    """A density map as a user gives it, and what neither its header nor the tomograms may say.

    Attributes
    ----------
    path
        Of the MRC file; protein positive.
    map_voxel_size
        Angstrom; None: as the header says.
    mass
        kDa; None: as the map lets guess.
    membrane_z
        Section of the map in the middle of the membrane that the particle stands on; None: it stands on none.
    tilt_axis, tilt_range
        Of the tomograms, degrees; None: as their missing wedge shows.
    """

    path: Path
    map_voxel_size: float | None = None
    mass: float | None = None
    membrane_z: float | None = None
    tilt_axis: str | None = None
    tilt_range: tuple[float, float] | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Template:
        """As options of these names have it, see `milopyp_shared.template_options`."""
        return cls(options["template"], **{name: options[name] for name in OF_TEMPLATE})


@dataclass(frozen=True)
class Subject:
    """What is looked for, and in what.

    Attributes
    ----------
    density
        Of the particle.
    diameter
        Voxels of the user's tomograms.
    imaging
        Of them.
    """

    density: Density
    diameter: float
    imaging: Imaging


def read_subject(
    template: Template, tomogram: Tomogram, bbox: Length | None, say: Callable[[str], None] = lambda text: None
) -> Subject:
    """The map's particle in tomograms like this one.

    Parameters
    ----------
    template
        The map.
    tomogram
        Its header says voxel size and thickness, its power spectrum the tilts.
    bbox
        Diameter of the particle; None: the map's.
    say
        Is told what was taken from where.

    Raises
    ------
    InputError
        A map or a tomogram that cannot be read or does not say enough.
    ContradictionError
        A particle, or its diameter, larger than the tomogram; or voxels that are longer along one axis.
    UsageError
        A membrane above the particle, no such tilt range, or no such diameter.
    """
    refuse_unequal_voxels(tomogram)
    size = _voxel_size(tomogram)
    density = read_density(template)
    assert density.voxel_size is not None
    _refuse_large(density, tomogram, template.path)
    diameter = diameter_of(density, tomogram) if bbox is None else diameter_in_voxels(bbox, size, SIZE)
    refuse_wide(diameter, tomogram, guess=bbox is not None and not bbox.angstrom)
    kilodaltons = density.mass * density.voxel_size**3 / (1000 * NM3_PER_KDA)
    say(f"{template.path}: {kilodaltons:.0f} kDa, {diameter:.1f} voxels across (--bbox)")
    if mirrors(tomogram.order):
        density = mirrored(density)
        say(f"its hand is mirrored, as {tomogram.path.name} is by its axes ({tomogram.order})")
    else:
        say("its hand is taken as it stands")
    tilts = _tilts(template, tomogram, say)
    say(f"tomograms like {tomogram.path.name} are simulated")
    return Subject(density, diameter, Imaging(tomogram.shape[0], size, tilts))


def read_density(template: Template) -> Density:
    """The map's particle; as `read_map`.

    Raises
    ------
    UsageError
        The membrane lies above it.
    """
    density = read_map(template.path, template.map_voxel_size, template.mass)
    section, count = template.membrane_z, len(density.array)
    if section is not None and section > density.centre_xyz[2]:
        raise UsageError(
            f"section {section:g} lies above the middle of the particle, {density.centre_xyz[2]:.4g} of {count}",
            where="--membrane-z",
            expected="a section below it: +z points out of the membrane",
            remedy="Turn the map, e.g. with IMOD: rotatevol.",
        )
    return density if section is None else replace(density, membrane_z=section)


def diameter_of(density: Density, tomogram: TomogramHeader) -> float:
    """Of the particle, in voxels of the tomogram.

    Raises
    ------
    InputError
        Nothing says the tomogram's voxel size.
    """
    return 2 * density.radius_in(_voxel_size(tomogram))


def _voxel_size(tomogram: TomogramHeader) -> float:
    if tomogram.voxel_size is None:
        raise InputError("the voxel size is not known", where=tomogram.path, expected=SIZE)
    return tomogram.voxel_size


def _refuse_large(density: Density, tomogram: Tomogram, path: Path) -> None:
    size = _voxel_size(tomogram)
    assert density.voxel_size is not None
    across, least = 2 * density.max_radius * density.voxel_size / size, min(tomogram.shape)
    if across > least:
        raise ContradictionError(
            f"its particle is {across:.4g} voxels of {tomogram.path.name} across",
            where=path,
            expected=f"at most {least}, its thinnest axis",
            remedy=f"Are voxels of {density.voxel_size:.4g} A (map) and {size:.4g} A (tomogram) right? Give "
            "--map-voxel-size or --voxel-size.",
        )


def _tilts(template: Template, tomogram: Tomogram, say: Callable[[str], None]) -> TiltRange:
    """As they were given, or else as the missing wedge shows them, which is said."""
    axis, ends = template.tilt_axis, template.tilt_range
    if ends is not None and not -STEEPEST <= ends[0] < ends[1] <= STEEPEST:
        raise UsageError(
            f"{ends[0]:g} to {ends[1]:g} degrees",
            where="--tilt-range",
            expected=f"the lower end first, from -{STEEPEST:g} to {STEEPEST:g}",
        )
    if axis is not None and ends is not None:
        return TiltRange(axis, *ends)
    found = find_tilt_range(tomogram.zyx, axis)
    if found is None:
        raise InputError(
            "no missing wedge shows in its power spectrum",
            where=tomogram.path,
            expected="one about x or y, from which tilt axis and range are read",
            remedy="Give --tilt-axis and --tilt-range, e.g. --tilt-axis y --tilt-range -60,60.",
        )
    shown = f"as far as the missing wedge of {tomogram.path.name} shows"
    if ends is not None:
        say(f"tilted about {found.axis}, {shown}")
        return TiltRange(found.axis, *ends)
    low, high = max(found.low, -STEEPEST), min(found.high, STEEPEST)
    about = f" about {found.axis}" if axis is None else ""
    say(f"tilted by {low:g} to {high:g} degrees{about}, {shown}")
    return TiltRange(found.axis, low, high)
