"""Simulated tomograms look like the reference sets `dev` and `mid`, which an earlier simulator made independently."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.densities import read_template
from milopyp_simulation.settings import MicroscopeSettings, SimulationSettings, SpecimenSettings
from milopyp_simulation.tomogram import simulate

CLIPPED = 127 / 30  # standard deviations, as the files' int8 are


@dataclass(frozen=True)
class Looks:
    """Power per shell of frequency, spread of each section, mean grey value of each species."""

    power: np.ndarray
    profile: np.ndarray
    depth: dict[str, float]


def looks(volume: np.ndarray, truth: dict[str, np.ndarray]) -> Looks:
    power = np.zeros(32)
    for y, x in ((0, 0), (0, 128), (128, 0), (128, 128)):
        piece = volume[16:80, y : y + 128, x : x + 128]
        density = np.abs(np.fft.rfftn(piece - piece.mean())) ** 2
        axes = np.fft.fftfreq(64)[:, None, None], np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)
        shell = np.minimum((np.sqrt(sum(axis**2 for axis in axes)) * 64).astype(int), 31)
        power += np.bincount(shell.ravel(), density.ravel(), 32) / np.bincount(shell.ravel(), minlength=32)
    depth = {}
    for name, xyz in truth.items():
        inside = np.minimum(xyz, np.array(volume.shape[::-1]) - 1 - xyz).min(axis=1) > 4
        boxes = [volume[z - 3 : z + 4, y - 3 : y + 4, x - 3 : x + 4] for x, y, z in np.rint(xyz[inside]).astype(int)]
        depth[name] = float(np.mean([box.mean() for box in boxes]))
    return Looks(power, volume.std(axis=(1, 2)), depth)


def looks_of_files(folder: Path, names: list[str]) -> Looks:
    all_looks = []
    for name in names:
        [path] = folder.glob(f"{name}.*")
        volume = np.asarray(open_tomogram(path, "xzy" if path.suffix == ".rec" else "xyz").zyx, np.float32) / 30
        rows: dict[str, list[list[float]]] = {}
        with (folder / "truth" / f"{name}.tsv").open() as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                rows.setdefault(row["species"], []).append([float(row[axis]) for axis in "xyz"])
        all_looks.append(looks(volume, {species: np.array(xyz) for species, xyz in rows.items()}))
    return mean_of(all_looks)


def mean_of(all_looks: list[Looks]) -> Looks:
    depth = {name: float(np.mean([one.depth[name] for one in all_looks])) for name in all_looks[0].depth}
    return Looks(np.mean([one.power for one in all_looks], 0), np.mean([one.profile for one in all_looks], 0), depth)


DEV = (
    SpecimenSettings(counts={"ribosome70S": 47, "proteasome26S": 25, "thyroglobulin": 59}, crowder_fraction=0.065),
    MicroscopeSettings(dose=105.0),
)
MID = (
    SpecimenSettings(
        counts={"ribosome70S": 16, "betagal": 61, "apoferritin": 58, "nmdar": 24},
        crowder_fraction=0.035,
        vesicles=(4, 5),
        vesicle_radius=(220.0, 340.0),
    ),
    MicroscopeSettings(dose=135.0),
)


@pytest.mark.parametrize(("name", "settings"), [("dev", DEV), ("mid", MID)], ids=["dev", "mid"])
def test_spectrum_and_contrast_are_those_of_the_reference(
    reference: Path, name: str, settings: tuple[SpecimenSettings, MicroscopeSettings]
) -> None:
    specimen, microscope = settings
    templates = {species: read_template(reference / f"data/templates/{species}.npz") for species in specimen.counts}
    made = []
    for seed in range(2):
        tomogram = simulate(SimulationSettings(specimen=specimen, microscope=microscope), templates, (11, seed))
        assert {species: len(tomogram.truth[species]) for species in specimen.counts} == specimen.counts
        truth = {species: poses.xyz for species, poses in tomogram.truth.items()}
        made.append(looks(np.clip(tomogram.volume, -CLIPPED, CLIPPED), truth))
    ours, theirs = mean_of(made), looks_of_files(reference / "data" / name, [f"{name}{i:02d}" for i in (1, 2, 3, 4)])
    np.testing.assert_allclose(ours.power[1:], theirs.power[1:], rtol=0.3)  # the lowest: few beads and vesicles
    np.testing.assert_allclose(ours.power[8:], theirs.power[8:], rtol=0.08)
    np.testing.assert_allclose(ours.profile, theirs.profile, rtol=0.1)
    for species in specimen.counts:
        assert ours.depth[species] == pytest.approx(theirs.depth[species], rel=0.25, abs=0.05), species
