"""Cut a volume into tiles whose heat maps join exactly, whatever the network.

A tile is read with a halo as large as the network's receptive field and begins at a multiple of the network's
alignment, so that pooling windows fall where they fall in the whole volume. At the volume's ends nothing is
added: the network's own zero padding is part of its result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .prefetch import prefetch
from .recipe import Geometry

Shape = tuple[int, int, int]
#: Grey levels of the voxels ``start <= (z, y, x) < end``, uint8, e.g. `PreprocessedVolume.box`.
Read = Callable[[Shape, Shape], NDArray[np.uint8]]
#: ``(z, y, x)`` uint8 grey levels -> float32 heat map, sizes divided by the network's stride and rounded up; of
#: several classes ``(classes, z, y, x)``.
Network = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
#: Part of a heat map, or of features, and where it belongs.
Piece = tuple[tuple[slice, slice, slice], NDArray[np.float32]]

#: Voxels that go through a network at once where nothing else bounds them.
VOXELS_AT_ONCE = 24_000_000
_MOST_CUTS = 24  # per axis, that are worth a thought


@dataclass(frozen=True)
class Span:
    """Positions ``first <= i < last`` of one axis, computed from ``read_first <= i < read_last``; input voxels."""

    first: int
    last: int
    read_first: int
    read_last: int

    @property
    def read(self) -> int:
        """Positions read."""
        return self.read_last - self.read_first

    def output(self, stride: int) -> slice:
        """Its part of the heat map's axis."""
        return slice(self.first // stride, -(-self.last // stride))

    def own(self, stride: int) -> slice:
        """Its part of the heat map of what was read."""
        start = (self.first - self.read_first) // stride
        return slice(start, start + -(-(self.last - self.first) // stride))


Spans = tuple[Span, ...]


@dataclass(frozen=True)
class Tile:
    """One span per axis."""

    z: Span
    y: Span
    x: Span

    @property
    def size(self) -> Shape:
        """Voxels to read."""
        return (self.z.read, self.y.read, self.x.read)

    @property
    def start(self) -> Shape:
        """First voxel to read."""
        return (self.z.read_first, self.y.read_first, self.x.read_first)

    @property
    def end(self) -> Shape:
        """Voxel behind the last one to read."""
        return (self.z.read_last, self.y.read_last, self.x.read_last)


@dataclass(frozen=True)
class Tiling:
    """How a volume goes through a network: spans per axis, and a tile for each combination of them.

    Tiles are made one at a time, by iterating; there may be millions. What is to be known of all of them follows from
    the spans.

    Attributes
    ----------
    z, y, x
        Spans that cover the axis.
    streaming
        Sections pass by: tiles of one column of rows and columns follow each other, and the network keeps what it
        needs of the former ones. See `cut_stream` for their spans along z.
    """

    z: Spans
    y: Spans
    x: Spans
    streaming: bool = False

    def __iter__(self) -> Iterator[Tile]:
        if self.streaming:
            yield from (Tile(z, y, x) for y, x, z in itertools.product(self.y, self.x, self.z))
        else:
            yield from (Tile(z, y, x) for z, y, x in itertools.product(self.z, self.y, self.x))

    def __len__(self) -> int:
        return len(self.z) * len(self.y) * len(self.x)

    @property
    def largest(self) -> Shape:
        """Voxels of the largest tile to read."""
        return (longest(self.z), longest(self.y), longest(self.x))

    @property
    def voxels(self) -> int:
        """Voxels that go through the network, all tiles together."""
        return total(self.z) * total(self.y) * total(self.x)


def longest(spans: Spans) -> int:
    """Most positions that one of the spans reads."""
    return max(span.read for span in spans)


def total(spans: Spans) -> int:
    """Positions that the spans read together."""
    return sum(span.read for span in spans)


def cut(size: int, count: int, halo: int, alignment: int) -> Spans:
    """Spans of about equal lengths, `count` of them or fewer, that cover `size` positions."""
    own = -(-size // (count * alignment)) * alignment
    starts = [(first, max(first - halo, 0) // alignment * alignment) for first in range(0, size, own)]
    return tuple(Span(first, min(first + own, size), read, min(first + own + halo, size)) for first, read in starts)


def cut_stream(size: int, length: int, delay: int) -> Spans:
    """Spans of `length` positions that pass by, each read once; what is computed lags behind by `delay` positions.

    The first ones may compute nothing yet, and the last ones are read beyond the end, until the last result is out.
    """
    starts = range(0, size + delay, length)
    ends = [min(max(start + length - delay, 0), size) for start in starts]
    return tuple(
        Span(first, last, start, start + length)
        for first, last, start in zip([0, *ends[:-1]], ends, starts, strict=True)
    )


def cut_fixed(size: int, length: int, halo: int, alignment: int) -> Spans:
    """Spans that all read `length` positions, but for a last one of up to ``alignment - 1`` fewer.

    For runtimes that prepare themselves for a size. The last span ends where the axis does and begins at a multiple of
    the alignment; an axis shorter than `length` is one span.

    Raises
    ------
    ValueError
        `length` is no multiple of `alignment`, or leaves nothing between its halos.
    """
    reach = -(-halo // alignment) * alignment
    if length % alignment or length <= 2 * reach:
        raise ValueError(f"tiles of {length} with a halo of {halo} and an alignment of {alignment}")
    if size <= length:
        return (Span(0, size, 0, size),)
    spans = [Span(0, length - reach, 0, length)]
    while spans[-1].read_last < size:
        read_first = min(spans[-1].last - reach, -(-(size - length) // alignment) * alignment)
        read_last = min(read_first + length, size)
        spans.append(Span(spans[-1].last, read_last if read_last == size else read_last - reach, read_first, read_last))
    return tuple(spans)


def plan_tiles(shape: Shape, geometry: Geometry, at_once: int) -> Tiling:
    """Tiles of at most `at_once` voxels, halo included, that cost least; the smallest there are when none fits.

    Parameters
    ----------
    shape
        ``(z, y, x)`` after pairing.
    """
    ways = [
        axis_splits(size, halo, alignment)
        for size, halo, alignment in zip(shape, geometry.halo, geometry.alignment, strict=True)
    ]
    largest, cost = (_outer([[measure(way) for way in axis] for axis in ways]) for measure in (longest, total))
    fitting = np.where(largest <= at_once, cost, np.inf)
    best = np.argmin(fitting if np.isfinite(fitting).any() else largest)
    z, y, x = (axis[i] for axis, i in zip(ways, np.unravel_index(best, cost.shape), strict=True))
    return Tiling(z, y, x)


def iter_heat_map(tiles: Iterable[Tile], read: Read, network: Network, geometry: Geometry) -> Iterator[Piece]:
    """The heat maps of `tiles`, or features ``(d, z, y, x)``; the next one is read while the network runs."""
    for tile, block in prefetch((tile, read(tile.start, tile.end)) for tile in tiles):
        yield own_piece(tile, network(block), geometry)


def own_piece(tile: Tile, heat: NDArray[np.float32], geometry: Geometry) -> Piece:
    """A tile's own part of the heat map of all that was read for it, and its place in the heat map of the volume."""
    spans = tuple(zip((tile.z, tile.y, tile.x), geometry.stride, strict=True))
    z, y, x = (span.own(stride) for span, stride in spans)
    places = [span.output(stride) for span, stride in spans]
    return (places[0], places[1], places[2]), heat[..., z, y, x]


def grid_shape(shape: Shape, geometry: Geometry) -> Shape:
    """Size ``(z, y, x)`` of the grid on which a network answers of a volume."""
    z, y, x = (-(-size // stride) for size, stride in zip(shape, geometry.stride, strict=True))
    return (z, y, x)


def heat_map_shape(shape: Shape, geometry: Geometry, classes: int = 1) -> tuple[int, ...]:
    """Shape of the heat map of a volume: ``(z, y, x)``, of several classes ``(classes, z, y, x)``."""
    grid = grid_shape(shape, geometry)
    return grid if classes == 1 else (classes, *grid)


def by_class(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """A heat map ``(z, y, x)``, or that of several classes, as ``(classes, z, y, x)``."""
    return heat if heat.ndim == 4 else heat[None]


def box_of(volume: NDArray[np.uint8]) -> Read:
    """Reads boxes of a volume in memory."""
    return lambda start, end: np.ascontiguousarray(volume[tuple(map(slice, start, end))])


def axis_splits(size: int, halo: int, alignment: int) -> list[Spans]:
    """Ways to cut one axis, coarse to fine, the finest one among them; see `cut`."""
    most = -(-size // alignment)
    counts = [*range(1, min(most, _MOST_CUTS) + 1), most]
    found: list[Spans] = []
    for count in counts:
        way = cut(size, count, halo, alignment)
        if not found or len(way) > len(found[-1]):
            found.append(way)
    return found


def _outer(axes: list[list[int]]) -> NDArray[np.float64]:
    z, y, x = (np.array(axis, np.float64) for axis in axes)
    product: NDArray[np.float64] = z[:, None, None] * y[:, None] * x
    return product
