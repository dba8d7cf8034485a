"""A tomogram's features, kept: 4 bytes per voxel of the tomogram, from which any head's heat map is made in a moment.

Features are not negative. Each is kept as eight bits of its root, in parts of the largest one of its channel in its
piece; heads find as much with them as with the features themselves.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from milopyp_inference.engine.features import FeatureNetwork
from milopyp_shared.atomic import atomic_write, write_text
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.head import Head
from milopyp_shared.kernels import compiled
from milopyp_shared.scratch_array import scratch_array
from milopyp_shared.system import reserve
from milopyp_shared.tiles import Piece, Shape, grid_shape
from milopyp_shared.typed_json import decode
from milopyp_training.data.dataset import LabelledVolume
from milopyp_training.data.head_examples import Part

SCHEMA = 1
CODES, DESCRIPTION = ".features", ".features.json"
REMEDY = "Remove both files of this name, and they are made again; or give another folder."
_SQUARES: NDArray[np.float32] = (np.arange(256, dtype=np.float32) / np.float32(255)) ** 2

_Span: TypeAlias = tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=1)]]
Codes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class KeptPiece:
    """A part of the grid.

    Attributes
    ----------
    place
        Its part of each axis, z, y, x: first voxel, and the one behind its last.
    largest
        ``(d,)`` largest feature of each channel.
    """

    place: tuple[_Span, _Span, _Span]
    largest: tuple[float, ...]

    @property
    def shape(self) -> Shape:
        """Voxels along z, y, x."""
        z, y, x = (last - first for first, last in self.place)
        return (z, y, x)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Its place in an array."""
        z, y, x = (slice(*span) for span in self.place)
        return (z, y, x)


@dataclass(frozen=True)
class Description:
    """What a file of codes holds, and of what.

    Attributes
    ----------
    network
        SHA-256 of the network that made them.
    tomogram
        SHA-256 of the grey levels that it has seen.
    grid
        Size of the whole, z, y, x.
    crc
        Of the codes.
    """

    schema: int
    network: str
    tomogram: str
    grid: Shape
    pieces: tuple[KeptPiece, ...]
    crc: int


@dataclass(frozen=True)
class KeptFeatures:
    """Features of one tomogram.

    Attributes
    ----------
    grid
        Their size, z, y, x.
    pieces
        That make it up.
    codes
        ``(n, d)`` of all voxels, piece after piece, on disk.
    """

    grid: Shape
    pieces: tuple[KeptPiece, ...]
    codes: Codes

    def heat_map(self, head: Head) -> NDArray[np.float32]:
        """What `head` makes of them, ``(z, y, x)`` 0..1."""
        heat = np.empty(self.grid, np.float32)
        for piece, codes in self._each():
            weights = head.weights * np.array(piece.largest, np.float32) / np.float32(255**2)
            logits = _logits(codes, weights, np.float32(head.bias))
            heat[piece.slices] = (1 / (1 + np.exp(-logits))).reshape(piece.shape)
        return heat

    def parts(self, volume: LabelledVolume) -> Iterator[Part]:
        """Its pieces, as examples are gathered from."""
        for piece, codes in self._each():
            yield volume, piece.slices, _Taken(codes, np.array(piece.largest, np.float32))

    def at(self, zyx: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features ``(n, d)`` of voxels ``(n, 3)`` of the grid."""
        found = np.empty((len(zyx), self.codes.shape[1]), np.float32)
        for piece, codes in self._each():
            first, last = np.array(piece.place).T
            here = ((zyx >= first) & (zyx < last)).all(axis=1)
            index = np.ravel_multi_index(tuple((zyx[here] - first).T), piece.shape)
            found[here] = _SQUARES[codes[index]] * np.array(piece.largest, np.float32)
        return found

    def _each(self) -> Iterator[tuple[KeptPiece, Codes]]:
        at = 0
        for piece in self.pieces:
            count = math.prod(piece.shape)
            yield piece, self.codes[at : at + count]
            at += count


@dataclass(frozen=True)
class _Taken:
    """Gives features of single voxels of a piece."""

    codes: Codes
    largest: NDArray[np.float32]

    def __call__(self, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = _SQUARES[self.codes[np.flatnonzero(kept)]] * self.largest
        return features


@partial(compiled, fastmath=True)
def _logits(codes: Codes, weights: NDArray[np.float32], bias: np.float32) -> NDArray[np.float32]:
    """Sum of squared codes by `weights`; in any order, which is sixty times as fast as tables and a matrix product."""
    count, channels = codes.shape
    found = np.empty(count, np.float32)
    for voxel in range(count):
        total = bias
        for channel in range(channels):
            root = np.float32(codes[voxel, channel])
            total += weights[channel] * root * root
        found[voxel] = total
    return found


def keep_features(
    network: FeatureNetwork,
    volume: LabelledVolume,
    folder: Path | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> KeptFeatures:
    """The features of a tomogram, in `folder` if it is given, where they are made once.

    Parameters
    ----------
    told
        Is told how much is made, 0..1; what it raises ends the making, and nothing is kept.

    Raises
    ------
    ContradictionError
        Those in the folder were made of another tomogram, or by another network.
    InputError
        They are damaged, or there is no room for them.
    FullDiskError
        The same, in the folder.
    """
    assert network.description.graph is not None
    facts, size = network.description.graph, network.description.options.features
    grid = grid_shape(volume.grey.shape, facts.geometry)
    count = math.prod(grid)
    if folder is None:
        codes: Codes = scratch_array((count, size), np.uint8)
        return KeptFeatures(grid, tuple(_written(_pieces(network, volume), codes, told)), codes)
    seen = _fingerprint(volume)
    path, described = (folder / f"{volume.name}{ending}" for ending in (CODES, DESCRIPTION))
    if described.is_file():
        return _read(path, described, (facts.sha256, seen, grid), size)
    with atomic_write(path) as part:
        with part.open("r+b") as stream:
            reserve(stream, count * size)
        codes = np.memmap(part, np.uint8, "r+", shape=(count, size))
        pieces = tuple(_written(_pieces(network, volume), codes, told))
        codes.flush()
    description = Description(SCHEMA, facts.sha256, seen, grid, pieces, zlib.crc32(codes.data))
    write_text(described, json.dumps(asdict(description)))
    return KeptFeatures(grid, pieces, np.memmap(path, np.uint8, "r", shape=(count, size)))


def _pieces(network: FeatureNetwork, volume: LabelledVolume) -> Iterator[Piece]:
    return network.iter_features(volume.grey.box, volume.grey.shape, volume.grey.input_range)


def _written(pieces: Iterable[Piece], codes: Codes, told: Callable[[float], None]) -> Iterator[KeptPiece]:
    """Put features into `codes`, piece after piece."""
    at = 0
    for place, features in pieces:
        flat = features.reshape(len(features), -1)
        largest = np.maximum(flat.max(axis=1), np.float32(1e-12))
        roots = np.sqrt(flat / largest[:, None])
        codes[at : at + flat.shape[1]] = np.rint(roots.T * np.float32(255)).astype(np.uint8)
        at += flat.shape[1]
        told(at / len(codes))
        z, y, x = ((axis.start, axis.stop) for axis in place)
        yield KeptPiece((z, y, x), tuple(largest.tolist()))


def _read(path: Path, described: Path, wanted: tuple[str, str, Shape], size: int) -> KeptFeatures:
    """Features that were kept before, provided that they are the ones that are wanted."""
    try:
        stored = json.loads(described.read_text(encoding="utf-8"))
        length = path.stat().st_size
    except (OSError, ValueError) as error:
        raise _damaged(described, f"cannot be read ({error})") from error
    description: Description = decode(Description, stored, "description", described)
    for what, found, own in zip(
        ("network", "tomogram", "tomogram"),
        (description.network, description.tomogram, description.grid),
        wanted,
        strict=True,
    ):
        if found != own:
            raise ContradictionError(
                f"holds features of another {what}",
                where=path, expected="those of this one, its order, mask and contrast", remedy=REMEDY,
            )  # fmt: skip
    count = math.prod(description.grid)
    if length != count * size or not _fills(description, size):
        raise _damaged(path, f"has {length} bytes")
    codes = np.memmap(path, np.uint8, "r", shape=(count, size))
    if zlib.crc32(codes.data) != description.crc:
        raise _damaged(path, "is damaged")
    return KeptFeatures(description.grid, description.pieces, codes)


def _fills(description: Description, size: int) -> bool:
    """Whether the pieces make up the grid, each place once."""
    covered = np.zeros(description.grid, bool)
    for piece in description.pieces:
        ends = zip(piece.place, description.grid, strict=True)
        if len(piece.largest) != size or any(not first < last <= end for (first, last), end in ends):
            return False
        if covered[piece.slices].any():
            return False
        covered[piece.slices] = True
    return bool(covered.all())


def _damaged(path: Path, found: str) -> InputError:
    return InputError(found, where=path, expected="features as milopyp learn keeps them", remedy=REMEDY)


def _fingerprint(volume: LabelledVolume) -> str:
    """Of the grey levels, section by section, and of what they mean."""
    found = hashlib.sha256(repr((volume.grey.shape, volume.grey.input_range)).encode())
    bounds = [*range(0, volume.grey.shape[0], 16), volume.grey.shape[0]]
    for first, last in pairwise(bounds):
        found.update(volume.grey.sections(first, last).tobytes())
    return found.hexdigest()
