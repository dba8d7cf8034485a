"""Paired and filtered sections of a tomogram, slab by slab, several at the same time where threads are to spare.

Sections are read, paired and passed on in their order by one thread; the filters need no order, and others run them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .constant_fill import Fill
from .errors import InputError
from .prefetch import Workers
from .smoothing import mirrored, reach, smoothed

Pairing = Literal["none", "max", "mean"]

# Paired sections and voxels per step, and voxels of all threads' steps: bounds of the working memory.
_SECTIONS, _VOXELS, _IN_FLIGHT = 32, 2_000_000, 12_000_000


class Sections(Protocol):
    """What grey levels are made of: a `Tomogram`, or one that is resampled while it is read."""

    @property
    def path(self) -> Path:
        """Where it comes from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""

    def sections(self, first: int, last: int) -> NDArray[Any]:
        """Sections ``first <= z < last``, ``(z, y, x)``."""

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""


@dataclass(frozen=True)
class Slab:
    """Paired sections from `first` on, and which of their voxels are no constant fill."""

    first: int
    voxels: NDArray[np.float32]
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class FilteredSlabs:
    """How the sections of a tomogram become filtered slabs.

    Attributes
    ----------
    tomogram
        What is read.
    pairing
        How sections 2k and 2k+1 become one; see `pair_sections`.
    sigma
        Of the Gaussian (z, y, x), in voxels of the paired volume; 0 leaves an axis alone.
    negated
        Whether numbers change their signs before anything else.
    fill
        What stands in for constant fill; None: that is not looked for.
    """

    tomogram: Sections
    pairing: Pairing
    sigma: tuple[float, float, float]
    negated: bool
    fill: Fill | None

    @property
    def per_pair(self) -> int:
        """Sections of the tomogram that become one."""
        return sections_per_pair(self.pairing)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)`` after pairing."""
        depth, rows, columns = self.tomogram.shape
        return -(-depth // self.per_pair), rows, columns

    @property
    def at_once(self) -> int:
        """Paired sections of a slab."""
        return max(min(_SECTIONS, _VOXELS // (self.tomogram.shape[1] * self.tomogram.shape[2])), 1)

    @property
    def radius(self) -> int:
        """Paired sections that the filter reaches."""
        return reach(self.sigma[0])

    def made(self, threads: int) -> Iterator[Slab]:
        """Filtered slabs less an offset from top to bottom; every section is read and filtered once."""
        _, rows, columns = self.shape
        threads = min(threads, _IN_FLIGHT // ((self.at_once + 2 * self.radius) * rows * columns))
        with Workers(threads) as workers:
            flat = workers.map(self._filter_in_the_plane, self._blocks())
            yield from workers.map(self._filter_along_z, self._windows(flat))

    def _blocks(self) -> Iterator[Slab]:
        """Paired sections less an offset, as many at a time as the next slab still needs."""
        high, offset = 0, None
        for first in range(0, self.shape[0], self.at_once):
            end = min(first + self.at_once + self.radius, self.shape[0])
            if end > high:
                block, counted = self._paired(range(high, end))
                if offset is None:  # numbers far from zero would lose their small differences in the float32 filter
                    offset = np.nan_to_num(np.float32(block.mean(dtype=np.float64)), posinf=0.0, neginf=0.0)
                with np.errstate(invalid="ignore"):
                    block -= offset
                yield Slab(high, block, counted)
                high = end

    def _paired(self, pairs: range) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Paired sections, particles dark, and which of their voxels are no constant fill."""
        per_pair = self.per_pair
        raw = self.tomogram.sections(pairs.start * per_pair, min(pairs.stop * per_pair, self.tomogram.shape[0]))
        kept = np.ones((len(pairs), *raw.shape[1:]), dtype=np.bool_)
        with np.errstate(over="ignore", invalid="ignore"):  # refused later
            if self.fill is not None:
                raw, constant = self.fill.replaced(raw)
                if constant is not None:
                    kept = ~pair_sections(constant, "none" if per_pair == 1 else "max")
            if self.negated:
                raw = np.negative(raw, dtype=np.float32)
            return pair_sections(raw, self.pairing).astype(np.float32, copy=False), kept

    def _filter_in_the_plane(self, slab: Slab) -> Slab:
        voxels = slab.voxels
        _refuse_infinite(voxels, slab.first * self.per_pair, self.per_pair, self.tomogram)
        for axis in (1, 2):
            if self.sigma[axis] > 0:
                voxels = smoothed(voxels, self.sigma[axis], axis)
        return Slab(slab.first, voxels, slab.counted)

    def _windows(self, blocks: Iterator[Slab]) -> Iterator[tuple[range, Slab]]:
        """The sections of each slab, and all that the filter along z sees of them."""
        _, rows, columns = self.shape
        held = Slab(0, np.empty((0, rows, columns), np.float32), np.empty((0, rows, columns), np.bool_))
        for first in range(0, self.shape[0], self.at_once):
            last = min(first + self.at_once, self.shape[0])
            start, end = max(first - self.radius, 0), min(last + self.radius, self.shape[0])
            if end > held.first + len(held.voxels):
                more, seen = next(blocks), start - held.first
                voxels = np.concatenate([held.voxels[seen:], more.voxels])
                held = Slab(start, voxels, np.concatenate([held.counted[seen:], more.counted]))
            yield range(first, last), held

    def _filter_along_z(self, window: tuple[range, Slab]) -> Slab:
        own, seen = window
        inside = slice(own.start - seen.first, own.stop - seen.first)
        voxels = seen.voxels[inside]
        if self.sigma[0] > 0:
            around = mirrored(own.start - self.radius, own.stop + self.radius, self.shape[0]) - seen.first
            voxels = smoothed(seen.voxels, self.sigma[0], 0, around)
        return Slab(own.start, voxels, seen.counted[inside])


def sections_per_pair(pairing: Pairing) -> int:
    """Full-resolution sections per section that the network sees."""
    return 1 if pairing == "none" else 2


def pair_sections(sections: NDArray[Any], pairing: Pairing) -> NDArray[Any]:
    """Make one section of every two along z; an odd last one is passed on alone.

    ``max`` keeps the number type, as the published program does; ``mean`` gives float32.
    """
    if pairing == "none":
        return sections
    even, odd = sections[0::2], sections[1::2]
    paired = even.astype(np.float32) if pairing == "mean" else even.copy()
    if pairing == "mean":
        paired[: len(odd)] += odd
        paired[: len(odd)] *= np.float32(0.5)
    else:
        np.maximum(paired[: len(odd)], odd, out=paired[: len(odd)])
    return paired


def _refuse_infinite(block: NDArray[np.float32], first: int, per_pair: int, tomogram: Sections) -> None:
    finite = np.isfinite(block).all(axis=(1, 2))
    if not finite.all():
        raise InputError(
            f"NaN or infinite voxels near section {first + int(finite.argmin()) * per_pair}",
            where=tomogram.path,
            expected="finite numbers",
            remedy="Replace them, e.g. by the mean, before picking.",
        )
