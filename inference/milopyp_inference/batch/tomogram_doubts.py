"""What is doubtful in a tomogram that is to be picked."""

from __future__ import annotations

from milopyp_shared import axes
from milopyp_shared.formats.registry import axes_warning
from milopyp_shared.header_checks import header_warnings
from milopyp_shared.recipe import Recipe
from milopyp_shared.turns import turned_frame

from ..decode.published import MARGIN
from ..pipeline import Prepared
from .records import PickOptions


def tomogram_doubts(name: str, prepared: Prepared, recipe: Recipe, options: PickOptions) -> list[str]:
    """One sentence, which begins with the tomogram's name, for each."""
    warnings, tomogram = [], prepared.tomogram
    if doubt := axes.order_warning(tomogram.order, tomogram.mrc.stored_shape):
        warnings.append(f"{name}: {doubt}")
    warnings += [f"{name}: {doubt}" for doubt in header_warnings(tomogram)]
    trained = recipe.voxel_size
    if trained and tomogram.voxel_size and not options.rescale and abs(tomogram.voxel_size / trained - 1) > 0.05:
        warnings.append(
            f"{name}: W02 voxels of {tomogram.voxel_size:.3g} A, but the model was trained at {trained:.3g} A "
            "(--rescale resamples)"
        )
    levels = prepared.grey.levels
    if levels and (doubt := levels.doubt(recipe.grey.statistics, recipe.levels)):
        warnings.append(f"{name}: {doubt}")
    if doubt := axes_warning(options.formats, turned_frame(tomogram.frame, options.turn).order):
        warnings.append(f"{name}: {doubt}")
    published = options.published
    if published and published.leaves_nothing(tomogram.shape, recipe.voxel_per_output):
        z, y, x = tomogram.shape
        warnings.append(
            f"{name}: W06 the published margins leave nothing of {x} x {y} x {z} voxels ({MARGIN} voxels at either "
            f"end of x and y, {published.cutoff_z} heat-map sections of z)"
        )
    return warnings
