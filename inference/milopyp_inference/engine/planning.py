"""How a volume goes through a network within a given memory: in tiles, or in chunks of sections that pass by.

Tiles are read with a halo that is computed and thrown away. Chunks compute every section once but need the file's
second graph, memory for its states, and a few sections more at the end until the last result is out. Whatever costs
least is taken, so that a small volume goes through in one piece. The result is the same.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

from milopyp_shared.errors import UsageError
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import Shape, Span, Tile, axis_splits, cut_fixed, plan_tiles

from .streaming import state_bytes

DEFAULT_MEMORY = 10**9
DEFAULT_GPU_MEMORY = 6 * 10**9
#: Of the process beside the network: Python and its libraries (90 MB), the next tomogram in preparation, a tile read
#: ahead, and what the allocator does not give back.
OWN_BYTES = 300 * 10**6
_SECTIONS = (32, 24, 20, 16, 12, 8, 4, 2, 1)  # per chunk; more than 32 is not faster
#: Of putting states in front and keeping them, in sections per chunk (measured: 20 % at 4, 9 % at 8, 4 % at 16).
STATE_COST = 0.7
_STATES_HELD = 3  # as input, as output, and in front of what is computed
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class ChunkPlan:
    """Chunks of the full depth, in columns of one tile of rows and columns each.

    Attributes
    ----------
    sections
        Per chunk.
    y, x
        Spans of the columns.
    """

    sections: int
    y: list[Span]
    x: list[Span]


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


def plan(shape: Shape, recipe: Recipe, memory: int) -> list[Tile] | ChunkPlan:
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
    tiles = plan_tiles(shape, recipe.geometry, room // recipe.working_bytes)
    largest = max(math.prod(tile.size) for tile in tiles)
    fits = largest * recipe.working_bytes <= room
    chunks = _cheapest_chunks(shape, recipe, room)
    if chunks is not None and (not fits or chunks[0] < sum(math.prod(tile.size) for tile in tiles)):
        return chunks[1]
    if not fits:
        needed = largest * recipe.working_bytes + OWN_BYTES
        raise UsageError(
            f"{memory / 1e6:.0f} MB",
            where="--memory",
            expected=f"at least {-(-needed // 10**6)} MB for this model and {shape[2]} x {shape[1]} pixels",
        )
    return tiles


def _cheapest_chunks(shape: Shape, recipe: Recipe, room: int) -> tuple[float, ChunkPlan] | None:
    """Cost in voxels that go through the network, and how; None when nothing fits."""
    if recipe.chunks is None:
        return None
    chunks = recipe.chunks
    found: list[tuple[float, ChunkPlan]] = []
    (_, *halos), (_, *alignments) = recipe.geometry.halo, recipe.geometry.alignment
    ways = [axis_splits(*axis) for axis in zip(shape[1:], halos, alignments, strict=True)]
    for y, x in itertools.product(*ways):
        rows, columns = (max(span.read for span in spans) for spans in (y, x))
        left = room - _STATES_HELD * state_bytes(chunks, rows, columns)
        for sections in _SECTIONS:
            if sections % chunks.multiple == 0 and sections * rows * columns * recipe.working_bytes <= left:
                passing = -(-(shape[0] + chunks.delay) // sections) * sections * (1.0 + STATE_COST / sections)
                cost = passing * sum(span.read for span in y) * sum(span.read for span in x)
                found.append((cost, ChunkPlan(sections, y, x)))
    return min(found, key=lambda way: way[0], default=None)


def plan_for_gpu(shape: Shape, recipe: Recipe, memory: int | None = None) -> list[Tile]:
    """Tiles for a GPU, which prepares itself for a size: as many as possible have one and the same.

    Parameters
    ----------
    memory
        Bytes of the GPU to use.
    """
    tiles = plan_tiles(shape, recipe.geometry, (memory or DEFAULT_GPU_MEMORY) // recipe.working_bytes)
    axes = []
    for axis, (size, halo, alignment) in enumerate(
        zip(shape, recipe.geometry.halo, recipe.geometry.alignment, strict=True)
    ):
        longest = max(tile.size[axis] for tile in tiles)
        length = -(-max(longest, 2 * halo + 3 * alignment) // alignment) * alignment
        axes.append(cut_fixed(size, length, halo, alignment))
    return [Tile(*spans) for spans in itertools.product(*axes)]
