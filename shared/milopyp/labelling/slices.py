"""Slices of a tomogram for the page: XY at once from the file, all from a copy in blocks as soon as it is there."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from milopyp_shared.errors import MilopypError
from milopyp_shared.tiles import Shape
from milopyp_shared.tomogram import Tomogram

from .blocks import Blocks, around, as_levels, as_shape, limits, quantiles

Axis = Literal["z", "y", "x"]
AXES: tuple[Axis, ...] = ("z", "y", "x")
_SHOWN = 0.002  # of the voxels of a slice that may be all black, and all white
_THICK, _SMOOTH = 0.4, 0.06  # of a close-up's reach: what is averaged to each side, sigma of its Gaussian filter


@dataclass(frozen=True)
class Picture:
    """A slice as the page draws it.

    Attributes
    ----------
    grey
        ``(v, u)``: rows from the smallest coordinate on.
    covers
        Voxels along u and v that it shows.
    """

    grey: NDArray[np.uint8]
    covers: tuple[int, int]


class Slices:
    """The slices of one tomogram; any thread may ask.

    Attributes
    ----------
    tomogram
        The open file.
    share
        How much of the copy is made, 0..1.
    error
        Why there will be no copy; None as long as there may be.
    """

    def __init__(self, tomogram: Tomogram) -> None:
        self.tomogram, self.share = tomogram, 0.0
        self.error: MilopypError | None = None
        self._blocks: Blocks | None = None
        self._limits: dict[int, tuple[float, float]] = {}
        self._file = threading.Lock()  # the reader keeps what it has read last
        self._copying = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def is_copied(self) -> bool:
        """Whether XZ and YZ can be had."""
        return self._blocks is not None

    @cached_property
    def _range(self) -> tuple[float, float]:
        return limits(self.tomogram)

    def begin(self) -> None:
        """Have the copy made in the background, unless it is there or being made."""
        if self._blocks is None and (self._thread is None or not self._thread.is_alive()):
            self._ended = False
            self._thread = threading.Thread(target=self.copy, name="milopyp-copy", daemon=True)
            self._thread.start()

    def copy(self) -> None:
        """Make the copy, unless it is there; what goes wrong is kept for those who ask."""
        with self._copying:
            if self._blocks is not None:
                return
            self.error = None
            try:
                self._blocks = Blocks(self.tomogram, self._range, self._told)
            except _Ended:
                self.share = 0.0
            except MilopypError as error:
                self.error = error

    def drop(self) -> None:
        """Let the copy go, or end its making."""
        self._ended = True
        with self._copying:
            self._blocks, self.share, self.error = None, 0.0, None

    def get(self, axis: Axis, at: int, thick: int) -> Picture | None:
        """The mean of `thick` slices around slice `at`; None: the copy is being made.

        Raises
        ------
        MilopypError
            The file cannot be read, or has changed, or there is no copy.
        """
        self.tomogram.raise_if_modified()
        number, shape, blocks = AXES.index(axis), self.tomogram.shape, self._blocks
        first = min(max(at - thick // 2, 0), shape[number] - 1)
        last = min(max(at - thick // 2 + thick, first + 1), shape[number])
        if blocks is not None:
            levels = _slab(blocks, number, first, last)
            values = levels * np.float32((blocks.high - blocks.low) / 255) + np.float32(blocks.low)
        elif axis == "z":
            with self._file:
                values = self.tomogram.sections(first, last).mean(axis=0, dtype=np.float32)
        elif self.error is not None:
            raise self.error
        else:
            return None
        if axis == "x":  # z to the right, beside the XY slice whose y it shares
            values = values.T
        step = 1 if blocks is None else blocks.step
        return Picture(self._levels(values, last - first), (values.shape[1] * step, values.shape[0] * step))

    def box(self, first: Shape, last: Shape) -> NDArray[np.float32]:
        """Values of the voxels ``first <= (z, y, x) < last``; of a few sections.

        Raises
        ------
        MilopypError
            The file cannot be read.
        """
        blocks = self._blocks
        if blocks is not None and blocks.step == 1:
            return blocks.box(first, last).astype(np.float32)
        with self._file:
            sections = self.tomogram.sections(first[0], last[0])
        return sections[:, first[1] : last[1], first[2] : last[2]].astype(np.float32)

    def close_ups(self, xyz: NDArray[np.float64], reach: float, pixels: int) -> NDArray[np.uint8] | None:
        """Surroundings of places, ``(n, pixels, pixels)``, rows from the smallest y on; None: the copy is being made.

        They are a little smoothed, and grey outside the tomogram.
        """
        if self._blocks is None:
            if self.error is not None:
                raise self.error
            return None
        found = np.stack([self._close_up(self._blocks, place, reach, pixels) for place in xyz])
        low, high = np.quantile(found, [0.01, 0.99])
        return as_levels(found, low, 255 / max(high - low, 1e-6))

    @staticmethod
    def _close_up(blocks: Blocks, xyz: NDArray[np.float64], reach: float, pixels: int) -> NDArray[np.float32]:
        centre = xyz[::-1] / blocks.step
        reach /= blocks.step
        sides = np.array([reach * _THICK, reach + 1, reach + 1])
        first, last = around(centre, sides, blocks.shape)
        flat = blocks.box(as_shape(first), as_shape(last)).mean(axis=0, dtype=np.float32)
        flat = gaussian_filter(flat, _SMOOTH * reach)  # noise hides what a glance is to find
        across = (np.arange(pixels) + 0.5) / pixels * 2 * reach - reach
        y, x = centre[1] + across, centre[2] + across
        shown: NDArray[np.float32] = map_coordinates(
            flat, np.meshgrid(y - first[1], x - first[2], indexing="ij"), order=1, mode="nearest"
        )
        for rows, values, length in ((shown, y, blocks.shape[1]), (shown.T, x, blocks.shape[2])):
            rows[(values < -0.5) | (values > length - 0.5)] = np.median(flat)
        return shown

    def _levels(self, values: NDArray[np.float32], thick: int) -> NDArray[np.uint8]:
        """256 levels between what is hardly ever reached in the middle of the tomogram, at this thickness."""
        if thick not in self._limits:
            self._limits[thick] = self._limits_of(thick)
        low, high = self._limits[thick]
        return as_levels(values, low, 255 / (high - low))

    def _limits_of(self, thick: int) -> tuple[float, float]:
        """Averaging makes differences smaller: the limits move with the thickness."""
        first = max((self.tomogram.shape[0] - thick) // 2, 0)
        with self._file:
            some = self.tomogram.sections(first, first + thick).mean(axis=0, dtype=np.float32)[::3, ::3]
        low, high = quantiles(some, _SHOWN)
        lowest, highest = self._range
        return max(low, lowest), max(min(high, highest), low + 1e-6 * max(abs(low), 1e-30))

    def _told(self, share: float) -> None:
        self.share = share
        if self._ended:
            raise _Ended


class _Ended(MilopypError):
    """The copy is not wanted any more."""

    def __init__(self) -> None:
        super().__init__("ended")


class SliceShelf:
    """The slices of all tomograms, with copies of the few that were looked at last."""

    def __init__(self, tomograms: Sequence[Tomogram], most: int = 2) -> None:
        self._slices = [Slices(tomogram) for tomogram in tomograms]
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    def __getitem__(self, index: int) -> Slices:
        return self._slices[index]

    def look_at(self, index: int) -> None:
        """Have a copy made of a tomogram, in the background."""
        with self._lock:
            self._recent[index] = None
            self._recent.move_to_end(index)
            dropped = [self._recent.popitem(last=False)[0] for _ in range(len(self._recent) - self._most)]
            self._slices[index].begin()
        for other in dropped:
            self._slices[other].drop()


def _slab(blocks: Blocks, axis: int, first: int, last: int) -> NDArray[np.float32]:
    """Mean level of slices ``first <= i < last`` of the tomogram across an axis."""
    low, high = [0, 0, 0], list(blocks.shape)
    low[axis] = min(first // blocks.step, high[axis] - 1)
    high[axis] = min(max(-(-last // blocks.step), low[axis] + 1), high[axis])
    mean: NDArray[np.float32] = blocks.box(as_shape(low), as_shape(high)).mean(axis=axis, dtype=np.float32)
    return mean
