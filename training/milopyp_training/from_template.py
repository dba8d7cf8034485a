"""What is trained on where there is a density map and no label: tomograms like the user's, simulated with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milopyp_shared.console import Console
from milopyp_shared.lengths import Length
from milopyp_shared.lists import read_image_list
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.template_options import OF_TEMPLATE
from milopyp_shared.tomogram import open_tomogram, read_header
from milopyp_simulation.subject import Template, diameter_of, read_density, read_subject

from .data.dataset import TrainingSet
from .data.simulated import simulated_volumes
from .options import TrainOptions

LEARNED, HELD_OUT = 16, 1  # simulated tomograms


def template_of(options: Mapping[str, Any]) -> Template:
    """The map that options name."""
    return Template(options["template"], **{name: options[name] for name in OF_TEMPLATE})


def template_diameter(template: Template, images: str, order: str, voxel_size: float | None) -> float:
    """Of the map's particle, in voxels of the list's first tomogram, of which only the header is read.

    Raises
    ------
    MilopypError
        As `milopyp_simulation.subject.read_subject`.
    """
    return diameter_of(read_density(template), read_header(read_image_list(images)[0].path, order, voxel_size))


def simulated_set(options: TrainOptions, grey: Preprocessing, scale: float, console: Console) -> TrainingSet:
    """What to train on, and a simulated tomogram to judge by; both like the first tomogram of the list.

    Raises
    ------
    MilopypError
        As `milopyp_simulation.subject.read_subject` and `simulated_volumes`.
    """
    first = read_image_list(options.train_img_txt)[0]
    tomogram = open_tomogram(first.path, options.order, options.voxel_size)
    subject = read_subject(template_of(vars(options)), tomogram, Length(options.bbox), console.say)
    made = list(simulated_volumes(subject, LEARNED + HELD_OUT, grey, scale, console))
    return TrainingSet(made[:LEARNED], made[LEARNED:], subject.diameter, options.contrast, complete=True)
