"""`milopyp learn --template`: a density map and tomograms -> model file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_learning.heads import Known
from milopyp_learning.kept_features import keep_features
from milopyp_learning.template import Subject, found_labels, learn_from_map
from milopyp_shared.console import Console
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.head import Head
from milopyp_shared.header_checks import refuse_unequal_voxels
from milopyp_shared.lengths import Length, diameter_in_voxels
from milopyp_shared.lists import read_coordinate_list, read_image_list
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.recipe import Recipe
from milopyp_shared.scale import describe_scale, scale_for
from milopyp_shared.tomogram import Tomogram, open_tomogram
from milopyp_simulation.among_others import Imaging
from milopyp_simulation.densities import NM3_PER_KDA, Density
from milopyp_simulation.maps import read_map
from milopyp_simulation.settings import STEEPEST
from milopyp_simulation.spectrum import TiltRange, find_tilt_range
from milopyp_training.data.dataset import LabelledVolume, check_diameter, load_volumes

SIZE = "--voxel-size, or a header that says it"
AGREE = 0.5  # of the labels: if fewer are found, it is another particle, or the tomograms look like none simulated


@dataclass(frozen=True)
class Request:
    """The options of `milopyp learn --template`, as its help explains them.

    Attributes
    ----------
    images, coords
        Lists; the second may be missing.
    template
        The map.
    """

    images: Path
    coords: Path | None
    template: Path
    map_voxel_size: float | None = None
    mass: float | None = None
    membrane_z: float | None = None
    tilt_axis: str | None = None
    tilt_range: tuple[float, float] | None = None
    bbox: Length | None = None
    contrast: Contrast = "dark"
    order: str = "auto"
    voxel_size: float | None = None
    mask: Path | None = None
    keep_features: Path | None = None


def learn_template(request: Request, output: Path, network: FeatureNetwork, console: Console) -> Recipe:
    """Learn from a map, say what was taken from where, and compare with labels if there are any.

    Thickness, voxel size and tilts are those of the first tomogram.
    """
    density = _density(request)
    listed = read_image_list(request.images)
    tomogram = open_tomogram(listed[0].path, request.order, request.voxel_size)
    refuse_unequal_voxels(tomogram)
    size = tomogram.voxel_size
    if size is None:
        raise InputError("the voxel size is not known", where=tomogram.path, expected=SIZE)
    _refuse_large(density, tomogram, size, request.template)
    bbox = request.bbox
    diameter = 2 * density.radius_in(size) if bbox is None else diameter_in_voxels(bbox, size, SIZE)
    check_diameter(diameter, listed, request.order, request.voxel_size, console.warn, guess=False)
    kilodaltons = density.mass * (density.voxel_size or size) ** 3 / (1000 * NM3_PER_KDA)
    console.say(f"{request.template}: {kilodaltons:.0f} kDa, {diameter:.1f} voxels across (--bbox)")
    console.say("its hand is taken as it stands")
    scale = scale_for(diameter, network.description.diameters)
    if scale != 1.0:
        console.say(f"{diameter:.4g} voxels across: tomograms are seen at {describe_scale(scale)}")
    tilts = _tilts(tomogram, request.tilt_axis, request.tilt_range, console)
    labelled = _labelled(request, diameter, scale, network, console)
    imaging = Imaging(tomogram.shape[0], size, tilts)
    subject = Subject(density, diameter, request.contrast, imaging, scale)
    head, recipe = learn_from_map(subject, network, output, console)
    if labelled:
        known = [Known(volume, keep_features(network, volume, request.keep_features)) for volume in labelled]
        _compare(known, head, recipe, console)
    return recipe


def _density(request: Request) -> Density:
    density = read_map(request.template, request.map_voxel_size, request.mass)
    section, count = request.membrane_z, len(density.array)
    if section is not None and section > density.centre_xyz[2]:
        raise UsageError(
            f"section {section:g} lies above the middle of the particle, {density.centre_xyz[2]:.4g} of {count}",
            where="--membrane-z",
            expected="a section below it: +z points out of the membrane",
            remedy="Turn the map, e.g. with IMOD: rotatevol.",
        )
    return density if section is None else replace(density, membrane_z=section)


def _refuse_large(density: Density, tomogram: Tomogram, size: float, path: Path) -> None:
    assert density.voxel_size is not None
    across, least = 2 * density.max_radius * density.voxel_size / size, min(tomogram.shape)
    if across > least:
        raise ContradictionError(
            f"its particle is {across:.4g} voxels of {tomogram.path.name} across",
            where=path,
            expected=f"at most {least}, its thinnest axis",
            remedy=f"Are voxels of {density.voxel_size:.4g} A (map) and {size:.4g} A (tomogram) right? Give "
            "--map-voxel-size or --voxel-size.",
        )


def _tilts(tomogram: Tomogram, axis: str | None, ends: tuple[float, float] | None, console: Console) -> TiltRange:
    """As they were given, or else as the missing wedge shows them, which is said."""
    if ends is not None and not -STEEPEST <= ends[0] < ends[1] <= STEEPEST:
        raise UsageError(
            f"{ends[0]:g} to {ends[1]:g} degrees",
            where="--tilt-range",
            expected=f"the lower end first, from -{STEEPEST:g} to {STEEPEST:g}",
        )
    if axis is not None and ends is not None:
        return TiltRange(axis, *ends)
    found = find_tilt_range(tomogram.zyx, axis)
    if found is None:
        raise InputError(
            "no missing wedge shows in its power spectrum",
            where=tomogram.path,
            expected="one about x or y, from which tilt axis and range are read",
            remedy="Give --tilt-axis and --tilt-range, e.g. --tilt-axis y --tilt-range -60,60.",
        )
    if ends is not None:
        found = TiltRange(found.axis, *ends)
    console.say(
        f"{tomogram.path.name}: tilted by {found.low:g} to {found.high:g} degrees about {found.axis}, as far as its "
        "missing wedge shows"
    )
    return found


def _labelled(
    request: Request, diameter: float, scale: float, network: FeatureNetwork, console: Console
) -> list[LabelledVolume]:
    """Tomograms with labels to compare with, read before anything is learned; none without a list of labels."""
    if request.coords is None:
        return []
    return load_volumes(
        read_image_list(request.images), read_coordinate_list(request.coords), network.description.grey,
        diameter=diameter, order=request.order, contrast=request.contrast, masks=request.mask,
        voxel_size=request.voxel_size, scale=scale, where=request.coords, say=console.say, warn=console.warn,
    )  # fmt: skip


def _compare(known: list[Known], head: Head, recipe: Recipe, console: Console) -> None:
    """Say how many of the labels are found; the head has not learned from them."""
    found, count = found_labels(known, head, recipe)
    console.say(f"{found} of {count} labels are found at the suggested threshold; they were not learned from")
    if found < AGREE * count:
        console.warn(
            f"W14 template and labels disagree: {found} of {count} labels score above the suggested threshold "
            f"{recipe.threshold.score:.2f}; look at the picks before you trust either"
        )
