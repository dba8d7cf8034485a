"""Sections that pass by: the network on chunks of them, each computed once.

The file's streaming graph keeps states from chunk to chunk instead of reading halos. Its results lag behind, so that a
few sections more than there are pass by until the last one is out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.graph_names import OUTPUT
from milopyp_shared.prefetch import prefetch
from milopyp_shared.recipe import Chunks, Runnable
from milopyp_shared.tiles import Piece, Read, Tile, Tiling


def iter_streamed(
    session: Any,
    tiling: Tiling,
    read: Read,
    input_range: NDArray[np.float32],
    recipe: Runnable,
    *,
    output: str = OUTPUT,
) -> Iterator[Piece]:
    """Heat map of a volume, chunk by chunk; the next one is read while the network runs.

    Parameters
    ----------
    session
        Of the streaming graph.
    tiling
        Its spans along z are made by `milopyp_shared.tiles.cut_stream`.
    read
        Gives grey levels.
    input_range
        The two grey levels that mean 0 and 1.
    output
        Of the graph: the heat map, or features ``(d, z, y, x)``.
    """
    chunks, (_, sy, sx) = recipe.chunks, recipe.geometry.stride
    assert chunks is not None
    depth = tiling.z[-1].last

    def block(tile: Tile) -> NDArray[np.uint8]:
        if tile.z.read_first >= depth:  # anything: it only brings the last results out
            return np.zeros(tile.size, np.uint8)
        part = read(tile.start, (min(tile.z.read_last, depth), tile.y.read_last, tile.x.read_last))
        missing = tile.z.read - len(part)
        return np.pad(part, ((0, missing), (0, 0), (0, 0))) if missing else part

    for tile, sections in prefetch((tile, block(tile)) for tile in tiling):
        z, y, x = tile.z, tile.y, tile.x
        if z.read_first == 0:  # another column
            stream = ChunkStream(session, chunks, input_range, depth, (y.read, x.read), output=output)
        heat = stream.run(stream.inputs(sections, z.read_first))
        if z.first < z.last:
            start = z.first - (z.read_first - chunks.delay)
            own = heat[..., start : start + z.last - z.first, y.own(sy), x.own(sx)]
            yield (slice(z.first, z.last), y.output(sy), x.output(sx)), own


class ChunkStream:
    """One volume, or one column of it, on its way through the streaming graph, `session`.

    Parameters
    ----------
    depth
        Sections of the volume.
    size
        Rows and columns.
    output
        Of the graph.
    """

    def __init__(
        self,
        session: Any,
        chunks: Chunks,
        levels: NDArray[np.float32],
        depth: int,
        size: tuple[int, int],
        *,
        output: str = OUTPUT,
    ) -> None:
        self._session = session
        self._known: dict[str, NDArray[Any]] = {"levels": levels, "depth": np.array(depth, np.int64)}
        for number, (sections, channels, halvings) in enumerate(chunks.states):
            rows, columns = (-(-length // 2**halvings) for length in size)
            self._known[f"state_{number}"] = np.zeros((sections, channels, rows, columns), np.float32)
        self._outputs = [output, *(f"after_{number}" for number in range(len(chunks.states)))]

    def inputs(self, sections: NDArray[np.uint8], position: int) -> dict[str, NDArray[Any]]:
        """What the graph gets for the next chunk, which begins at section `position`."""
        return self._known | {"sections": sections[None], "position": np.array(position, np.int64)}

    def run(self, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Heat map of the sections from ``position - delay``."""
        heat, *after = self._session.run(self._outputs, inputs)
        self._known |= {f"state_{number}": state for number, state in enumerate(after)}
        result: NDArray[np.float32] = heat[0]
        return result
