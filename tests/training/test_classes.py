"""Several classes of particles: their lists, what one's labels say of the others, patches, loss and folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from milopyp_shared.coordinate_lists import read_classes, read_coordinate_list, write_classes
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.lists import ImageEntry, read_image_list, write_image_list
from milopyp_shared.particles import Particle, particles_of
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.scale import scale_for_all
from milopyp_training.data.classes import of_each, shared_places
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.loading import load_classes
from milopyp_training.evaluation.held_out import folds
from milopyp_training.losses.focal import class_focal_loss, soft_focal_loss
from milopyp_training.methods.default import DefaultMethod
from milopyp_training.methods.presets import DefaultPreset
from toys import write_tomogram

BIG, SMALL = Particle("big", 10.0), Particle("small", 6.0)
PLAIN = DefaultPreset(
    grey=Preprocessing(pairing="none"), patch=(8, 16, 16), batch=12, steps=1, brightness=0, contrast=0, noise=0,
    jitter=0,
)  # fmt: skip
BIGS = np.array([[10.0, 12.0, 6.0], [30.0, 22.0, 8.0]])
SMALLS = np.array([[20.0, 8.0, 7.0]])


@pytest.fixture
def images(tmp_path: Path) -> list[ImageEntry]:
    noise = np.random.default_rng(1).normal(0, 1, (16, 32, 40)).astype(np.float32)
    entries = [ImageEntry(name, write_tomogram(tmp_path / f"{name}.mrc", noise)) for name in ("a", "b")]
    write_image_list(tmp_path / "images.txt", entries)
    return read_image_list(tmp_path / "images.txt")


@pytest.fixture
def volumes(images: list[ImageEntry]) -> list[LabelledVolume]:
    """Big ones in both tomograms, small ones in the first only; nobody has looked for these in the second."""
    labels = [{"a": BIGS, "b": BIGS[:1]}, {"a": SMALLS}]
    return load_classes(images, labels, PLAIN.grey, particles=[BIG, SMALL], order="xyz")


names = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "none"), min_size=2,
                 max_size=4, unique=True)  # fmt: skip


@given(names, st.integers(0, 3), st.integers(1, 3))
def test_a_list_of_classes_and_back(tmp_path_factory: pytest.TempPathFactory, names: list[str], n: int, m: int) -> None:
    classes = {
        name: {"a": np.full((n if number else m, 3), number + 0.25), "b": np.empty((0, 3))}
        for number, name in enumerate(names)
    }
    path = tmp_path_factory.mktemp("lists") / "coords.txt"
    write_classes(path, classes)
    again = read_classes(path)
    assert list(again) == names
    for name, own in classes.items():
        assert {image: xyz.tolist() for image, xyz in again[name].items()} == {i: x.tolist() for i, x in own.items()}
    with pytest.raises(InputError, match=rf"coords\.txt: has particles of {len(names)} classes"):
        read_coordinate_list(path)


def test_one_class_with_a_name_is_a_list_like_others(tmp_path: Path) -> None:
    write_classes(tmp_path / "named.txt", {"big": {"a": BIGS}})
    write_classes(tmp_path / "plain.txt", {"": {"a": BIGS}})
    assert "class" not in (tmp_path / "plain.txt").read_text()
    for name in ("named.txt", "plain.txt"):
        assert np.array_equal(read_coordinate_list(tmp_path / name)["a"], BIGS)


def test_diameters_of_classes() -> None:
    assert particles_of({"": 10.0}, ["big"]) == (BIG,)
    assert particles_of({"small": 6.0, "big": 10.0}, ["big", "small"]) == (BIG, SMALL)  # in the labels' order
    with pytest.raises(UsageError, match="no diameter of small; expected a diameter for each class"):
        particles_of({"big": 10.0}, ["big", "small"])
    with pytest.raises(UsageError, match="tiny, of which there are no labels"):
        particles_of({"big": 10.0, "small": 6.0, "tiny": 3.0}, ["big", "small"])
    with pytest.raises(UsageError, match="diameters of 2 classes; expected one"):
        particles_of({"big": 10.0, "small": 6.0}, [""])


def test_one_scale_for_all_or_none() -> None:
    known = (8.0, 30.0)
    assert scale_for_all([10, 20], known) == 1.0
    assert scale_for_all([40, 20], known) == 0.5  # the large one halved, and the other one is still known
    with pytest.raises(UsageError, match=r"diameters of 9 to 100 voxels; expected sizes that a network sees at once"):
        scale_for_all([9, 100], known)


def test_the_others_labels_are_rejected_places(volumes: list[LabelledVolume]) -> None:
    assert [(v.name, v.kind, len(v.xyz), len(v.rejected)) for v in volumes] == [
        ("a", 0, 2, 1),
        ("a", 1, 1, 2),
        ("b", 0, 1, 0),
    ]
    assert volumes[0].grey is volumes[1].grey


def test_what_may_overlap_says_nothing_of_the_others(volumes: list[LabelledVolume]) -> None:
    alone = replace(volumes[0], rejected=np.empty((0, 3)))
    big, small = of_each(alone, {0: BIGS, 1: SMALLS}, [BIG, SMALL], may_overlap=True)
    assert not len(big.rejected) and not len(small.rejected)
    assert np.array_equal(big.ignored, SMALLS) and np.array_equal(small.ignored, BIGS)


def test_labels_of_two_classes_on_one_place_are_said_and_say_nothing_to_each_other() -> None:
    near = {0: BIGS, 1: np.concatenate([SMALLS, BIGS[:1] + 1])}
    assert shared_places(near, [BIG, SMALL]) == "W18 labels of two classes on one place, 1: big and small 10 12 6"
    assert shared_places({0: BIGS, 1: SMALLS}, [BIG, SMALL]) is None


def test_a_class_without_labels_is_refused(images: list[ImageEntry]) -> None:
    with pytest.raises(InputError, match="no tomogram has labels of small"):
        load_classes(images, [{"a": BIGS}, {"a": np.empty((0, 3))}], PLAIN.grey, particles=[BIG, SMALL], order="xyz")


def test_patches_have_a_target_for_each_class_that_was_looked_for(volumes: list[LabelledVolume]) -> None:
    method = DefaultMethod(PLAIN, volumes, [10.0, 6.0], torch.device("cpu"))
    assert method.network.classes == 2
    [batch] = method.batches(np.random.default_rng(1))
    assert batch.target.shape == batch.positive.shape == (12, 2, 8, 8, 8)
    looked = (batch.target[:, 1] < 1).any(axis=(1, 2, 3))  # of the second tomogram nothing is known
    assert 0 < looked.sum() < 12 and not batch.positive[~looked, 1].any()
    terms = method.loss_terms(method.network, batch)
    terms["loss"].backward()
    assert torch.isfinite(terms["loss"])


def test_classes_have_equal_shares_whatever_the_number_of_their_labels(images: list[ImageEntry]) -> None:
    many = np.random.default_rng(1).uniform([4, 4, 3], [36, 28, 12], (60, 3))
    labels = [{"a": many}, {"b": SMALLS}]
    found = load_classes(images, labels, PLAIN.grey, particles=[BIG, SMALL], order="xyz")
    [batch] = DefaultMethod(
        DefaultPreset(**vars(PLAIN) | {"batch": 200, "centred": 1.0}), found, [10.0, 6.0], torch.device("cpu")
    ).batches(np.random.default_rng(2))
    assert 0.4 < batch.positive[:, 1].any(axis=(1, 2, 3)).mean() < 0.6


def test_the_loss_of_classes_is_the_mean_of_theirs() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, target = (torch.rand((2, 3, 4, 5, 6), generator=generator) for _ in range(2))
    positive = target > 0.9
    each = [soft_focal_loss(logits[:, k], target[:, k], positive[:, k]) for k in range(3)]
    torch.testing.assert_close(class_focal_loss(logits, target, positive), torch.stack(each).mean())
    none = positive.clone()
    none[:, 1] = False  # a class without positives in a batch does not drown the others
    alone = soft_focal_loss(logits[:, 1], target[:, 1], none[:, 1])
    assert class_focal_loss(logits, target, none) < torch.stack([each[0], alone, each[2]]).mean()


def test_every_part_of_the_labels_has_some_of_each_class(images: list[ImageEntry]) -> None:
    rng = np.random.default_rng(1)
    eight, four = (rng.uniform([4, 4, 3], [36, 28, 12], (count, 3)) for count in (8, 4))
    found = load_classes(images, [{"a": eight}, {"a": four}], PLAIN.grey, particles=[BIG, SMALL], order="xyz")
    for fold in folds(found, 4, seed=3):
        assert [int(out.sum()) for out in fold.held_out] == [2, 1]
