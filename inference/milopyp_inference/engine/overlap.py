"""Tiles through a session on a device with memory of its own: reading, copying and the network at the same time.

A thread reads a tile and copies its bytes to the device, a second one runs the network, and the caller copies the heat
map back, each on the next tile while the others are busy. Why so, and not otherwise:

* One run at a time: two at once would share the same processor and take twice the memory, so that tiles would have to
  be smaller and their halos dearer.
* What a run gets is copied into memory that no session uses, by calls that return when the copy is complete. A numpy
  array that is bound is copied by onnxruntime on a stream of its own choice, which a run on another thread need not
  wait for.
* The thread of the network has its next tile before it is asked for (`RUNS_AHEAD`). Copies hold Python's lock, runs
  do not: a run that had to be started after the copy of the last heat map would leave the device idle for so long.
* Copies are from ordinary memory. They are hidden behind the network, so that pinned memory, which onnxruntime's
  Python interface has no stable way to, would gain nothing.
* Graphs of CUDA, which save launching each kernel, want fixed addresses and one shape; the last tile of an axis may be
  smaller, and a tile takes far longer than its launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.graph_names import INPUTS, OUTPUT
from milopyp_shared.prefetch import prefetch
from milopyp_shared.recipe import Geometry
from milopyp_shared.tiles import Piece, Read, Tile, Tiling, iter_heat_map, own_piece

from .runtime import first_line, load_onnxruntime, runtime_errors

#: As onnxruntime calls it, and its number.
Device = tuple[str, int]

RUNS_AHEAD = 2


class DeviceSession:
    """A session whose inputs and heat maps are on a device.

    Parameters
    ----------
    session
        Of the graph for tiles.
    device
        Where it runs.
    say
        Is told when this onnxruntime gives no memory there: tiles are copied and computed one after the other then.
    """

    def __init__(self, session: Any, device: Device, say: Callable[[str], None]) -> None:
        self.session, self._device = session, device
        self._value = load_onnxruntime().OrtValue
        self._overlaps = True
        refusals: tuple[type[BaseException], ...] = (*runtime_errors(), AttributeError, TypeError)
        try:
            self._copied(np.zeros(2, np.float32))
        except refusals as error:
            self._overlaps = False
            say(f"tiles are copied and computed one after the other ({first_line(error)})")

    def iter_heat_map(
        self, tiling: Tiling, read: Read, input_range: NDArray[np.float32], geometry: Geometry
    ) -> Iterator[Piece]:
        """The heat map of a volume, tile by tile; parameters as for `providers.base.Engine.iter_heat_map`."""
        if not self._overlaps:
            yield from iter_heat_map(tiling, read, lambda block: self.run(block, input_range), geometry)
            return
        levels = self._copied(input_range)

        def uploaded() -> Iterator[tuple[Tile, Any]]:
            for tile in tiling:
                yield tile, self._bound(self._copied(read(tile.start, tile.end)[None]), levels)

        def computed() -> Iterator[tuple[Tile, Any]]:
            for tile, binding in prefetch(uploaded()):
                self.session.run_with_iobinding(binding)
                yield tile, binding

        for tile, binding in prefetch(computed(), RUNS_AHEAD):
            yield own_piece(tile, binding.copy_outputs_to_cpu()[0][0], geometry)

    def run(self, block: NDArray[np.uint8], input_range: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heat map of one tile, all by itself."""
        binding = self.session.io_binding()
        for name, value in zip(INPUTS, (block[None], input_range), strict=True):
            binding.bind_cpu_input(name, value)
        binding.bind_output(OUTPUT, "cpu")
        self.session.run_with_iobinding(binding)
        heat: NDArray[np.float32] = binding.copy_outputs_to_cpu()[0][0]
        return heat

    def _bound(self, *values: Any) -> Any:
        """What a run needs, all of it on the device, with room there for what it gives."""
        binding = self.session.io_binding()
        for name, value in zip(INPUTS, values, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.bind_output(OUTPUT, *self._device)
        return binding

    def _copied(self, values: NDArray[Any]) -> Any:
        """A copy on the device, complete when this returns."""
        value = self._value.ortvalue_from_shape_and_type(list(values.shape), values.dtype.type, *self._device)
        value.update_inplace(values)
        return value
