"""Patches of the default preset, found again in the volumes they were cut from.

With augmentation off a patch is a flipped box of grey levels. Noise makes every box unique, so a search over all
places and flips tells where a patch comes from; what it should give follows from the labels by the definition.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.masks import Mask
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.methods.default_patches import Batch, PatchSampling, draw_batch, patch_shape, target_map_of
from milopyp_training.methods.presets import DefaultPreset
from toys import noise, write_tomogram

DIAMETER = 9.0
STRIDE = (1, 2, 2)  # of the default network
PLAIN = DefaultPreset(noise=0.0, brightness=0.0, contrast=0.0, patch=(4, 16, 20), batch=40, jitter=0.3)
FLIPS = [tuple(axis for axis in range(3) if word[axis]) for word in product((0, 1), repeat=3)]


def labelled(
    folder: Path,
    shape_zyx: tuple[int, int, int],
    xyz: list[tuple[float, float, float]],
    seed: int = 1,
    parameters: Preprocessing = PLAIN.grey,
) -> LabelledVolume:
    """A volume of noise with these labels."""
    path = write_tomogram(folder / f"{seed}.mrc", noise(shape_zyx, seed))
    return LabelledVolume(path.stem, grey_levels(open_tomogram(path, "xyz"), parameters), np.array(xyz), 10.0)


@dataclass(frozen=True)
class Found:
    """Where a patch comes from: volume, first voxel (z, y, x), flipped axes."""

    volume: int
    start: tuple[int, int, int]
    flip: tuple[int, ...]


def levels(volume: LabelledVolume) -> np.ndarray:
    return volume.grey.sections(0, volume.grey.shape[0])


def find(patch: np.ndarray, volumes: list[LabelledVolume]) -> Found:
    """The only place and flip at which the grey levels of a patch occur."""
    wanted = np.rint(patch * 255).astype(np.int64)
    np.testing.assert_allclose(wanted / 255, patch, atol=1e-6)
    found = []
    for number, volume in enumerate(volumes):
        grey = levels(volume)
        starts = [size - part + 1 for size, part in zip(grey.shape, patch.shape, strict=True)]
        for flip in FLIPS:
            box = np.flip(wanted, flip)
            fits = np.ones(starts, bool)
            for offset in np.ndindex(2, 3, 4):
                part = grey[tuple(slice(o, o + n) for o, n in zip(offset, starts, strict=True))]
                fits &= part == box[offset]
            for start in np.argwhere(fits):
                end = start + patch.shape
                if np.array_equal(grey[tuple(slice(a, b) for a, b in zip(start, end, strict=True))], box):
                    found.append(Found(number, tuple(start.tolist()), flip))
    assert len(found) == 1, f"a patch occurs {len(found)} times"
    return found[0]


def target_heat(
    volume: LabelledVolume, start: tuple[int, int, int], shape: tuple[int, ...], stride: tuple[int, int, int] = STRIDE
) -> tuple[np.ndarray, ...]:
    """Target of a box (before flipping) and the voxels nearest to labels, by definition in full-resolution voxels."""
    voxels = np.array(stride) * (volume.grey.sections_per_pair, 1, 1)  # per voxel of the heat map
    first = np.array(start) * (volume.grey.sections_per_pair, 1, 1)
    axes = (f + step * np.arange(size // s) + (step - 1) / 2 for f, step, size, s in zip(first, voxels, shape, stride))
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    sigma = PLAIN.target_sigma * DIAMETER / 2
    target, nearest = np.zeros(centres.shape[:3]), np.zeros(centres.shape[:3], bool)
    for label in volume.xyz[:, ::-1]:
        q = (((centres - label) / sigma) ** 2).sum(-1)
        target = np.maximum(target, np.where(q <= 9, np.exp(-q / 2), 0))
        inside = np.all(np.abs(centres - label) <= voxels / 2, axis=-1)
        nearest |= inside
    return target, nearest


def batch_of(
    volumes: list[LabelledVolume],
    preset: DefaultPreset = PLAIN,
    seed: int = 3,
    stride: tuple[int, int, int] = STRIDE,
) -> Batch:
    sampling = PatchSampling(preset, [target_map_of(preset, DIAMETER, stride)], patch_shape(preset, volumes, stride))
    return draw_batch(volumes, sampling, np.random.default_rng(seed))


LABELS = [(7.3, 20.1, 9.2), (28.9, 11.7, 4.4), (30.2, 33.3, 13.1), (18.6, 6.2, 17.8), (2.3, 3.2, 1.1)]


@pytest.mark.parametrize(
    ("pairing", "stride"), [("mean", STRIDE), ("none", STRIDE), ("mean", (1, 4, 4)), ("none", (2, 1, 4))]
)
def test_targets_lie_where_the_labels_are(tmp_path: Path, pairing: str, stride: tuple[int, int, int]) -> None:
    """Whatever the stride of the network."""
    parameters = replace(PLAIN.grey, pairing=pairing)  # type: ignore[arg-type]
    volumes = [
        labelled(tmp_path, (20, 38, 42), LABELS, 1, parameters),
        labelled(tmp_path, (22, 40, 36), LABELS[1:4], 2, parameters),
    ]
    batch = batch_of(volumes, stride=stride)
    assert batch.sections.dtype == batch.target.dtype == np.float32
    assert batch.sections.shape == (40, 4, 16, 20) and batch.target.shape == batch.positive.shape
    assert batch.target.shape[1:] == (4 // stride[0], 16 // stride[1], 20 // stride[2])
    places, marks = [], 0
    for patch, target, positive in zip(batch.sections, batch.target, batch.positive, strict=True):
        place = find(patch, volumes)
        places.append(place)
        assert not np.any(np.array(place.start) % stride)  # on the grid of the whole heat map
        heat, nearest = target_heat(volumes[place.volume], place.start, patch.shape, stride)
        np.testing.assert_allclose(np.flip(target, place.flip), heat, atol=1e-5)
        marked = np.flip(positive, place.flip)
        assert marked[nearest].all()
        assert (heat[marked & ~nearest] > 0.7).all()  # what else is positive is next to a label, too
        marks += int(nearest.sum())
    assert marks > 20  # there was something to compare
    assert {place.flip for place in places} == set(FLIPS)
    assert {place.volume for place in places} == {0, 1}


def test_ignored_places_teach_nothing_but_labels_do(tmp_path: Path) -> None:
    """Within a particle radius of an ignored place the target is 1 without a positive, unless a label is nearer."""
    labels, places = [(7.3, 20.1, 9.2), (28.9, 11.7, 4.4)], np.array([[20.0, 24.0, 9.0], [31.0, 14.0, 6.0]])
    plain = labelled(tmp_path, (16, 40, 44), labels)
    ignoring = replace(plain, ignored=places)
    without, batch = batch_of([plain]), batch_of([ignoring])
    assert np.array_equal(batch.sections, without.sections)
    assert np.array_equal(batch.positive, without.positive)
    changed = 0
    for number, patch in enumerate(batch.sections):
        place = find(patch, [plain])
        old, new = (np.flip(b.target[number], place.flip) for b in (without, batch))
        z, y, x = (np.arange(n) + 0.5 for n in new.shape)
        centres = np.stack(np.meshgrid(z, y, x, indexing="ij"), -1) * 2 - 0.5 + place.start * np.array([2, 1, 1])
        to_place, to_label = (
            np.min([np.linalg.norm(centres - point[::-1], axis=-1) for point in points], axis=0)
            for points in (places, np.array(labels))
        )
        positive = np.flip(batch.positive[number], place.flip)
        wanted = (to_place < DIAMETER / 2) & (to_place < to_label) & ~positive
        assert np.array_equal(new, np.where(wanted, 1.0, old))
        changed += int(wanted.sum())
    assert changed > 100


def test_background_is_drawn_inside_the_mask(tmp_path: Path) -> None:
    """The middle of a patch that is drawn anywhere lies inside a mask that leaves room for it."""
    values = np.zeros((20, 64, 64), np.int8)
    values[:, :, :24] = 1
    plain = labelled(tmp_path, (20, 64, 64), [(10.0, 10.0, 10.0)])
    preset = replace(PLAIN, centred=0.0, patch=(4, 16, 16))
    middles = [
        find(patch, [plain]).start[2] + 8 for patch in batch_of([replace(plain, mask=Mask(values))], preset).sections
    ]
    assert max(middles) < 24 and len(set(middles)) > 3


def test_volumes_are_drawn_in_proportion_to_their_labels(tmp_path: Path) -> None:
    volumes = [
        labelled(tmp_path, (12, 24, 26), [(12.0, 12.0, 6.0)] * 4, 1),
        labelled(tmp_path, (12, 24, 26), [(12.0, 12.0, 6.0)], 2),
    ]
    preset = replace(PLAIN, batch=200)
    count = Counter(find(patch, volumes).volume for patch in batch_of(volumes, preset).sections)
    assert count[0] / 200 == pytest.approx(0.8, abs=4 * (0.8 * 0.2 / 200) ** 0.5)


NOTHING = np.empty((0, 3))


def test_an_empty_volume_gives_background(tmp_path: Path) -> None:
    """Of the 40 % of patches that lie anywhere one in three is its own; the others are as they would be without it."""
    full = [
        labelled(tmp_path, (12, 24, 26), [(12.0, 12.0, 6.0)] * 3, 1),
        labelled(tmp_path, (12, 24, 26), [(12.0, 12.0, 6.0)], 2),
    ]
    empty = replace(labelled(tmp_path, (12, 24, 26), [(0.0, 0.0, 0.0)], 3), xyz=NOTHING)
    preset = replace(PLAIN, batch=600, centred=0.6, jitter=0.0)
    batch = batch_of([*full, empty], preset)
    owner = np.array([find(patch, [*full, empty]).volume for patch in batch.sections])
    assert not batch.positive[owner == 2].any() and not batch.target[owner == 2].any()
    share = [np.mean(owner == number) for number in range(3)]
    rest = 1 - 0.4 / 3
    for found, wanted in zip(share, (rest * 0.75, rest * 0.25, 0.4 / 3), strict=True):
        assert found == pytest.approx(wanted, abs=4 * (wanted * (1 - wanted) / 600) ** 0.5)
    middle = (batch.positive.any(axis=(1, 2, 3))).mean()
    alone = batch_of(full, preset).positive.any(axis=(1, 2, 3)).mean()
    assert middle >= 0.6 - 4 * (0.24 / 600) ** 0.5  # around labels as often as the preset says
    assert middle <= alone + 4 * (0.24 / 600) ** 0.5


def test_the_mask_of_an_empty_volume(tmp_path: Path) -> None:
    """Outside it nothing is background either."""
    values = np.zeros((12, 24, 26), bool)
    values[:, :, :12] = True
    full = labelled(tmp_path, (12, 24, 26), [(12.0, 12.0, 6.0)], 1)
    empty = replace(labelled(tmp_path, (12, 24, 26), [(0.0, 0.0, 0.0)], 2), xyz=NOTHING, mask=Mask(values))
    batch = batch_of([full, empty], replace(PLAIN, centred=0.0, patch=(4, 16, 26)))
    owner = np.array([find(patch, [full, empty]).volume for patch in batch.sections])
    assert 0 < np.count_nonzero(owner) < len(owner)
    for number in np.flatnonzero(owner):
        place = find(batch.sections[number], [full, empty])
        target = np.flip(batch.target[number], place.flip)
        assert not target[:, :, :6].any() and (target[:, :, 6:] == 1).all()
    assert not batch.positive[owner == 1].any()


@pytest.mark.parametrize("centred", [0.0, 0.6, 1.0])
def test_share_of_patches_around_labels(tmp_path: Path, centred: float) -> None:
    """Patches drawn anywhere meet the one label of a wide volume seldom, and as often as they should."""
    volume = labelled(tmp_path, (32, 96, 96), [(70.3, 31.6, 15.7)])
    preset = replace(PLAIN, batch=1000, patch=(8, 24, 24), centred=centred)
    batch = batch_of([volume], preset)
    share = batch.positive.any(axis=(1, 2, 3)).mean()
    # The label is in section 8 of 16, row 16 and column 35 of 48 of the heat map. First sections 1 to 8 of 0 to 8 hold
    # it, and 12 of the first rows and columns 0, 2, ... 72, each drawn twice as often as the last.
    anywhere = 8 / 9 * (24 / 73) ** 2
    expected = centred + (1 - centred) * anywhere
    assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 1000) ** 0.5)


def test_a_label_is_anywhere_in_its_patch_within_the_jitter(tmp_path: Path) -> None:
    volume = labelled(tmp_path, (40, 96, 96), [(48.0, 50.0, 20.0)])
    preset = replace(PLAIN, batch=600, patch=(8, 24, 32), centred=1.0, jitter=0.25)
    positive = batch_of([volume], preset).positive
    assert (positive.sum(axis=(1, 2, 3)) == 1).all()
    places = np.argwhere(positive)[:, 1:] + 0.5
    for axis, size in enumerate((8, 12, 16)):
        offset = places[:, axis] - size / 2
        assert np.abs(offset).max() <= 0.25 * size + 1
        assert offset.min() < -0.15 * size and offset.max() > 0.15 * size
        assert abs(offset.mean()) < 0.04 * size  # flips leave no side preferred


@pytest.mark.parametrize("shape", [(8, 24, 26), (9, 25, 27), (40, 13, 90)])
def test_volumes_smaller_than_a_patch(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """The patch shrinks to whole heat-map voxels of what there is."""
    preset = replace(PLAIN, patch=(16, 64, 64), batch=6)
    volume = labelled(tmp_path, shape, [(12.2, 11.4, 3.9), (3.1, 5.5, 4.2)])
    depth, rows, columns = volume.grey.shape
    assert patch_shape(preset, [volume], STRIDE) == (min(depth, 16), min(rows, 64) // 2 * 2, min(columns, 64) // 2 * 2)
    batch = batch_of([volume], preset)
    for patch, target in zip(batch.sections, batch.target, strict=True):
        place = find(patch, [volume])
        heat, _ = target_heat(volume, place.start, patch.shape)
        np.testing.assert_allclose(np.flip(target, place.flip), heat, atol=1e-5)
    # the smallest volume of several decides
    wide = labelled(tmp_path, (48, 80, 80), [(20.0, 20.0, 20.0)], 2)
    assert patch_shape(preset, [wide], STRIDE) == (16, 64, 64)
    assert patch_shape(preset, [wide, volume], STRIDE) == patch_shape(preset, [volume], STRIDE)
    assert patch_shape(preset, [volume], (2, 4, 4)) == tuple(
        min(have, want) // step * step
        for have, want, step in zip(volume.grey.shape, preset.patch, (2, 4, 4), strict=True)
    )


# ---------------------------------------------------------------- augmentation, in z-scores


def z_scores(sections: np.ndarray) -> np.ndarray:
    low, high = PLAIN.grey.limits
    return sections.astype(np.float64) * (high - low) + low


@pytest.fixture
def volumes(tmp_path: Path) -> list[LabelledVolume]:
    return [labelled(tmp_path, (20, 38, 42), LABELS)]


def test_the_same_generator_draws_the_same_batch(volumes: list[LabelledVolume]) -> None:
    noisy = DefaultPreset(patch=(4, 16, 20))
    first, again, other = (batch_of(volumes, noisy, seed) for seed in (3, 3, 4))
    for name in ("sections", "target", "positive"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.sections, other.sections)


def test_noise_is_white_and_as_strong_as_the_preset_says(volumes: list[LabelledVolume]) -> None:
    clean, noisy = (z_scores(batch_of(volumes, replace(PLAIN, noise=strength)).sections) for strength in (0.0, 0.5))
    difference = noisy - clean
    count = difference.size
    assert difference.std() == pytest.approx(0.5, abs=5 * 0.5 / (2 * count) ** 0.5)
    assert abs(difference.mean()) < 5 * 0.5 / count**0.5
    for axis in (1, 2, 3):
        one, next_to_it = np.split(difference, [-1], axis)[0], np.split(difference, [1], axis)[1]
        assert abs((one * next_to_it).mean()) < 5 * 0.25 / one.size**0.5


def test_brightness_and_contrast_change_a_patch_as_a_whole(volumes: list[LabelledVolume]) -> None:
    """A z-score becomes scale * z + shift, both of a patch's own, so a tomogram's mean is the pivot."""
    preset = replace(PLAIN, brightness=0.3, contrast=0.2)
    clean, changed = (z_scores(batch_of(volumes, which).sections) for which in (PLAIN, preset))
    lines = []
    for before, after in zip(clean, changed, strict=True):
        scale, shift = np.polyfit(before.ravel(), after.ravel(), 1)
        np.testing.assert_allclose(after, scale * before + shift, atol=1e-5)
        lines.append((scale, shift))
    scales, shifts = np.array(lines).T
    for values, half in ((scales - 1, 0.2), (shifts, 0.3)):
        assert np.abs(values).max() <= half + 1e-5
        assert values.min() < -0.5 * half and values.max() > 0.5 * half
