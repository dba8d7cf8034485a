"""What a network in training would pick: heat maps of whole tomograms, and the figures of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from milopyp_shared.matching import evaluate_many
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import PreprocessedVolume
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import by_class
from milopyp_shared.tta import heat_map

from ..data.dataset import LabelledVolume
from ..losses.focal import clamped, focal_loss
from ..methods.base import Method
from ..networks.base import PickingNetwork
from ..networks.precision import mixed
from .model_selection import Validation, mean_of, rank_of_labels
from .picking import picks_of


@dataclass(frozen=True)
class Prediction:
    """A whole tomogram as the network sees it.

    Attributes
    ----------
    heat, target
        ``(z, y, x)`` predicted and wanted heat map of the class of `volume`.
    picks
        Peaks, best first, close neighbours suppressed.
    """

    volume: LabelledVolume
    heat: NDArray[np.float32]
    target: NDArray[np.float32]
    picks: Picks


def predict(
    network: PickingNetwork, volume: LabelledVolume, flips: int = 1, *, mixed_precision: bool = False
) -> NDArray[np.float32]:
    """Heat map ``(z, y, x)`` of a whole tomogram in evaluation mode, averaged over `flips` mirrored copies.

    That of several classes is ``(classes, z, y, x)``. In bfloat16, if `mixed_precision` is wanted, scores differ by
    about 0.01.
    """
    logits = mixed(network.picking_logits) if mixed_precision else network.picking_logits
    low, high = volume.grey.input_range
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()

    def run(sections: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = (torch.from_numpy(sections)[None].to(device, torch.float32) - low) / (high - low)
        heat: NDArray[np.float32] = torch.sigmoid(logits(scaled))[0].cpu().numpy()
        return heat

    with torch.inference_mode():
        result = heat_map(
            volume.grey.box, volume.grey.shape, run, network.geometry(), flips=flips, classes=network.classes
        )
    network.train(was_training)
    return result


def heat_maps(
    network: PickingNetwork, volumes: Iterable[LabelledVolume], flips: int = 1, *, mixed_precision: bool = False
) -> Iterator[NDArray[np.float32]]:
    """Heat map ``(z, y, x)`` of the class of each volume, as `predict` makes them.

    The network runs once for the classes of a tomogram, which follow each other.
    """
    shown: tuple[PreprocessedVolume, NDArray[np.float32]] | None = None
    for volume in volumes:
        if shown is None or shown[0] is not volume.grey:
            shown = volume.grey, by_class(predict(network, volume, flips, mixed_precision=mixed_precision))
        yield shown[1][volume.kind]


def predict_all(
    method: Method, network: PickingNetwork, volumes: Sequence[LabelledVolume], recipe: Recipe, flips: int = 1
) -> list[Prediction]:
    """Heat maps, targets and picks of several tomograms."""
    classes = recipe.classes
    return [
        Prediction(volume, heat, method.target(volume), picks_of(heat, volume, classes[volume.kind]))
        for volume, heat in zip(volumes, heat_maps(network, volumes, flips), strict=True)
    ]


def validate(epoch: int, predictions: Sequence[Prediction], radii: Sequence[float], fully_labelled: bool) -> Validation:
    """Figures of one epoch on the validation tomograms, the mean of all classes with labels there.

    Parameters
    ----------
    radii
        Of the particles of each class, voxels.
    """
    of_each = [[p for p in predictions if p.volume.kind == kind] for kind in range(len(radii))]
    rows = [
        _validate_class(epoch, own, radius, fully_labelled)
        for own, radius in zip(of_each, radii, strict=True)
        if any(not p.volume.is_empty for p in own)
    ]
    return rows[0] if len(rows) == 1 else mean_of(rows)


def _validate_class(epoch: int, predictions: Sequence[Prediction], radius: float, fully_labelled: bool) -> Validation:
    """Figures of one class.

    The loss is the focal loss of the whole heat map, unlabelled voxels counting as background, averaged over the
    tomograms (the published validation loss). It is per label; that of an empty tomogram is divided by the labels that
    the others have on average, so that it does not outweigh them. AUPRC and F1 only where the tomograms are
    `fully_labelled`.
    """
    counts = np.array([len(p.volume.xyz) for p in predictions])
    losses = np.array(
        [
            float(focal_loss(clamped(torch.from_numpy(p.heat)[None]), torch.from_numpy(p.target)[None]))
            for p in predictions
        ]
    )
    losses[counts == 0] /= counts[counts > 0].mean() if counts.any() else 1
    labels = rank_of_labels([p.picks for p in predictions], [p.volume.xyz for p in predictions], radius)
    loss, auprc, f1 = float(np.mean(losses)), math.nan, math.nan
    if fully_labelled:
        evaluation = evaluate_many([(p.picks, p.volume.xyz) for p in predictions], radius)
        auprc, f1 = evaluation.auprc, evaluation.best.f1
    return Validation(epoch, loss, labels, auprc, f1)
