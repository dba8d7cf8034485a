"""A simulated tomogram with exact truth: specimen, tilt series and reconstruction one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import UsageError

from . import turning
from .clutter import add_contamination, add_crowders, add_gold
from .densities import Density, make_stencil
from .filaments import ACTIN, MICROTUBULE, Filament, add_filaments
from .membranes import Vesicle, add_membrane_proteins, add_vesicles
from .microscope import record
from .particles import place_particles
from .reconstruction import add_border, reconstruct
from .settings import CountRange, SimulationSettings, SpecimenSettings, check_settings
from .specimen import Poses, Specimen, empty_specimen

Volume = NDArray[np.float32]

GOLD = "gold"


@dataclass(frozen=True)
class SimulatedTomogram:
    """A tomogram, and what is in it.

    Attributes
    ----------
    volume
        float32 ``(z, y, x)``, protein dark (low), in robust standard deviations around the median.
    voxel_size
        Angstrom.
    truth
        Of each species in `counts`, and of ``"gold"``: all particles whose centre is in the field, in voxels of
        `volume` (the centre of the first voxel is 0.0), also those cut by its edges or under its border. Gold beads
        have no orientation; their rotations are identities.
    filaments
        Of both sorts, the stretches of their axes that are in the field.
    defocus
        Mean underfocus in Angstrom.
    """

    volume: Volume
    voxel_size: float
    truth: Mapping[str, Poses]
    filaments: tuple[Filament, ...]
    defocus: float


def simulate(
    settings: SimulationSettings, densities: Mapping[str, Density], seed: int | tuple[int, ...]
) -> SimulatedTomogram:
    """Simulate one tomogram. It depends on the arguments only (same library versions assumed).

    Contents are drawn from streams of random numbers of their own, so that, for instance, another dose or number of
    crowders leaves the particles where they are.

    Parameters
    ----------
    densities
        At least those of the species in ``settings.specimen.counts``.
    seed
        A number or numbers, 0 or more.

    Raises
    ------
    UsageError
        A setting or the seed is out of range, or a species has no density or the name ``"gold"``.
    """
    check_settings(settings)
    if np.min(seed) < 0:
        raise UsageError(f"seed is {seed}", where="simulation", expected="0 or more")
    _check_species(settings.specimen.counts, densities)
    axis_is_y = settings.microscope.tilt_axis == "y"
    depth, height, width = settings.shape_zyx
    # in the specimen's own frame the tilt axis is x
    field_zyx = (depth, width, height) if axis_is_y else (depth, height, width)
    content, light = np.random.SeedSequence(seed).spawn(2)
    specimen, _, filaments = fill(settings, field_zyx, densities, content)
    series = record(specimen, settings.microscope, np.random.default_rng(light))
    del specimen.density, specimen.occupied  # the largest arrays, before the volume
    volume = reconstruct(series, field_zyx, settings.voxel_size, settings.reconstruction, settings.microscope)
    truth = {name: specimen.poses_in_field(name) for name in (*settings.specimen.counts, GOLD)}
    if axis_is_y:
        volume = turning.quarter_turned(volume)
        truth = {name: turning.quarter_turned_poses(poses, height) for name, poses in truth.items()}
        filaments = tuple(Filament(one.kind, turning.quarter_turned_points(one.axis_xyz, height)) for one in filaments)
    add_border(volume, settings.reconstruction.border, settings.reconstruction.border_value)
    return SimulatedTomogram(volume, settings.voxel_size, truth, filaments, series.defocus)


def fill(
    settings: SimulationSettings,
    field_zyx: tuple[int, int, int],
    densities: Mapping[str, Density],
    seeds: np.random.SeedSequence,
) -> tuple[Specimen, tuple[Vesicle, ...], tuple[Filament, ...]]:
    """A specimen with all of its contents, its vesicles, and its filaments within the field, in voxels of the field."""
    wanted, voxel_size = settings.specimen, settings.voxel_size
    each, species = seeds.spawn(2)
    ice, amounts, vesicle, tubes, actin, gold, crowders, lumps = map(np.random.default_rng, each.spawn(8))
    numbers = _amounts(wanted, amounts)
    specimen = empty_specimen(field_zyx, voxel_size, wanted.ice_thickness, ice)
    vesicles = add_vesicles(specimen, numbers["vesicles"], wanted.vesicle_radius, vesicle)
    filaments = add_filaments(specimen, MICROTUBULE, numbers["microtubules"], (vesicles, ()), tubes)
    filaments += add_filaments(specimen, ACTIN, numbers["actin"], (vesicles, filaments), actin)
    stencils = {name: make_stencil(densities[name], voxel_size) for name in wanted.counts}
    streams = dict(zip(wanted.counts, map(np.random.default_rng, species.spawn(len(stencils)))))
    on_membranes = {name: one for name, one in stencils.items() if one.membrane_offset is not None}
    in_ice = {name: one for name, one in stencils.items() if one.membrane_offset is None}
    add_membrane_proteins(specimen, vesicles, on_membranes, wanted.counts, streams)
    add_gold(specimen, numbers["gold"], wanted.gold_radius, gold)
    place_particles(specimen, in_ice, wanted.counts, streams)
    add_crowders(specimen, wanted.crowder_fraction, crowders)
    add_contamination(specimen, numbers["contamination"], lumps)
    return specimen, vesicles, tuple(part for one in filaments for part in _in_field(specimen, one))


def _amounts(wanted: SpecimenSettings, rng: np.random.Generator) -> dict[str, int]:
    """How many there are of what has a range."""
    ranges: dict[str, CountRange] = {
        "vesicles": wanted.vesicles,
        "gold": wanted.gold,
        "contamination": wanted.contamination,
        "microtubules": wanted.microtubules,
        "actin": wanted.actin,
    }
    return {name: int(rng.integers(low, high + 1)) for name, (low, high) in ranges.items()}


def _in_field(specimen: Specimen, filament: Filament) -> list[Filament]:
    """The stretches of a filament that lie in the field, in its voxels: one that leaves and comes back is two."""
    inside = np.flatnonzero(specimen.in_field(filament.axis_xyz))
    moved = filament.axis_xyz - [specimen.field_yx[1].start, specimen.field_yx[0].start, 0]
    stretches = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
    return [Filament(filament.kind, moved[stretch]) for stretch in stretches if len(stretch)]


def _check_species(counts: Mapping[str, int], densities: Mapping[str, Density]) -> None:
    for name in counts:
        if name == GOLD:
            raise UsageError(f"a species has the name {GOLD!r}", where="simulation", expected="another name")
        if name not in densities:
            raise UsageError(f"no density for the species {name!r}", where="simulation", expected="one of each species")
