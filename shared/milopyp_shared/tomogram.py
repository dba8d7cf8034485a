"""Tomograms: what their headers say, plausibility, sections in the inside frame."""

from __future__ import annotations

import bz2
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import axes, stores
from .atomic import is_full
from .errors import InputError
from .files import as_path, missing_file_error
from .imod_header import UNSAID, Placement, Three, middle
from .mrc import HEADER_BYTES, MrcHeader, parse_header
from .voxel_reader import VoxelReader, Voxels

if TYPE_CHECKING:
    from .zarr_volume import ZarrVolume

SHORTEST_AXIS = 8

Opener = Callable[..., Any]  # takes the packed stream
_PACKED: dict[bytes, Opener] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}


@dataclass(frozen=True)
class Frame:
    """Where a tomogram's voxels are: all that is needed to write its picks for other programs.

    Attributes
    ----------
    order
        Order word: the file's axes from fastest to slowest.
    stored_shape
        Of the file, slowest axis first.
    voxel_size
        Angstrom along the file's axes, fastest first; None when neither the user nor the header says (0 and exactly
        1.0 count as unsaid).
    placement
        What the header says, whatever the user says: 3dmod places models by it.
    """

    order: str
    stored_shape: tuple[int, int, int]
    voxel_size: Three | None = None
    placement: Placement = UNSAID

    @property
    def size(self) -> tuple[int, int, int]:
        """Of the file, fastest axis first."""
        z, y, x = self.stored_shape
        return (x, y, z)

    @property
    def one_voxel_size(self) -> float | None:
        """Angstrom, the middle one where they differ; None where it is not known."""
        return None if self.voxel_size is None else middle(self.voxel_size)


@dataclass(frozen=True)
class TomogramHeader:
    """What a tomogram's header says, checked; no voxel has been read.

    Attributes
    ----------
    path
        The file, or the store and what is meant inside it.
    mrc
        Its own header; of a store, what that of an MRC file would say.
    order
        Order word: the file's axes from fastest to slowest.
    given_voxel_size
        Angstrom; what the user says, which overrides the header.
    """

    path: Path
    mrc: MrcHeader
    order: str
    given_voxel_size: float | None

    @property
    def voxel_size(self) -> float | None:
        """Angstrom, one number for all axes; None when neither the user nor the header says.

        Of a header with different sizes it is the middle one, `milopyp_shared.header_checks` tells.
        """
        return self.frame.one_voxel_size

    @property
    def frame(self) -> Frame:
        """Where its voxels are."""
        given, placement = self.given_voxel_size, self.mrc.placement
        size = placement.voxel_size if given is None else (given, given, given)
        return Frame(self.order, self.mrc.stored_shape, size, placement)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""
        z, y, x = (self.mrc.stored_shape[axis] for axis in axes.to_zyx(self.order))
        return (z, y, x)


@dataclass(frozen=True)
class Tomogram(TomogramHeader):
    """An open tomogram: its header, and its voxels, which are read only when asked for.

    Attributes
    ----------
    stored
        The voxels in the file's own axes (slowest first) and number type.
    """

    stored: Voxels

    @property
    def zyx(self) -> NDArray[Any]:
        """Memory map with axes ``(z, y, x)``, for a few voxels here and there."""
        return self.stored.mapped().transpose(axes.to_zyx(self.order))

    def sections(self, first: int, last: int) -> NDArray[Any]:
        """Sections ``first <= z < last`` as a contiguous ``(z, y, x)`` array in the file's number type.

        Raises
        ------
        InputError
            The file has become shorter, or cannot be read.
        """
        to_zyx = axes.to_zyx(self.order)
        block = np.ascontiguousarray(self.stored.read_slices(to_zyx[0], first, last).transpose(to_zyx))
        return block.astype(block.dtype.newbyteorder("="), copy=False)

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""
        self.stored.raise_if_modified()


def read_header(
    path: str | os.PathLike[str],
    order: str = axes.AUTO,
    voxel_size: float | None = None,
    *,
    shortest: int = SHORTEST_AXIS,
) -> TomogramHeader:
    """Read and check the header of a tomogram, and nothing else.

    Of a packed file (gz, bz2) only the beginning is unpacked; whether all its voxels are there shows when it is
    opened.

    Parameters and errors are those of `open_tomogram`.
    """
    path = as_path(path, "tomogram")
    if stores.split(path) is not None:
        return _checked(path, _volume(path).header, order, voxel_size, shortest=shortest)
    with _reading(path) as stream:
        return _read_header(path, stream, order, voxel_size, shortest=shortest)


def open_tomogram(
    path: str | Path, order: str = axes.AUTO, voxel_size: float | None = None, *, shortest: int = SHORTEST_AXIS
) -> Tomogram:
    """Open an MRC file (also .rec, .st; gz and bz2 are unpacked to a temporary file), or an OME-Zarr store.

    Parameters
    ----------
    path
        The file; or the store, whose first level is meant, or a level inside it (``TS_01.zarr/1``).
    order
        Order word or ``auto``.
    voxel_size
        Angstrom; overrides the header.
    shortest
        Voxels along every axis at least: what has fewer is no tomogram, but may be a mask or a heat map.

    Raises
    ------
    InputError
        Missing, truncated, not an MRC file, a number type without grey levels, sizes that the file cannot hold,
        or an axis that is too short.
    UsageError
        `order` is no order word, or `path` no name of a file.
    ContradictionError
        ``auto``, and no axis is clearly thinnest; or a store whose metadata contradict each other.
    MissingDependency
        A store, and zarr is not installed.
    """
    path = as_path(path, "tomogram")
    if stores.split(path) is not None:
        volume = _volume(path)
        header = _checked(path, volume.header, order, voxel_size, shortest=shortest)
        return Tomogram(path, header.mrc, header.order, voxel_size, volume)
    with _reading(path) as stream:
        header = _read_header(path, stream, order, voxel_size, shortest=shortest)
        if (unpack := _unpacker(stream)) is None:
            return _with_voxels(header, stream)
        with tempfile.TemporaryFile(prefix="milopyp-") as unpacked:
            with _unpacking(path), unpack(stream) as packed:
                size = _copy(packed, unpacked, header.mrc.file_bytes)
            return _with_voxels(replace(header, mrc=_of_length(path, header.mrc, size)), unpacked)


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    """The open file; what goes wrong with it inside the block is an `InputError`."""
    try:
        if not path.is_file():
            remedy = f"Give {path}/*.mrc or an image list." if path.is_dir() else "Check the path."
            raise missing_file_error(path, "a tomogram (.mrc, .rec)", remedy)
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", where=path, remedy="Check the path and its permissions."
        ) from error


def _read_header(
    path: Path, stream: IO[bytes], order: str, voxel_size: float | None, *, shortest: int
) -> TomogramHeader:
    unpack = _unpacker(stream)
    if unpack is None:
        mrc = parse_header(path, stream.read(HEADER_BYTES))
        mrc = _of_length(path, mrc, os.fstat(stream.fileno()).st_size)
    else:
        with _unpacking(path), unpack(stream) as packed:
            mrc = parse_header(path, packed.read(HEADER_BYTES))
    return _checked(path, mrc, order, voxel_size, shortest=shortest)


def _volume(path: Path) -> ZarrVolume:
    from .zarr_volume import ZarrVolume

    return ZarrVolume(path)


def _checked(path: Path, mrc: MrcHeader, order: str, voxel_size: float | None, *, shortest: int) -> TomogramHeader:
    if min(mrc.stored_shape) < shortest:
        raise InputError(
            f"the volume has {_sizes(mrc)} voxels",
            where=path,
            expected=f"at least {shortest} along every axis",
            remedy="Give a tomogram, not an image or a crop of a few voxels.",
        )
    word = axes.resolve_order(order, mrc.stored_shape, path)
    return TomogramHeader(path, mrc, word, voxel_size)


def _with_voxels(header: TomogramHeader, stream: IO[bytes]) -> Tomogram:
    mrc = header.mrc
    stored = VoxelReader(header.path, stream, mrc.dtype, mrc.stored_shape, mrc.offset)
    return Tomogram(header.path, mrc, header.order, header.given_voxel_size, stored)


def _of_length(path: Path, mrc: MrcHeader, size: int) -> MrcHeader:
    """The header of a file of `size` bytes; one that cannot hold its voxels is refused."""
    mrc = mrc.of_length(size)
    if size < mrc.file_bytes:
        raise InputError(
            f"the file has {size} bytes",
            where=path,
            expected=f"{mrc.file_bytes} for the {_sizes(mrc)} voxels its header claims",
            remedy="The file is truncated or its header is wrong: copy it again.",
        )
    return mrc


def _sizes(mrc: MrcHeader) -> str:
    return " x ".join(map(str, reversed(mrc.stored_shape)))


def _unpacker(stream: IO[bytes]) -> Opener | None:
    """What unpacks the file from its beginning; None for one that is not packed."""
    stream.seek(0)
    start = stream.read(max(map(len, _PACKED)))
    stream.seek(0)
    return next((unpack for magic, unpack in _PACKED.items() if start.startswith(magic)), None)


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What goes wrong with a packed file inside the block is an `InputError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and is_full(error):
            raise InputError(
                f"there is no room to unpack it ({error.strerror})",
                where=path,
                expected="free space in the folder for temporary files",
                remedy="Set TMPDIR to a folder with free space.",
            ) from error
        raise InputError(
            f"cannot be unpacked ({error})", where=path, expected="a whole .gz or .bz2 file",
            remedy="Unpack it by hand, or copy it again.",
        ) from error  # fmt: skip


def _copy(packed: IO[bytes], target: IO[bytes], needed: int) -> int:
    """Unpack into `target`, never more than `needed` bytes; how many there were."""
    size = 0
    while size < needed and (block := packed.read(min(1 << 22, needed - size))):
        target.write(block)
        size += len(block)
    packed.read(1)  # the end of the packed data is where its check sum is looked at
    target.flush()
    return size
