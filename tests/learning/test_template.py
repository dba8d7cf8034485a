"""`milopyp learn --template`: from a map to picks, by the commands of docs/template.md, and its parts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from milopyp_inference.engine.features import FeatureNetwork, open_features
from milopyp_inference.engine.machine import Machine
from milopyp_learning.complete import learn_complete
from milopyp_learning.heads import Known
from milopyp_learning.kept_features import keep_features
from milopyp_learning.model import recipe_of
from milopyp_shared.labels import density_contrast
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.mrc import write_mrc
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation import among_others
from milopyp_simulation.among_others import PARTICLE, Imaging, simulate_among_others
from milopyp_simulation.densities import Density
from milopyp_simulation.random_shapes import random_density
from milopyp_simulation.spectrum import TiltRange
from milopyp_simulation.subject import Subject, Template, read_subject
from milopyp_training.data.dataset import TrainingSet
from milopyp_training.data.simulated import simulated_volume
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.template_agreement import TemplateAgreement, compare_with_labels
from running import Outcome, run_line
from toys import write_tomogram

PAGE = Path(__file__).parents[2] / "docs" / "template.md"
VOXEL_SIZE, DIAMETER = 10.0, 16.0
IMAGING = Imaging(thickness=32, voxel_size=VOXEL_SIZE, tilts=TiltRange("y", -60.0, 60.0))


@pytest.fixture(scope="module")
def density() -> Density:
    """Of a particle of about `DIAMETER` voxels."""
    return replace(random_density(np.random.default_rng(5), (DIAMETER / 2, DIAMETER / 2)), voxel_size=VOXEL_SIZE)


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return open_features(machine=Machine(threads=1))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated fields of a quarter of the area."""
    monkeypatch.setattr(among_others, "FIELD", 128)


def subject_of(density: Density) -> Subject:
    return Subject(density, 2 * density.radius_in(VOXEL_SIZE), IMAGING)


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def test_the_page_leads_from_a_map_to_picks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, density: Density, narrow: None
) -> None:
    """Its commands as they stand; more particles are found than a guess would find, and the file says what it is."""
    monkeypatch.chdir(tmp_path)
    write_mrc(Path("molecule.mrc"), density.array, VOXEL_SIZE)
    [block] = re.findall(r"```\n(milopyp phantom .*?)```", PAGE.read_text(), re.DOTALL)
    lines = block.strip().splitlines()
    assert [line.split()[0] for line in lines] == ["milopyp", "milopyp", "milopyp-infer", "milopyp", "milopyp"]
    said = [done(line) for line in lines]
    assert "degrees about y, as far as the missing wedge of phantom_1.mrc shows" in said[1].out
    assert "tomograms like phantom_1.mrc are simulated" in said[1].out
    assert "simulated tomograms have 48 sections and voxels of 10 A" in said[1].out
    assert "uncalibrated" in said[1].out
    done("milopyp evaluate picks --truth toy/coords.txt --radius 8 --json figures.json")
    assert json.loads(Path("figures.json").read_text())["auprc"] > 0.6
    shown = json.loads(done("milopyp show --json molecule.onnx").out)
    assert not shown["threshold"]["calibrated"]
    assert set(shown["labels"]) == {"simulated_1", "simulated_2", "simulated_3"}
    assert Path("picks/report.html").exists()


def test_tomograms_of_another_voxel_size_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, density: Density, narrow: None
) -> None:
    """Only the first one is simulated."""
    monkeypatch.chdir(tmp_path)
    write_mrc(Path("molecule.mrc"), density.array, VOXEL_SIZE)
    for number, size in enumerate((VOXEL_SIZE, 1.2 * VOXEL_SIZE), 1):
        noise = np.random.default_rng(number).normal(0, 1, (32, 64, 64)).astype(np.float32)
        write_mrc(Path(f"{number}.mrc"), noise, size)
    write_image_list(Path("images.txt"), [ImageEntry(f"t{number}", Path(f"{number}.mrc")) for number in (1, 2)])
    tilted = "--tilt-axis y --tilt-range -60,60 --threads 1"
    outcome = done(f"milopyp learn images.txt --template molecule.mrc -o m.onnx {tilted}")
    assert (
        "W02 voxel sizes from 10 to 12 A in one list: only tomograms like the first, t1, are simulated" in outcome.err
    )


def test_files_whose_axes_mirror_show_the_maps_other_hand(tmp_path: Path, density: Density) -> None:
    """One voxel of the map and where it is looked for."""
    write_mrc(tmp_path / "map.mrc", density.array, VOXEL_SIZE)
    hands = {}
    for order in ("xyz", "xzy"):
        zyx = np.random.default_rng(1).normal(0, 1, (32, 64, 64)).astype(np.float32)
        tomogram = open_tomogram(write_tomogram(tmp_path / f"{order}.mrc", zyx, order, voxel_size=10.0), order)
        given = Template(tmp_path / "map.mrc", tilt_axis="y", tilt_range=(-60.0, 60.0))
        said: list[str] = []
        hands[order] = read_subject(given, tomogram, None, said.append).density
        assert any("mirrored" in line for line in said) == (order == "xzy")
    np.testing.assert_array_equal(hands["xzy"].array, hands["xyz"].array[:, :, ::-1])
    x, y, z = hands["xyz"].centre_xyz
    assert hands["xzy"].centre_xyz == pytest.approx((hands["xyz"].array.shape[2] - 1 - x, y, z))
    assert not np.allclose(hands["xzy"].array, hands["xyz"].array)


def test_labels_are_only_compared(density: Density, network: FeatureNetwork, narrow: None) -> None:
    """All labels of the particle are found, none of places where there is none."""
    subject = subject_of(density)
    volume = simulated_volume(subject, 1, network.description.grey)
    known = Known(volume, keep_features(network, volume))
    recipe = recipe_of(network, TrainingSet([volume], [], subject.diameter, "dark"))
    heat = known.features.heat_map(learn_complete([known], TargetMap(subject.diameter, recipe.geometry.stride)))
    recipe = replace(recipe, threshold=replace(recipe.threshold, score=0.2))
    compared = compare_with_labels([(volume, heat)], recipe)
    assert compared.count == len(volume.xyz)
    assert compared.found > 0.8 * compared.count
    nowhere = replace(volume, xyz=np.array([[4.0, 4.0, 2.0], [124.0, 124.0, 30.0]]))
    assert compare_with_labels([(nowhere, heat)], recipe) == TemplateAgreement(0, 2, 0.2)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.4])
def test_particles_are_where_their_labels_are(
    density: Density, network: FeatureNetwork, narrow: None, scale: float
) -> None:
    """At every scale: labels are in voxels of the user's tomogram, and dark places of the grey levels lie there."""
    clear = replace(IMAGING, dose=1e6, thickness=48)
    seen = replace(density, voxel_size=VOXEL_SIZE / scale) if scale < 1 else density
    volume = simulated_volume(replace(subject_of(seen), imaging=clear), 1, network.description.grey, scale)
    assert volume.voxel_size == VOXEL_SIZE
    assert len(volume.xyz) >= 3
    levels = volume.grey.sections(0, volume.grey.shape[0]).astype(np.float32)

    def contrast(shift: tuple[float, float, float]) -> float:
        return density_contrast(levels, volume.xyz + np.array(shift), DIAMETER, volume.voxel_per_grey)

    around = [tuple(row) for row in DIAMETER / 2 * np.concatenate([np.eye(3), -np.eye(3)])]
    assert contrast((0.0, 0.0, 0.0)) < min(contrast(shift) for shift in around) < 0


def test_others_do_not_give_the_particle_away(density: Density, narrow: None) -> None:
    """Neither darker nor larger, on the average of many."""
    rng = np.random.default_rng(1)
    others = [among_others._other(density, VOXEL_SIZE, False, rng) for _ in range(12)]
    masses = np.array([one.mass for one in others]) * VOXEL_SIZE**3
    assert np.median(masses) == pytest.approx(density.mass * VOXEL_SIZE**3, rel=0.35)
    radii = np.array([one.radius_in(VOXEL_SIZE) for one in others])
    assert np.median(radii) == pytest.approx(density.radius_in(VOXEL_SIZE), rel=0.15)


def test_tomograms_are_as_the_users(density: Density, narrow: None) -> None:
    made = simulate_among_others(density, IMAGING, (0, 1))
    assert made.volume.shape == (32, 128, 128)
    assert made.voxel_size == VOXEL_SIZE
    assert 3 <= len(made.truth[PARTICLE]) <= among_others.FEWEST
    again = simulate_among_others(density, IMAGING, (0, 1))
    np.testing.assert_array_equal(again.volume, made.volume)
    assert not math.isclose(simulate_among_others(density, IMAGING, (0, 2)).defocus, made.defocus)


def test_a_membrane_protein_stands_on_vesicles(density: Density, narrow: None) -> None:
    low = replace(density, membrane_z=density.centre_xyz[2] - density.max_radius)
    made = simulate_among_others(low, replace(IMAGING, thickness=64), (0, 1))
    assert len(made.truth[PARTICLE]) >= 1
    assert made.truth.keys() == {PARTICLE, "gold", *(f"other_{number}" for number in range(among_others.OTHERS))}
