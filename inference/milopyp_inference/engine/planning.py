"""How a volume goes through a network within a given memory: in tiles, or in chunks of sections that pass by.

Tiles are read with a halo that is computed and thrown away. Chunks compute every section once but need the file's
streaming graph, memory for its states, and a few sections more at the end until the last result is out. Whatever costs
least is taken, so that a small volume goes through in one piece. The result is the same.
"""

from __future__ import annotations

import itertools
import math
import re

from milopyp_shared.errors import UsageError
from milopyp_shared.recipe import Geometry, Runnable
from milopyp_shared.tiles import Shape, Tiling, axis_splits, cut_fixed, cut_stream, longest, plan_tiles, total

DEFAULT_MEMORY = 10**9
DEFAULT_GPU_MEMORY = 6 * 10**9
#: Per voxel of a tile, on a GPU beside the network: what waits or is on its way (see `overlap`), bytes of four tiles
#: and three heat maps with a value per four voxels.
GPU_WAITING_BYTES = 8
#: Of the process beside the network: Python and its libraries (90 MB), the next tomogram in preparation, a tile read
#: ahead, and what the allocator does not give back.
OWN_BYTES = 300 * 10**6
_SECTIONS = (32, 24, 20, 16, 12, 8, 4, 2, 1)  # per chunk; more than 32 is not faster
#: Of putting states in front and keeping them, in sections per chunk (measured: 20 % at 4, 9 % at 8, 4 % at 16).
STATE_COST = 0.7
_STATES_HELD = 3  # as input, as output, and in front of what is computed
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_memory(text: str) -> int:
    """Bytes of ``2GB``, ``800 MB``, ``1.5GiB`` or a number.

    Raises
    ------
    UsageError
        Anything else, or less than the program itself takes.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*", text)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r}", where="--memory", expected="a size like 2GB, 800MB or 1.5GiB")
    size = int(float(match[1]) * unit)
    if size <= OWN_BYTES:
        raise UsageError(
            text, where="--memory", expected=f"more than {OWN_BYTES // 10**6} MB, which the program itself takes"
        )
    return size


def plan(shape: Shape, recipe: Runnable, memory: int) -> Tiling:
    """The cheapest way through the network that fits into `memory` bytes.

    Parameters
    ----------
    shape
        ``(z, y, x)`` after pairing.

    Raises
    ------
    UsageError
        The memory is too small even for the smallest tiles; the message says what is needed.
    """
    room = memory - OWN_BYTES
    per_voxel = recipe.tile_bytes or recipe.working_bytes
    tiles = plan_tiles(shape, recipe.geometry, room // per_voxel)
    needed = math.prod(tiles.largest) * per_voxel
    cost, stream = _cheapest_stream(shape, recipe, room)
    if stream is not None and (needed > room or cost < tiles.voxels):
        return stream
    _refuse_too_little(memory, needed, shape)
    return tiles


def plan_equal_tiles(shape: Shape, geometry: Geometry, memory: int, per_voxel: int) -> Tiling:
    """Tiles of as few sizes as possible, for runtimes on the CPU that prepare themselves for a size.

    Parameters
    ----------
    memory
        Bytes of the whole process.
    per_voxel
        Bytes that the network takes.

    Raises
    ------
    UsageError
        The memory is too small even for the smallest tiles; the message says what is needed.
    """
    at_once = (memory - OWN_BYTES) // per_voxel
    for tenths in range(10, -1, -1):  # making sizes equal makes some tiles larger
        tiling = _equal_tiles(shape, geometry, at_once * tenths // 10)
        if math.prod(tiling.largest) <= at_once:
            return tiling
    _refuse_too_little(memory, math.prod(tiling.largest) * per_voxel, shape)
    return tiling


def _refuse_too_little(memory: int, needed: int, shape: Shape) -> None:
    if needed > memory - OWN_BYTES:
        least = -(-(needed + OWN_BYTES) // 10**6)
        raise UsageError(
            f"{memory / 1e6:.0f} MB",
            where="--memory",
            expected=f"at least {least} MB for this model and {shape[2]} x {shape[1]} pixels",
        )


def _cheapest_stream(shape: Shape, recipe: Runnable, room: int) -> tuple[float, Tiling | None]:
    """Chunks of the full depth in columns of rows and columns; their cost in voxels, and None when nothing fits."""
    if recipe.chunks is None:
        return math.inf, None
    chunks, geometry = recipe.chunks, recipe.geometry
    along_z = [cut_stream(shape[0], length, chunks.delay) for length in _SECTIONS if length % chunks.multiple == 0]
    along_y, along_x = map(axis_splits, shape[1:], geometry.halo[1:], geometry.alignment[1:])
    depths, *plane = ([(longest(spans), total(spans), spans) for spans in ways] for ways in (along_z, along_y, along_x))
    best: tuple[float, Tiling | None] = (math.inf, None)
    for (rows, cost_y, y), (columns, cost_x, x) in itertools.product(*plane):
        left = room - _STATES_HELD * chunks.state_bytes(rows, columns)
        for length, cost_z, z in depths:
            cost = cost_z * (1.0 + STATE_COST / length) * cost_y * cost_x
            if cost < best[0] and length * rows * columns * recipe.working_bytes <= left:
                best = (cost, Tiling(z, y, x, streaming=True))
    return best


def plan_for_gpu(shape: Shape, recipe: Runnable, memory: int | None = None) -> Tiling:
    """Tiles for a GPU, which prepares itself for a size: as many as possible have one and the same.

    Parameters
    ----------
    memory
        Bytes of the GPU to use.
    """
    per_voxel = recipe.working_bytes + GPU_WAITING_BYTES
    return _equal_tiles(shape, recipe.geometry, (memory or DEFAULT_GPU_MEMORY) // per_voxel)


def _equal_tiles(shape: Shape, geometry: Geometry, at_once: int) -> Tiling:
    """Tiles of about `at_once` voxels that all read the same lengths, but for what ends with the volume."""
    tiles = plan_tiles(shape, geometry, at_once)
    axes = []
    for size, read, halo, alignment in zip(shape, tiles.largest, geometry.halo, geometry.alignment, strict=True):
        length = -(-max(read, 2 * halo + 3 * alignment) // alignment) * alignment
        axes.append(cut_fixed(size, length, halo, alignment))
    z, y, x = axes
    return Tiling(z, y, x)
