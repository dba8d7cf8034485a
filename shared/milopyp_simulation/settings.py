"""What a simulated tomogram is made of: specimen, microscope, reconstruction.

Lengths are in Angstrom, so that the same specimen can be seen at any voxel size; smoothing and borders, which are
done to the finished volume, are in voxels. A pair ``(low, high)`` is a range from which each tomogram draws evenly;
equal ends give the value itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from milopyp_shared.errors import UsageError

Range = tuple[float, float]
CountRange = tuple[int, int]
Pairs = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

TILT_AXES = ("x", "y")
CTF_CORRECTIONS = ("none", "phase_flip", "deconvolve")
STEEPEST = 80.0  # degrees: beyond, rays are nearly parallel to the slab


@dataclass(frozen=True)
class SpecimenSettings:
    """What lies in the ice.

    Attributes
    ----------
    counts
        Particles of each species whose centre is in the field, as far as there is room; the margin around the field
        is filled as densely. A density with a membrane goes onto vesicles, any other into the ice.
    ice_thickness
        Angstrom. Nothing but contamination lies outside the slab; a slab thicker than the field is cut to it.
    crowder_fraction
        Part of the ice that small proteins (30-180 kDa), which are in no list, fill.
    vesicles, contamination, microtubules, actin
        How many in field and margin together.
    vesicle_radius
        Angstrom.
    gold
        Beads whose centre is in the field; the margin is filled as densely.
    gold_radius
        Angstrom.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    ice_thickness: Range = (740.0, 840.0)
    crowder_fraction: float = 0.04
    vesicles: CountRange = (1, 2)
    vesicle_radius: Range = (200.0, 340.0)
    gold: CountRange = (4, 8)
    gold_radius: Range = (43.0, 53.0)
    contamination: CountRange = (0, 2)
    microtubules: CountRange = (0, 0)
    actin: CountRange = (0, 0)


@dataclass(frozen=True)
class MicroscopeSettings:
    """How the tilt series is recorded.

    Attributes
    ----------
    tilt_min, tilt_max, tilt_step
        Degrees; at most 80 in either direction.
    tilt_axis
        ``"x"`` or ``"y"``.
    dose
        Electrons per square Angstrom in all, spread evenly over the tilts. ``math.inf``: no noise.
    defocus
        Underfocus in Angstrom.
    defocus_spread
        Standard deviation of each tilt's defocus around that of the series, Angstrom.
    amplitude_contrast
        Part of the contrast that is in focus.
    b_factor
        Square Angstrom: the envelope is ``exp(-B k^2 / 4)``.
    alignment_error
        Standard deviation of what is left of each tilt's shift along x and y, Angstrom.
    voltage, spherical_aberration
        Kilovolt; Angstrom.
    protein_phase
        Phase shift in radian of one Angstrom of protein in ice.
    mean_free_path
        Angstrom of ice after which 1/e of the electrons have lost no energy.
    gold_phase, gold_absorption
        Phase shift of gold in units of protein's; electrons lost per Angstrom of gold.
    """

    tilt_min: float = -60.0
    tilt_max: float = 60.0
    tilt_step: float = 3.0
    tilt_axis: str = "y"
    dose: float = 60.0
    defocus: Range = (32000.0, 39000.0)
    defocus_spread: float = 150.0
    amplitude_contrast: float = 0.08
    b_factor: float = 5000.0
    alignment_error: Range = (2.5, 4.5)
    voltage: float = 300.0
    spherical_aberration: float = 2.7e7
    protein_phase: float = 0.0013
    mean_free_path: float = 3200.0
    gold_phase: float = 3.0
    gold_absorption: float = 0.012


@dataclass(frozen=True)
class ReconstructionSettings:
    """How the tilt series becomes a volume, and what is done to it afterwards.

    Attributes
    ----------
    ctf_correction
        ``"none"``, ``"phase_flip"`` or ``"deconvolve"`` (a Wiener-like filter).
    deconvolution_strength, deconvolution_falloff
        Of ``"deconvolve"``: how high the signal-to-noise ratio is assumed, and how fast it falls with frequency.
    ramp_end, ramp_sigma
        Cycles per voxel: the ramp filter falls off as a Gaussian of this sigma from there on.
    sirt_iterations
        Above 0, the ramp is bent so that the volume looks like one of about that many SIRT iterations.
    smoothing
        Sigma in voxels of a Gaussian.
    border
        Voxels that hold `border_value` at the low and high end of z, y and x, as a box that was cut or padded has.
    border_value
        In standard deviations from the median of the volume.
    """

    ctf_correction: str = "none"
    deconvolution_strength: float = 1.0
    deconvolution_falloff: float = 1.0
    ramp_end: float = 0.25
    ramp_sigma: float = 0.08
    sirt_iterations: int = 0
    smoothing: float = 0.0
    border: Pairs = ((0, 0), (0, 0), (0, 0))
    border_value: float = 0.0


@dataclass(frozen=True)
class SimulationSettings:
    """All of a simulated tomogram but its densities and its seed.

    Attributes
    ----------
    shape_zyx
        Size of the field in voxels; z is the thickness.
    voxel_size
        Angstrom.
    """

    shape_zyx: tuple[int, int, int] = (96, 256, 256)
    voxel_size: float = 10.0
    specimen: SpecimenSettings = field(default_factory=SpecimenSettings)
    microscope: MicroscopeSettings = field(default_factory=MicroscopeSettings)
    reconstruction: ReconstructionSettings = field(default_factory=ReconstructionSettings)


def check_settings(settings: SimulationSettings) -> None:
    """Refuse what cannot be simulated.

    Raises
    ------
    UsageError
        A setting is out of range.
    """
    for part in (settings, settings.specimen, settings.microscope, settings.reconstruction):
        for name, fine, expected in _rules(part):
            if not fine:
                raise UsageError(f"simulation setting {name} is {getattr(part, name)}", expected=expected)


def _rules(part: object) -> tuple[tuple[str, bool, str], ...]:
    match part:
        case SimulationSettings():
            return (
                ("shape_zyx", len(part.shape_zyx) == 3 and min(part.shape_zyx) >= 8, "three sizes of 8 or more"),
                ("voxel_size", 0 < part.voxel_size < math.inf, "a positive number of Angstrom"),
            )
        case SpecimenSettings():
            counted = ("vesicles", "gold", "contamination", "microtubules", "actin")
            return (
                ("counts", min(part.counts.values(), default=0) >= 0, "0 or more of each species"),
                ("crowder_fraction", 0 <= part.crowder_fraction <= 0.3, "0 to 0.3"),
                *((name, _rising(getattr(part, name), 0), "two rising lengths") for name in _LENGTHS),
                *((name, _rising(getattr(part, name), 0), "two rising numbers, 0 or more") for name in counted),
            )
        case MicroscopeSettings():
            tilts = -STEEPEST <= part.tilt_min <= part.tilt_max <= STEEPEST
            return (
                ("tilt_min", tilts, f"-{STEEPEST:g} to tilt_max, and that at most {STEEPEST:g} degrees"),
                ("tilt_step", part.tilt_step > 0, "a positive number of degrees"),
                ("tilt_axis", part.tilt_axis in TILT_AXES, "x or y"),
                ("dose", part.dose > 0, "a positive number of electrons per square Angstrom"),
                ("amplitude_contrast", 0 <= part.amplitude_contrast <= 1, "0 to 1"),
                ("defocus", part.defocus[0] <= part.defocus[1], "two rising numbers of Angstrom"),
                ("alignment_error", _rising(part.alignment_error, 0), "two rising lengths"),
            )
        case ReconstructionSettings():
            return (
                ("ctf_correction", part.ctf_correction in CTF_CORRECTIONS, " or ".join(CTF_CORRECTIONS)),
                ("ramp_sigma", part.ramp_sigma > 0, "a positive number of cycles per voxel"),
                ("sirt_iterations", part.sirt_iterations >= 0, "0 or more"),
                ("smoothing", 0 <= part.smoothing < math.inf, "0 or more voxels"),
                ("border", min(min(pair) for pair in part.border) >= 0, "three pairs of widths, 0 or more"),
            )
    return ()


_LENGTHS = ("ice_thickness", "vesicle_radius", "gold_radius")


def _rising(pair: tuple[float, float], lowest: float) -> bool:
    return lowest <= pair[0] <= pair[1] < math.inf
