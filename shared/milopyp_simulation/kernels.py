"""The loops over voxels, compiled.

Arrays are ``(z, y, x)`` with the tilt axis along x, so that the innermost loops of projection and back-projection run
over contiguous rows. Each kernel uses one thread and releases the interpreter's lock: results cannot depend on the
number of threads, and several tomograms can be made side by side.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.kernels import compiled

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
Float = NDArray[np.float64]

TAIL = 3.2  # Gaussians are drawn up to this many sigma


@compiled
def add_gaussians(volume: Volume, places_xyz: Float, masses: Float, sigmas: Float) -> None:
    """Add Gaussians of integral `masses` (n,) and width `sigmas` (n,) at `places_xyz` (n, 3) to `volume`."""
    depth, height, width = volume.shape
    for i in range(len(places_xyz)):
        half = math.ceil(TAIL * sigmas[i])
        x0 = math.floor(places_xyz[i, 0] + 0.5)
        y0 = math.floor(places_xyz[i, 1] + 0.5)
        z0 = math.floor(places_xyz[i, 2] + 0.5)
        first_x, last_x = max(0, x0 - half), min(width, x0 + half + 1)
        if last_x <= first_x:
            continue
        steep = 0.5 / sigmas[i] ** 2
        row = np.empty(last_x - first_x, np.float32)
        for x in range(first_x, last_x):
            row[x - first_x] = math.exp(-steep * (x - places_xyz[i, 0]) ** 2)
        height_of_peak = masses[i] / (math.sqrt(2 * math.pi) * sigmas[i]) ** 3
        for z in range(max(0, z0 - half), min(depth, z0 + half + 1)):
            for y in range(max(0, y0 - half), min(height, y0 + half + 1)):
                distance = (z - places_xyz[i, 2]) ** 2 + (y - places_xyz[i, 1]) ** 2
                factor = np.float32(height_of_peak * math.exp(-steep * distance))
                for x in range(len(row)):
                    volume[z, y, first_x + x] += factor * row[x]


@compiled
def mark_spheres(mask: Mask, centres_xyz: Float, radius: float) -> None:
    """Set `mask` within `radius` voxels of the centres (n, 3)."""
    depth, height, width = mask.shape
    reach = math.ceil(radius)
    for i in range(len(centres_xyz)):
        cx, cy, cz = centres_xyz[i]
        for z in range(max(0, int(cz) - reach), min(depth, int(cz) + reach + 2)):
            for y in range(max(0, int(cy) - reach), min(height, int(cy) + reach + 2)):
                rest = radius**2 - (z - cz) ** 2 - (y - cy) ** 2
                if rest < 0:
                    continue
                half = math.sqrt(rest)
                for x in range(max(0, math.ceil(cx - half)), min(width, math.floor(cx + half) + 1)):
                    mask[z, y, x] = True


@compiled
def first_fit(occupied: Mask, points_xyz: Float, rotations: Float, centres_xyz: Float) -> int:
    """Number of the first of n poses in which all `points_xyz` (k, 3) lie inside and on free voxels; -1: none."""
    depth, height, width = occupied.shape
    for n in range(len(centres_xyz)):
        r, fits = rotations[n], True
        for i in range(len(points_xyz)):
            a, b, c = points_xyz[i]
            x = math.floor(centres_xyz[n, 0] + r[0, 0] * a + r[0, 1] * b + r[0, 2] * c + 0.5)
            y = math.floor(centres_xyz[n, 1] + r[1, 0] * a + r[1, 1] * b + r[1, 2] * c + 0.5)
            z = math.floor(centres_xyz[n, 2] + r[2, 0] * a + r[2, 1] * b + r[2, 2] * c + 0.5)
            if x < 0 or y < 0 or z < 0 or x >= width or y >= height or z >= depth or occupied[z, y, x]:
                fits = False
                break
        if fits:
            return n
    return -1


@compiled
def _between(array: Volume, x: float, y: float, z: float) -> float:
    """Trilinear interpolation; 0 outside of `array`."""
    depth, height, width = array.shape
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    if i < 0 or j < 0 or k < 0 or i + 1 >= width or j + 1 >= height or k + 1 >= depth:
        return 0.0
    x, y, z = x - i, y - j, z - k
    near = (array[k, j, i] * (1 - x) + array[k, j, i + 1] * x) * (1 - y)
    near += (array[k, j + 1, i] * (1 - x) + array[k, j + 1, i + 1] * x) * y
    far = (array[k + 1, j, i] * (1 - x) + array[k + 1, j, i + 1] * x) * (1 - y)
    far += (array[k + 1, j + 1, i] * (1 - x) + array[k + 1, j + 1, i + 1] * x) * y
    return float(near * (1 - z) + far * z)


@compiled
def stamp(volume: Volume, occupied: Mask, stencil: Volume, pose: tuple[Any, ...], limits: tuple[float, float]) -> None:
    """Add a turned density to `volume`, by trilinear interpolation in `stencil`, which has half-voxel steps.

    Parameters
    ----------
    pose
        Rotation (3, 3) from stencil to volume; centre x, y, z in the volume; the same point in `stencil`; reach in
        voxels, beyond which the density is zero.
    limits
        Density from which on a voxel is occupied; density from which on it displaces all that was there before.
    """
    rotation, centre, own_centre, reach = pose
    depth, height, width = volume.shape
    x0, y0, z0 = math.floor(centre[0] + 0.5), math.floor(centre[1] + 0.5), math.floor(centre[2] + 0.5)
    half = math.ceil(reach)
    for z in range(max(0, z0 - half), min(depth, z0 + half + 1)):
        for y in range(max(0, y0 - half), min(height, y0 + half + 1)):
            for x in range(max(0, x0 - half), min(width, x0 + half + 1)):
                dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
                if dx * dx + dy * dy + dz * dz > reach * reach:
                    continue
                u = own_centre[0] + 2 * (rotation[0, 0] * dx + rotation[1, 0] * dy + rotation[2, 0] * dz)
                v = own_centre[1] + 2 * (rotation[0, 1] * dx + rotation[1, 1] * dy + rotation[2, 1] * dz)
                w = own_centre[2] + 2 * (rotation[0, 2] * dx + rotation[1, 2] * dy + rotation[2, 2] * dz)
                value = _between(stencil, u, v, w)
                volume[z, y, x] = volume[z, y, x] * (1 - min(value / limits[1], 1.0)) + value
                if value > limits[0]:
                    occupied[z, y, x] = True


@compiled
def _add_between(near: Volume, far: Volume, part: float, out: Volume) -> None:
    """Add rows interpolated from `near` (part 0) to `far` (part 1) to the row `out`."""
    for x in range(len(out)):
        out[x] += near[x] + part * (far[x] - near[x])


@compiled
def project(density: Volume, cosine: float, sine: float, image: Volume) -> None:
    """Write the line integrals of `density`, periodic along y, at one tilt about x to `image` (v, x).

    A point lies at ``v = y cos + z sin``, counted from the middles. Steep rays are sampled twice per section.
    """
    depth, height, width = density.shape
    rows = len(image)
    image[:] = 0
    steps = 1 if abs(sine) < 0.5 else 2
    between = np.empty((height, width), np.float32)
    for k in range((depth - 1) * steps + 1):
        plane = density[k // steps]
        if k % steps:
            after = density[k // steps + 1]
            for y in range(height):
                for x in range(width):
                    between[y, x] = np.float32(0.5) * (plane[y, x] + after[y, x])
            plane = between
        shift = (k / steps - (depth - 1) / 2) * sine + (rows - 1) / 2
        for v in range(rows):
            place = (v - shift) / cosine + (height - 1) / 2
            low = math.floor(place)
            _add_between(plane[low % height], plane[(low + 1) % height], np.float32(place - low), image[v])
    image *= np.float32(1 / (steps * cosine))


@compiled
def project_spheres(spheres: Float, cosine: float, sine: float, shape_zyx: tuple[int, int, int], image: Volume) -> None:
    """Write the path lengths through spheres (n, 4: x, y, z, radius), periodic along y as the density, to `image`."""
    depth, height, _ = shape_zyx
    rows, width = image.shape
    image[:] = 0
    for i in range(len(spheres)):
        cx, cy, cz, radius = spheres[i]
        reach = math.ceil(radius)
        for copy in range(-3, 4):
            cv = (cy + copy * height - (height - 1) / 2) * cosine + (cz - (depth - 1) / 2) * sine + (rows - 1) / 2
            for v in range(max(0, math.floor(cv) - reach), min(rows, math.floor(cv) + reach + 2)):
                for x in range(max(0, math.floor(cx) - reach), min(width, math.floor(cx) + reach + 2)):
                    rest = radius**2 - (v - cv) ** 2 - (x - cx) ** 2
                    if rest > 0:
                        image[v, x] += 2 * math.sqrt(rest)


@compiled
def backproject(images: Volume, cosines: Float, sines: Float, volume: Volume) -> None:
    """Write the sum of `images` (tilt, v, x) along the rays of `project` to `volume`."""
    depth, height, _ = volume.shape
    tilts, rows, _ = images.shape
    for z in range(depth):
        for y in range(height):
            out = volume[z, y]
            out[:] = 0
            for t in range(tilts):
                v = (y - (height - 1) / 2) * cosines[t] + (z - (depth - 1) / 2) * sines[t] + (rows - 1) / 2
                low = math.floor(v)
                _add_between(images[t, low], images[t, low + 1], np.float32(v - low), out)
