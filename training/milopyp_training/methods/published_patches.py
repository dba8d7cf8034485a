"""Where the published method takes its training patches, and how it cuts them.

One training sample is a pair of patches: the first around an annotation, the second around
another annotation or, in positive-negative training, anywhere. All positions are on the grid,
(x, y, z): x and y half as fine as the volume, z the volume's (paired) sections. Patch sizes are fixed,
and with them the stride of the networks that the method can train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from milopyp_shared.errors import InputError

DEPTH, EDGE, GRID_EDGE = 6, 64, 32
"""Sections, rows = columns of a patch, and rows = columns of its heat map."""
STRIDE = EDGE // GRID_EDGE
"""Voxels of the volume per grid voxel, in the plane."""
MARGIN, MARGIN_Z = 17, 3
"""Centres keep this distance from the border of the grid."""

Patch = NDArray[np.float32]


class GreyLevels(Protocol):
    """What patches are cut from: an array, or anything that is cut like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(D, H, W)."""

    def __getitem__(self, cut: tuple[slice, slice, slice], /) -> NDArray[np.floating]:
        """The voxels of a box."""


@dataclass(frozen=True)
class PatchPair:
    """Where one training sample is taken.

    Attributes
    ----------
    first, second
        Index of the annotation each patch belongs to; the patch is cut from its tomogram.
    flip_y
        Mirror the second branch along y, else along x; the same for both patches.
    first_centre, second_centre
        Clipped centres (x, y, z) on the grid.
    """

    first: int
    second: int
    flip_y: bool
    first_centre: tuple[int, int, int]
    second_centre: tuple[int, int, int]


@dataclass(frozen=True)
class PairBatch:
    """One training sample, cut out.

    Attributes
    ----------
    volume, flipped
        (2, 6, 64, 64) float32 grey levels and their mirror image, axes (patch, z, y, x).
    target
        (2, 6, 32, 32) target map of `volume`.
    flip_y
        Axis of the mirror image: y if true, else x.
    """

    volume: Patch
    flipped: Patch
    target: Patch
    flip_y: bool


def clip_centre(
    centre_xyz: ArrayLike, volume_shape: tuple[int, int, int], *, where: object = None
) -> tuple[int, int, int]:
    """Move a centre so that its patch lies inside the volume.

    Parameters
    ----------
    centre_xyz
        Grid position x, y, z.
    volume_shape
        (D, H, W) of the preprocessed volume.

    Returns
    -------
    tuple
        x within [17, W//2 - 17], y within [17, H//2 - 17], z within [3, D - 3] (published method).

    Raises
    ------
    InputError
        The volume is smaller than 6 x 68 x 68, where these ranges are empty. (The published
        program takes patches of a wrong size there and fails later.)
    """
    depth, height, width = volume_shape
    if depth < 2 * MARGIN_Z or min(height, width) // STRIDE < 2 * MARGIN:
        raise InputError(
            f"a volume of {depth} sections of {height} x {width} voxels after pairing",
            where=where,
            expected=f"at least {2 * MARGIN_Z} sections of {2 * STRIDE * MARGIN} x {2 * STRIDE * MARGIN}",
            remedy="Check the axis order; such a small volume cannot hold a training patch of the published preset.",
        )
    low = (MARGIN, MARGIN, MARGIN_Z)
    high = (width // STRIDE - MARGIN, height // STRIDE - MARGIN, depth - MARGIN_Z)
    x, y, z = np.clip(np.asarray(centre_xyz, np.int64), low, high).tolist()
    return x, y, z


def draw_pair(
    index: int,
    centres_xyz: ArrayLike,
    tomograms: ArrayLike,
    shapes: list[tuple[int, int, int]],
    rng: np.random.Generator,
    *,
    bbox: int,
    translation_ratio: float = 0.5,
    pn: bool = False,
    fix_background_range: bool = True,
) -> PatchPair:
    """Draw one training sample as in the published method.

    Parameters
    ----------
    index
        Annotation the first patch belongs to. An epoch takes each annotation once, shuffled.
    centres_xyz
        (n, 3) integer grid centres of all annotations of all tomograms.
    tomograms
        (n,) index into `shapes` for each annotation.
    shapes
        (D, H, W) of each preprocessed volume.
    rng
        Source of all random numbers, so that a seed repeats the run (the published program's
        generators are not seeded).
    bbox
        Particle diameter in tomogram voxels.
    translation_ratio
        The wide shift is +- int(bbox * translation_ratio) grid voxels.
    pn
        Positive-negative training: half of the second patches are taken anywhere.
    fix_background_range
        Draw those background positions over the grid. The published program draws x and y over the
        full-resolution size, twice the grid, so that clipping piles them up on the far border
        (29 % of all second patches lie at the largest x); False repeats that.

    Returns
    -------
    PatchPair
        Annotations, mirror axis and clipped centres.

    Raises
    ------
    InputError
        Fewer than two annotations, a volume smaller than a patch, or an annotation without volume.
    """
    centres = np.asarray(centres_xyz, np.int64).reshape(-1, 3)
    owner = np.asarray(tomograms, np.int64).reshape(-1)
    if len(centres) < 2:
        raise InputError(
            f"{len(centres)} annotation",
            where="the training list",
            expected="at least two: patches are drawn in pairs",
            remedy="Add clicks, or use the default preset.",
        )
    if len(owner) != len(centres) or owner.min() < 0 or owner.max() >= len(shapes):
        raise InputError(
            f"annotations of tomograms {owner.min()} to {owner.max()} ({len(owner)} for {len(centres)} centres)",
            expected=f"one number from 0 to {len(shapes) - 1} per annotation",
        )
    other = int(rng.integers(len(centres) - 1))
    other += other >= index
    shift = (*rng.integers(-4, 5, size=2), 0)
    # A ratio of zero leaves the published range empty; one voxel is the smallest shift it can mean.
    wide = max(int(bbox * translation_ratio), 1)
    second = _second_centre(
        centres[other], shapes[owner[other]], rng, wide=wide, pn=pn, fix_background_range=fix_background_range
    )
    return PatchPair(
        first=index,
        second=other,
        flip_y=bool(rng.random() < 0.5),
        first_centre=clip_centre(centres[index] + shift, shapes[owner[index]]),
        second_centre=clip_centre(second, shapes[owner[other]]),
    )


def _second_centre(
    annotation: NDArray[np.int64],
    volume_shape: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    wide: int,
    pn: bool,
    fix_background_range: bool,
) -> NDArray[np.int64]:
    """Unclipped grid position of the second patch; the ranges are the published ones, uneven ends included."""
    depth, height, width = volume_shape
    if not pn:
        span = 5 if rng.random() < 0.8 else wide
        return annotation + np.array([*rng.integers(-span, span, size=2), rng.integers(-2, 2)])
    if rng.random() < 0.5:
        scale = STRIDE if fix_background_range else 1
        return np.array([rng.integers(width // scale), rng.integers(height // scale), rng.integers(depth)])
    return annotation + np.array([*rng.integers(-wide, wide, size=2), rng.integers(-5, 5)])


def cut_patch(volume: GreyLevels, target: Patch, centre_xyz: tuple[int, int, int]) -> tuple[Patch, Patch]:
    """Cut one patch and its target.

    Parameters
    ----------
    volume
        (D, H, W) preprocessed grey levels; may be a memory map.
    target
        (D, h, w) target map with h, w the halves of H, W, rounded down or up.
    centre_xyz
        Clipped grid position (see `clip_centre`).

    Returns
    -------
    tuple
        Views (6, 64, 64) of `volume`, sections z-3 .. z+2, rows 2y-32 .. 2y+31, columns likewise,
        and (6, 32, 32) of `target`, rows y-16 .. y+15. A particle at the centre is at section 3,
        row 16, column 16 of the target. Only the volume part is converted to float32.

    Raises
    ------
    InputError
        The patch reaches over the border.
    """
    x, y, z = centre_xyz
    half, grid_half = EDGE // 2, GRID_EDGE // 2
    sections = slice(z - DEPTH // 2, z + DEPTH // 2)
    row, column = STRIDE * y, STRIDE * x
    starts = (sections.start, y - grid_half, x - grid_half, row - half, column - half)
    patch = volume[sections, row - half : row + half, column - half : column + half]
    label = target[sections, y - grid_half : y + grid_half, x - grid_half : x + grid_half]
    if min(starts) < 0 or patch.shape != (DEPTH, EDGE, EDGE) or label.shape != (DEPTH, GRID_EDGE, GRID_EDGE):
        raise InputError(
            f"a patch around x, y, z = {centre_xyz} of the grid reaches over the border of the volume {volume.shape}",
            expected="a centre from clip_centre",
        )
    return np.asarray(patch, np.float32), label


def cut_pair(
    pair: PatchPair,
    volumes: tuple[GreyLevels, GreyLevels],
    targets: tuple[Patch, Patch],
) -> PairBatch:
    """Cut the two patches of a sample and make their mirror image.

    Parameters
    ----------
    pair
        Drawn by `draw_pair`.
    volumes, targets
        Volume and target map of the first and of the second patch.

    Returns
    -------
    PairBatch
        Grey levels, mirror image and target.

    Raises
    ------
    InputError
        A patch reaches over the border.

    Notes
    -----
    As published there is always exactly one mirror image, no rotation and no change of intensity.
    The mirrored map is not an exact mirror image for the network: a stride of two over 64 voxels
    starts at voxel 0 from one side and at voxel 63 from the other, so the two branches are
    compared half a grid voxel apart.
    """
    cuts = [
        cut_patch(volume, target, centre)
        for volume, target, centre in zip(volumes, targets, (pair.first_centre, pair.second_centre))
    ]
    volume = np.stack([patch for patch, _ in cuts])
    flipped = np.ascontiguousarray(np.flip(volume, axis=2 if pair.flip_y else 3))
    return PairBatch(volume, flipped, np.stack([label for _, label in cuts]), pair.flip_y)
