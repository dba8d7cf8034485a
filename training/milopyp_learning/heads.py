"""Heads from labels: of all of them, and of parts of them, asked about the labels that were left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from milopyp_shared.head import Head, fit_head
from milopyp_shared.recipe import Recipe
from milopyp_training.data.dataset import LabelledVolume, Triple
from milopyp_training.data.head_examples import anywhere, gather, joined, rejected_of
from milopyp_training.data.target_map import TargetMap
from milopyp_training.evaluation.held_out import Fold, Heat, OutOfFold, ask_out_of_fold, folds
from milopyp_training.evaluation.label_agreement import PER_LABEL, Agreement, compare, labels_to_compare

from .kept_features import KeptFeatures

SEED = 0  # of what is drawn; equal labels give equal heads
HARDEST = 0.1  # of the background that a head is fitted to: the rest has no say in it, and takes the time
TOLERANCE = 1e-6  # of its loss, behind which no pick moves
PARTS = 4  # of the labels, each left out once


@dataclass(frozen=True)
class Known:
    """A tomogram with its labels and its features."""

    volume: LabelledVolume
    features: KeptFeatures


def learn_head(known: Sequence[Known], target_map: TargetMap, rejecting: Sequence[Known] = ()) -> Head:
    """The head that tells the labels from everything else.

    Parameters
    ----------
    rejecting
        Tomograms of which only the rejected places count: nobody has looked for particles there.

    Raises
    ------
    InputError
        There are none.
    """
    parts = (part for one in known for part in one.features.parts(one.volume))
    voxels = sum(math.prod(one.features.grid) for one in known)
    examples = gather(parts, target_map, anywhere(voxels, np.random.default_rng(SEED)))
    said = [one for one in (*known, *rejecting) if len(one.volume.rejected)]
    rejected = [rejected_of(part, target_map) for one in said for part in one.features.parts(one.volume)]
    examples = joined([examples, *rejected])
    return fit_head(examples.features, examples.target, examples.positive, hardest=HARDEST, tolerance=TOLERANCE)


def agreement_of(known: Sequence[Known], stride: Triple) -> Agreement | None:
    """Do the labels look like each other? None where there is only one."""
    features, rng = {one.volume.name: one.features for one in known}, np.random.default_rng(SEED)
    places = labels_to_compare([one.volume for one in known], rng)
    if not places:
        return None
    at_labels, background = [], []
    for volume, index in places:
        own = features[volume.name]
        nearest = np.rint(volume.grid_zyx(stride)[index]).astype(np.int64)
        anywhere = rng.integers(0, own.grid, (PER_LABEL, 3))
        at_labels.append(own.at(np.clip(nearest, 0, np.array(own.grid) - 1)[None]))
        background.append(own.at(anywhere))
    return compare(places, np.concatenate(at_labels), np.concatenate(background))


def ask_heads(known: Sequence[Known], target_map: TargetMap, recipe: Recipe) -> list[OutOfFold]:
    """What heads that each miss a part of the labels say of these, per tomogram with labels."""
    features = {one.volume.name: one.features for one in known}

    def heat_maps(number: int, fold: Fold, asked: Sequence[LabelledVolume]) -> Iterator[Heat]:
        head = learn_head([Known(volume, features[volume.name]) for volume in fold.volumes], target_map)
        for volume in asked:
            yield features[volume.name].heat_map(head)

    volumes = [one.volume for one in known]
    count = min(PARTS, sum(len(volume.xyz) for volume in volumes))
    return ask_out_of_fold(volumes, folds(volumes, count, SEED), heat_maps, recipe)
