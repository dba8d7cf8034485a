"""`milopyp learn --template`: a density map and tomograms -> model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_learning.kept_features import keep_features
from milopyp_learning.template import learn_from_map
from milopyp_shared.console import Console
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lengths import Length
from milopyp_shared.levels import read_images
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.recipe import Recipe
from milopyp_shared.scale import say_scale, scale_for
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.subject import Template, read_subject
from milopyp_training.data.dataset import with_particles
from milopyp_training.data.loading import check_listed, load_volumes
from milopyp_training.evaluation.template_agreement import compare_with_labels


@dataclass(frozen=True)
class Request:
    """The options of `milopyp learn --template`, as its help explains them.

    Attributes
    ----------
    images, coords
        Lists; the second may be missing.
    """

    images: Path
    coords: Path | None
    bbox: Length | None = None
    contrast: Contrast = "dark"
    order: str = "auto"
    voxel_size: float | None = None
    mask: Path | None = None
    keep_features: Path | None = None


def learn_template(
    template: Template, request: Request, output: Path, network: FeatureNetwork, console: Console
) -> Recipe:
    """Learn from a map, say what was taken from where, and compare with labels if there are any.

    Thickness, voxel size and tilts are those of the first tomogram.

    Raises
    ------
    MilopypError
        As `read_subject`, `check_listed`, `load_volumes` and `learn_from_map`.
    """
    listed = read_images(request.images, console.warn, console.say)
    labels = {} if request.coords is None else read_coordinate_list(request.coords, console.warn)
    tomogram = open_tomogram(listed[0].path, request.order, request.voxel_size)
    subject = read_subject(template, tomogram, request.bbox, console.say)
    guess = request.bbox is not None and not request.bbox.angstrom
    check_listed(
        subject.diameter, listed, request.order, request.voxel_size, console.warn, read=labels, guess=guess
    )  # fmt: skip
    scale = scale_for(subject.diameter, network.description.diameters)
    say_scale([subject.diameter], scale, console.say)
    labelled = load_volumes(
        listed, labels, network.description.grey,
        diameter=subject.diameter, order=request.order, contrast=request.contrast, masks=request.mask,
        voxel_size=request.voxel_size, scale=scale, where=request.coords, say=console.say, warn=console.warn,
    ) if labels else []  # fmt: skip
    head, recipe = learn_from_map(subject, network, output, console, contrast=request.contrast, scale=scale)
    if labelled:
        kept = ((volume, keep_features(network, volume, request.keep_features)) for volume in with_particles(labelled))
        found = compare_with_labels(((volume, own.heat_map(head)) for volume, own in kept), recipe)
        console.say(found.text)
        if doubt := found.warning():
            console.warn(doubt)
    return recipe
