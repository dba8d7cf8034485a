"""``--mask`` in training: nothing outside is a label, background, or a place of interest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import HERE, PUBLISHED_LISTS, SMALL, Experiment
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.masks import Mask
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.loading import load_volumes
from milopyp_training.data.target_map import TargetMap
from milopyp_training.data.targets import IGNORED
from milopyp_training.losses.contrastive import debiased_contrastive
from milopyp_training.losses.published import PublishedLoss, published_criterion
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.default_patches import PatchSampling, draw_batch
from milopyp_training.methods.presets import DefaultPreset, PublishedPreset
from milopyp_training.methods.published import PublishedMethod
from running import run_line
from toys import write_tomogram

PLAIN = DefaultPreset(noise=0.0, brightness=0.0, contrast=0.0, patch=(4, 16, 16), batch=60, jitter=0.3)
SAMPLING = PatchSampling(replace(PLAIN, centred=1.0), [TargetMap(8.0, (1, 2, 2))], (4, 16, 16))


def write_masks(folder: Path, where: Path, below: int) -> Path:
    """Masks of the part with x < `below` of every tomogram of an image list."""
    for image in read_image_list(where):
        tomogram = open_tomogram(image.path)
        values = np.zeros(tomogram.shape, np.int8)
        values[:, :, :below] = 1
        write_tomogram(folder / f"{image.name}_mask.mrc", values, tomogram.order)
    return folder


def loaded(masks: Path) -> tuple[list[LabelledVolume], list[str]]:
    warned: list[str] = []
    volumes = load_volumes(
        read_image_list("small/train_img.txt"), read_coordinate_list("small/train_coord.txt"), PLAIN.grey,
        diameter=8.0, masks=masks, warn=warned.append,
    )  # fmt: skip
    return volumes, warned


@pytest.mark.usefixtures("work")
def test_labels_outside_are_left_out_aloud(tmp_path: Path) -> None:
    volumes, warned = loaded(write_masks(tmp_path, Path("small/train_img.txt"), 30))
    everything = read_coordinate_list("small/train_coord.txt")
    for volume in volumes:
        own = everything[volume.name]
        assert np.array_equal(volume.xyz, own[own[:, 0] < 29.5])
        said = f"W08 labels outside the mask are left out: {np.sum(own[:, 0] >= 29.5)} of {len(own)}"
        assert any(said in text for text in warned)


@pytest.mark.usefixtures("work")
def test_patches_and_targets(tmp_path: Path) -> None:
    """Outside the mask the target is 1 without a positive, which the loss does not weigh; inside nothing changes."""
    [volume, *_], _ = loaded(write_masks(tmp_path, Path("small/train_img.txt"), 30))
    drawn = {
        masked: draw_batch([own], SAMPLING, np.random.default_rng(1))
        for masked, own in ((True, volume), (False, replace(volume, mask=None)))
    }
    assert np.array_equal(drawn[True].sections, drawn[False].sections)
    changed = drawn[True].target != drawn[False].target
    assert (drawn[True].target[changed] == 1.0).all() and not drawn[True].positive[changed].any()
    assert 0 < changed.mean() < 0.8
    method = DefaultMethod(PLAIN, [volume], [8.0], torch.device("cpu"))
    target = method.target(volume)
    assert (target[:, :, 15:] == IGNORED).all() and (target[:, :, :15] >= 0).all()


@pytest.mark.usefixtures("work")
def test_a_label_at_the_edge_stays_one(tmp_path: Path) -> None:
    """The mask ends within the voxel of the grid that holds a kept label, whose middle it leaves out."""
    [volume, *_], _ = loaded(write_masks(tmp_path, Path("small/train_img.txt"), 31))
    edge = replace(volume, xyz=np.array([[30.2, 20.0, 6.0]]))
    assert volume.mask is not None and volume.mask.keeps(edge.xyz).all()
    assert not volume.mask.keeps(np.array([[30.5, 20.0, 6.0]])).all()  # the middle of its voxel of the grid
    batch = draw_batch([edge], SAMPLING, np.random.default_rng(1))
    assert batch.positive.any(axis=(1, 2, 3)).mean() > 0.8
    assert (DefaultMethod(PLAIN, [edge], [8.0], torch.device("cpu")).target(edge) == 1.0).sum() == 1
    published = PublishedPreset()
    [wide, *_] = load_volumes(
        read_image_list("data/sample_train_explore_img.txt"),
        read_coordinate_list("data/training_coordinates.txt"),
        published.grey,
        diameter=8.0,
        order="xzy",
    )
    values = np.zeros(tuple(int(n) for n in (wide.grey.shape[0] * 2, *wide.grey.shape[1:])), np.int8)
    values[:, :, :31] = 1
    edge = replace(wide, xyz=np.array([[30.2, 34.0, 6.0], [20.0, 34.0, 6.0]]), mask=Mask(values))
    target = PublishedMethod(published, [edge], 8.0, torch.device("cpu")).target(edge)
    assert (target == 1.0).sum() == 2 and (target == IGNORED).any()


@pytest.mark.parametrize("kind", ["pu", "pn", "ge"])
def test_published_losses_do_not_see_what_is_left_out(kind: str) -> None:
    """The heat-map loss is that of the other voxels: what the network says outside does not change it."""
    generator = torch.Generator().manual_seed(3)
    shape = (2, 1, 2, 4, 4)
    logits = torch.randn(shape, generator=generator)
    embedding = torch.nn.functional.normalize(torch.randn((2, 8, 2, 4, 4), generator=generator), dim=1)
    target = torch.full((1, 2, 2, 4, 4), 0.0 if kind == "pn" else -1.0)
    target[0, 0, 0, 1, 1] = target[0, 1, 1, 2, 1] = 1.0
    target[0, 0, 1, 1, 1] = 0.5
    target[..., 3] = IGNORED
    options = PublishedLoss(kind=kind, contrastive=True, tau=0.02)  # type: ignore[arg-type]
    values = []
    for change in (0.0, 2.0):
        other = logits.clone()
        other[..., 3] += change
        # the mirror image along y keeps the columns that are left out in place
        mirrored = other.flip(-2), embedding.flip(-2)
        values.append(published_criterion((other, embedding), mirrored, target, options, flip_y=True))
    assert torch.equal(values[0].heat_map, values[1].heat_map)
    assert torch.equal(values[0].contrastive, values[1].contrastive)
    assert torch.equal(values[0].total, values[1].total)


def test_contrastive_term_is_that_of_the_voxels_inside() -> None:
    generator = torch.Generator().manual_seed(4)
    embedding = torch.nn.functional.normalize(torch.randn((2, 8, 2, 4, 4), generator=generator), dim=1)
    logits = torch.randn((2, 1, 2, 4, 4), generator=generator)
    target = torch.full((1, 2, 2, 4, 4), -1.0)
    target[0, 0, 0, 1, 1] = target[0, 1, 1, 2, 1] = 1.0
    target[..., 3] = IGNORED
    options = PublishedLoss(contrastive=True, tau=0.02)
    mirrored = logits.flip(-2), embedding.flip(-2)
    parts = published_criterion((logits, embedding), mirrored, target, options, flip_y=True)
    rows = embedding.movedim(1, -1)[..., :3, :].flatten(0, -2)
    p = torch.sigmoid(logits)[..., :3].flatten()
    first, second = debiased_contrastive(
        rows, rows, target[..., :3].flatten(), p, p,
        thresh=options.thresh, temperature=options.temperature, tau=options.tau,
    )  # fmt: skip
    assert float(parts.contrastive) == pytest.approx(float(first + 0.1 * second), rel=1e-5)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("preset", ["default", "published"])
def test_real_command(tmp_path: Path, preset: str) -> None:
    small = preset == "default"
    line = f"{SMALL} --quick" if small else f"milopyp-train {PUBLISHED_LISTS} {HERE} --order xzy --preset published"
    images = "small/train_img.txt" if small else "data/sample_train_explore_img.txt"
    labels = read_coordinate_list("small/train_coord.txt" if small else "data/training_coordinates.txt")
    below = round(float(np.median(np.concatenate(list(labels.values()))[:, 0])))
    masks = write_masks(tmp_path, Path(images), below)
    outcome = run_line(line, "--exp-id", f"masked_{preset}", "--num-epochs", "1", "--mask", str(masks))
    assert outcome.code == 0 and "labels outside the mask are left out" in outcome.err
    experiment = Experiment(outcome, Path("exp/semi") / f"masked_{preset}")
    assert experiment.options()["mask"] == (str(masks), "given")
    assert 0 < sum(experiment.recipe().labels.values()) < sum(map(len, labels.values()))
    again = run_line(line, "--exp-id", "refused", "--mask", str(tmp_path / "gone"))
    assert again.code == 2 and "gone: no such file or folder" in again.err
