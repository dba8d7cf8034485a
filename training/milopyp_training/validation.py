"""What a network in training would pick: heat maps of whole tomograms, and the score that finds its labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from milopyp_shared.peaks import find_candidates, suppress
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Geometry, Recipe, Threshold
from milopyp_shared.slabs import heat_map

from .data import LabelledVolume
from .networks import picking_logits

RECALL_OF_LABELS = 0.9


def predict(
    network: nn.Module, volume: LabelledVolume, geometry: Geometry, device: torch.device
) -> NDArray[np.float32]:
    """Heat map ``(z, y, x)`` of a whole tomogram in evaluation mode."""
    low, high = volume.grey.levels
    was_training = network.training
    network.eval()

    def run(sections: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled = (torch.from_numpy(sections)[None].to(device, torch.float32) - low) / (high - low)
        heat: NDArray[np.float32] = torch.sigmoid(picking_logits(network, scaled))[0].cpu().numpy()
        return heat

    with torch.inference_mode():
        result = heat_map(volume.grey.sections, volume.grey.shape, run, geometry)
    network.train(was_training)
    return result


def candidates(heat: NDArray[np.float32], recipe: Recipe) -> Picks:
    """Peaks of a heat map, close neighbours suppressed at the recipe's distance."""
    return suppress(find_candidates(heat, recipe.voxel_per_output), recipe.suppression_distance)


def threshold_of_labels(found: Sequence[Picks], labels: Sequence[NDArray[np.float64]], radius: float) -> Threshold:
    """The score above which 90 % of the training labels have a pick within `radius` voxels.

    It says nothing about false positives, and training labels score higher than new particles: uncalibrated.
    """
    scores = []
    for picks, xyz in zip(found, labels, strict=True):
        distance = np.linalg.norm(picks.xyz[None] - xyz[:, None], axis=2)
        scores.extend(np.where(distance <= radius, picks.score[None], 0.0).max(axis=1, initial=0.0))
    score = float(np.quantile(scores, 1.0 - RECALL_OF_LABELS, method="lower"))
    return Threshold(score, f"finds {RECALL_OF_LABELS:.0%} of the training labels", calibrated=False)
