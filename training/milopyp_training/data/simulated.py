"""Tomograms like a user's that are simulated with a known particle: all of its copies are labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from milopyp_shared.arrays import as_tomogram
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.resample import resampled
from milopyp_shared.wording import counted
from milopyp_simulation.among_others import PARTICLE, Imaging, simulate_among_others
from milopyp_simulation.subject import Subject

from .dataset import LabelledVolume

SEED = 0
THINNEST = 8  # voxels


def simulated_volumes(
    subject: Subject, count: int, grey: Preprocessing, scale: float, console: Console
) -> Iterator[LabelledVolume]:
    """The first `count` of them; as `simulated_volume`.

    Raises
    ------
    UsageError
        Settings that cannot be simulated, or no room for the particle.
    """
    made = _imaging(subject, scale)
    console.say(f"simulated tomograms have {made.thickness} sections and voxels of {made.voxel_size:.4g} A")
    with console.progress("simulated tomograms", count) as progress:
        for number in range(1, count + 1):
            volume = simulated_volume(subject, number, grey, scale)
            if volume.is_empty:
                raise UsageError(
                    f"no copy of the particle found room in {made.thickness} simulated sections",
                    where="--template",
                    expected="tomograms that are clearly thicker than the particle",
                    remedy="Are the voxel sizes of map and tomograms right?",
                )
            yield volume
            progress.step(f"{volume.name}, {counted(len(volume.xyz), 'particle')}")


def simulated_volume(subject: Subject, number: int, grey: Preprocessing, scale: float = 1.0) -> LabelledVolume:
    """Simulated tomogram `number` (from 1), as a network sees the user's.

    Where it sees tomograms at a part of their size (`scale`), so they are simulated: that takes a part of the time.
    """
    seen, voxel_size = min(scale, 1.0), subject.imaging.voxel_size
    made = simulate_among_others(subject.density, _imaging(subject, scale), (SEED, number))
    tomogram = resampled(as_tomogram(made.volume), scale / seen)
    xyz = (made.truth[PARTICLE].xyz + 0.5) / seen - 0.5
    return LabelledVolume(f"simulated_{number}", grey_levels(tomogram, grey), xyz, voxel_size, scale=scale)


def _imaging(subject: Subject, scale: float) -> Imaging:
    """As tomograms are simulated for a network that sees the user's at this scale."""
    given, seen = subject.imaging, min(scale, 1.0)
    thickness = max(round(given.thickness * seen), THINNEST)
    return replace(given, thickness=thickness, voxel_size=given.voxel_size / seen)
