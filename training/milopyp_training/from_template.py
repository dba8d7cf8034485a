"""What is trained on where there is a density map: tomograms like the user's, simulated with it."""

from __future__ import annotations

import hashlib

import numpy as np

from milopyp_shared.console import Console
from milopyp_shared.lengths import Length
from milopyp_shared.lists import read_image_list
from milopyp_shared.preprocessing import Preprocessing, grey_levels
from milopyp_shared.resample import resampled
from milopyp_shared.tomogram import open_tomogram, read_header
from milopyp_simulation.subject import Subject, Template, diameter_of, read_density, read_subject

from .data.dataset import LabelledVolume, TrainingSet
from .data.simulated import SEED, simulated_volumes
from .options import TrainOptions

LEARNED, HELD_OUT = 16, 1  # simulated tomograms


def template_diameter(template: Template, images: str, order: str, voxel_size: float | None) -> float:
    """Of the map's particle, in voxels of the list's first tomogram, of which only the header is read.

    Raises
    ------
    MilopypError
        As `milopyp_simulation.subject.read_subject`.
    """
    return diameter_of(read_density(template), read_header(read_image_list(images)[0].path, order, voxel_size))


def simulated_set(options: TrainOptions, grey: Preprocessing, scale: float, console: Console) -> TrainingSet:
    """What to train on, a simulated tomogram to judge by, and the first tomogram of the list, which both are like.

    Parameters
    ----------
    scale
        At which the network sees the user's.

    Raises
    ------
    MilopypError
        As `milopyp_simulation.subject.read_subject` and `simulated_volumes`.
    """
    first, template = read_image_list(options.train_img_txt)[0], Template.of(vars(options))
    tomogram = open_tomogram(first.path, options.order, options.voxel_size)
    subject = read_subject(template, tomogram, Length(options.bbox), console.say)
    levels = grey_levels(resampled(tomogram, scale), grey, options.contrast)
    like = LabelledVolume(first.name, levels, np.empty((0, 3)), tomogram.voxel_size, scale=scale)
    made = list(simulated_volumes(subject, LEARNED + HELD_OUT, grey, scale, console))
    return TrainingSet(
        made[:LEARNED],
        made[LEARNED:],
        subject.diameter,
        options.contrast,
        simulated=_described(template, subject),
        like=like,
    )


def _described(template: Template, subject: Subject) -> str:
    """Everything that simulated tomograms follow from, in words that are equal only where it is."""
    digest = hashlib.sha256(template.path.read_bytes()).hexdigest()[:12]
    return (
        f"{template.path.name} ({digest}), voxels of {template.map_voxel_size} A, mass {template.mass}, membrane "
        f"{template.membrane_z}, in {subject.imaging}, {LEARNED} tomograms of seed {SEED}"
    )
