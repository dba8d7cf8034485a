"""The simulated tomograms of pre-training on disk: each made once, read as grey levels with exact truth."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.arrays import as_tomogram
from milopyp_shared.atomic import atomic_write, make_folder, remove_leftovers
from milopyp_shared.errors import InputError
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_simulation.tomogram import simulate

from .domain import TOMOGRAMS, draw_group
from .settings import PretrainingSettings


@dataclass(frozen=True)
class SimulatedLevels:
    """One tomogram of a group.

    Attributes
    ----------
    levels
        ``(z, y, x)`` uint8, see `milopyp_shared.preprocessing`; mapped from the file, which processes share.
    species
        ``(n,)`` number of each particle's species in its group.
    xyz
        ``(n, 3)`` centres, full-resolution voxels.
    radii
        ``(s,)`` of the species' equivalent spheres, voxels.
    """

    levels: NDArray[np.uint8]
    species: NDArray[np.int64]
    xyz: NDArray[np.float64]
    radii: NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One tomogram to be made: number `member` of group `group` of the world `seed`."""

    folder: Path
    seed: int
    group: int
    member: int
    grey: Preprocessing

    @property
    def path(self) -> Path:
        """Its truth; the levels lie beside it, and are written first."""
        return _truth(self.folder, self.group, self.member)


def missing_jobs(folder: Path, settings: PretrainingSettings) -> list[Job]:
    """The tomograms that are not there yet."""
    numbers = itertools.product(range(settings.groups), range(TOMOGRAMS))
    jobs = [Job(folder, settings.seed, group, member, settings.grey) for group, member in numbers]
    return [job for job in jobs if not job.path.exists()]


def make_tomograms(jobs: Sequence[Job], workers: int) -> Iterator[str]:
    """Simulate tomograms in several processes, on which the result does not depend; the names of finished files.

    Killed at any moment, what is finished is there and nothing else.
    """
    if not jobs:
        return
    for folder in {job.folder for job in jobs}:
        make_folder(folder)
        remove_leftovers(folder)
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs)), _one_thread) as pool:
        yield from pool.imap(_make, jobs)


def read_group(folder: Path, group: int) -> Sequence[SimulatedLevels]:
    """The tomograms of a group.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    return [_read(_truth(folder, group, member)) for member in range(TOMOGRAMS)]


def _truth(folder: Path, group: int, member: int) -> Path:
    return folder / f"group_{group:04d}_{member}.npz"


def _levels(truth: Path) -> Path:
    return truth.with_suffix(".npy")


def _read(path: Path) -> SimulatedLevels:
    try:
        levels = np.load(_levels(path), mmap_mode="r", allow_pickle=False)
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            return SimulatedLevels(levels, stored["species"], stored["xyz"], stored["radii"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"is no simulated tomogram ({error})", where=path, remedy="Remove it: the same command makes it again."
        ) from error


def _one_thread() -> None:
    """Processes share the cores already."""
    import numba

    numba.set_num_threads(1)


def _make(job: Job) -> str:
    group = draw_group(job.seed, job.group)
    settings = group.settings[job.member]
    made = simulate(settings, group.densities, (job.seed, job.group, job.member))
    truth = [made.truth[name].xyz for name in group.densities]
    levels = grey_levels(as_tomogram(made.volume), job.grey)
    with atomic_write(_levels(job.path)) as part, part.open("wb") as stream:
        np.save(stream, levels.sections(0, levels.shape[0]))
    with atomic_write(job.path) as part, part.open("wb") as stream:
        np.savez(
            stream,
            species=np.repeat(np.arange(len(truth)), [len(xyz) for xyz in truth]),
            xyz=np.concatenate(truth) if truth else np.empty((0, 3)),
            radii=np.array([one.radius_in(settings.voxel_size) for one in group.densities.values()]),
        )
    return job.path.name
