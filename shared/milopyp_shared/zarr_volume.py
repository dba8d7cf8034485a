"""The voxels of a tomogram in OME-Zarr, read by whole chunks with the zarr library, which is loaded only here."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import stores
from .errors import InputError, MilopypError, MissingDependency, is_out_of_memory
from .files import missing_file_error
from .imod_header import FURTHEST, Placement, Three
from .mrc import MrcHeader
from .names import listed
from .ome_zarr import METADATA, Image, Level, is_image, read_image
from .scratch_array import scratch_array

if TYPE_CHECKING:
    from zarr import Array, Group
    from zarr.abc.store import Store

_IN_MEMORY = 32 << 20  # bytes of decoded chunks; more are kept on a temporary file
_AT_ONCE = 8 << 20  # bytes that are decoded in one go
_MOST = 10**12  # voxels: more is no size of a tomogram, whatever the metadata say
_SOME = 3  # names that a message lists
# Codecs of numbers. Others are refused before a chunk is decoded, whatever is installed: one of them, called pickle,
# runs what a file says.
_CODECS = {
    *("bytes", "endian", "transpose", "sharding_indexed", "blosc", "gzip", "zstd", "zlib", "bz2", "lzma", "lz4"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
    *("delta", "shuffle", "bitround", "fixedscaleoffset", "quantize", "packbits", "astype", "zfpy", "pcodec"),
}


@dataclass(frozen=True)
class OpenImage:
    """The metadata of a tomogram in a store.

    Attributes
    ----------
    path
        As it was given.
    group
        That of the image.
    named
        Number of the level that the path names; None where it names the image.
    """

    path: Path
    group: Group
    image: Image
    named: int | None

    @property
    def level(self) -> Level:
        """That is read."""
        return self.image.levels[self.named or 0]

    def path_of(self, level: int) -> Path:
        """The path that names a level, where there are several."""
        several = self.named is None and len(self.image.levels) > 1
        return self.path / self.image.levels[level].path if several else self.path


def open_image(path: Path, store: Store | None = None) -> OpenImage:
    """The metadata of a tomogram.

    Parameters
    ----------
    path
        A store, or what is meant inside it: an image's group, or the array of one of its levels.
    store
        Where to read what `path` says; None: it is on disk.

    Raises
    ------
    MissingDependency
        zarr is not installed.
    InputError, ContradictionError
        It cannot be read, or is no image of OME-Zarr; see `milopyp_shared.ome_zarr`.
    """
    with _reading(path):
        inside = _inside(path)
        group, level = _find_group(store or _local(path), inside, path)
        image = read_image(dict(group.attrs), path)
        if not level:
            return OpenImage(path, group, image, None)
        paths = [one.path for one in image.levels]
        if level not in paths:
            raise InputError(
                f"has no level {level!r}", where=path, expected=f"one of {', '.join(paths)} behind the image's path"
            )
        return OpenImage(path, group, image, paths.index(level))


class ZarrVolume:
    """The voxels of a level, as if they were in an MRC file: `milopyp_shared.voxel_reader.Voxels`.

    Whole chunks are read, as many at a time as lie beside each other, and the last ones are kept.

    Attributes
    ----------
    header
        What an MRC header would say.
    """

    def __init__(self, path: Path, store: Store | None = None, facts: Callable[[], object] | None = None) -> None:
        """Open a level; parameters and errors are those of `open_image`, and the array's own.

        Parameters
        ----------
        facts
            What is another once somebody has written to it; None: the files on disk.
        """
        self._path, self._ask = path, facts or partial(_files, path)
        with _reading(path):
            self._facts = self._ask()
            opened = open_image(path, store)
            self._array, self._zyx = _array(opened), opened.image.zyx
        self.header = _header(opened.level, self._array, self._zyx)
        self._kept: tuple[int, int, NDArray[Any]] | None = None  # axis, first slice, slices

    def read_slices(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices ``first <= i < last`` across an axis (z, y, x), not to be written to.

        Raises
        ------
        InputError
            A chunk is damaged, cannot be read, or has changed.
        """
        size, thick = self.header.stored_shape[axis], self._array.chunks[self._zyx[axis]]
        first, last, _ = slice(first, last).indices(size)
        last = max(first, last)
        kept = self._kept
        if kept is None or kept[0] != axis or not kept[1] <= first <= last <= kept[1] + kept[2].shape[axis]:
            start, end = first // thick * thick, min(-(-last // thick) * thick, size)
            kept = self._kept = (axis, start, self._whole_chunks(axis, start, end))
        inside: list[slice] = [slice(None)] * 3
        inside[axis] = slice(first - kept[1], last - kept[1])
        return kept[2][tuple(inside)]

    def mapped(self) -> NDArray[Any]:
        """A copy of all voxels on a temporary file."""
        copy = scratch_array(self.header.stored_shape, self.header.dtype)
        thick = self._array.chunks[self._zyx[0]]
        for first in range(0, len(copy), thick):
            copy[first : first + thick] = self.read_slices(0, first, first + thick)
        return copy

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the store has been written to since it was opened."""
        with _reading(self._path):
            now = self._ask()
        if now != self._facts:
            raise InputError(
                "has changed while it was read", where=self._path, expected="a store that nothing writes to",
                remedy="Repeat it when the store is complete.",
            )  # fmt: skip

    def _whole_chunks(self, axis: int, first: int, last: int) -> NDArray[Any]:
        """Slices between the faces of chunks; those that are kept already are not decoded again."""
        seen, self._kept = self._kept, None
        known = 0
        if seen is not None and seen[0] == axis and seen[1] <= first < seen[1] + seen[2].shape[axis]:
            known = seen[1] + seen[2].shape[axis] - first
        else:
            seen = None  # its memory is free before more is taken
        shape = list(self.header.stored_shape)
        shape[axis] = last - first
        block = self._room(shape)
        if seen is not None:
            _along(block, axis, 0, known)[...] = _along(seen[2], axis, first - seen[1], known)
        self._fill(_along(block, axis, known, last - first - known), axis, first + known)
        return block

    def _room(self, shape: list[int]) -> NDArray[Any]:
        dtype = self.header.dtype
        if math.prod(shape) * dtype.itemsize > _IN_MEMORY:
            return scratch_array(tuple(shape), dtype)
        return np.empty(shape, dtype)

    def _fill(self, block: NDArray[Any], axis: int, first: int) -> None:
        """Decode slices from `first` on, some rows of chunks at a time."""
        across = 0 if axis else 1
        thick = self._array.chunks[self._zyx[across]]
        at_once = max(_AT_ONCE * block.shape[across] // (max(block.nbytes, 1) * thick), 1) * thick
        try:
            for begin in range(0, block.shape[across], at_once):
                piece, start = _along(block, across, begin, at_once), [0, 0, 0]
                start[axis], start[across] = first, begin
                piece[...] = self._read(start, piece.shape)
        except Exception as error:  # every codec has errors of its own
            if isinstance(error, MilopypError) or is_out_of_memory(error):
                raise
            self.raise_if_modified()
            raise self._damaged(axis, first, block.shape, error) from error

    def _read(self, start: list[int], shape: tuple[int, ...]) -> NDArray[Any]:
        cut = [slice(0, 1)] * self._array.ndim
        for axis, begin, size in zip(self._zyx, start, shape, strict=True):
            cut[axis] = slice(begin, begin + size)
        found = np.asarray(self._array[tuple(cut)])
        others = [axis for axis in range(found.ndim) if axis not in self._zyx]
        return found.transpose(*others, *self._zyx).reshape(shape)

    def _damaged(self, axis: int, first: int, shape: tuple[int, ...], error: Exception) -> InputError:
        """Which chunk it is, and why it cannot be decoded."""
        thick = [self._array.chunks[own] for own in self._zyx]
        place = "?"
        for corner in np.ndindex(*(-(-size // own) for size, own in zip(shape, thick, strict=True))):
            start = [number * own for number, own in zip(corner, thick, strict=True)]
            start[axis] += first
            ends = zip(start, thick, self.header.stored_shape, strict=True)
            try:
                self._read(start, tuple(min(begin + own, size) - begin for begin, own, size in ends))
            except Exception as own_error:
                error, place = own_error, ", ".join(map(str, start))
                break
        return InputError(
            f"the chunk that begins at z, y, x = {place} cannot be decoded ({_words(error)})",
            where=self._path, expected="whole chunks, of a compressor that zarr knows", remedy="Copy it again.",
        )  # fmt: skip


def store_doubts(path: Path) -> list[str]:
    """One sentence, with its W number, for everything in a store that is not taken as it stands; none of files.

    Raises
    ------
    MilopypError
        As `open_image`.
    """
    if stores.split(path) is None:
        return []
    with _reading(path):
        opened = open_image(path)
        array = _array(opened)
        absent, doubts = array.nchunks - array.nchunks_initialized, []
    if absent > 0:
        doubts.append(
            f"W16 {absent} of {array.nchunks} chunks are not in the store: their voxels are read as its fill value, "
            f"{array.fill_value!s} (is the copy complete?)"
        )
    if opened.level.voxel_size is None and set(opened.level.scale) != {1.0}:
        doubts.append(
            "W17 the axes have no unit: the scales of the store are left aside (--voxel-size says the voxel size)"
        )
    return doubts


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong with a store inside the block is an `InputError`."""
    try:
        yield
    except (MilopypError, MemoryError):
        raise
    except OSError as error:
        if not stores.is_there(path):
            raise missing_file_error(stores.outer(path), "a tomogram (.zarr, .zarr.zip)", "Check the path.") from error
        raise InputError(
            f"cannot be read ({error.strerror or error})", where=path, expected="a store that is there",
            remedy="Check the path and its permissions.",
        ) from error  # fmt: skip
    except zipfile.BadZipFile as error:
        raise InputError(
            f"cannot be read ({error})", where=path, expected="a whole zip file", remedy="Copy it again."
        ) from error
    except Exception as error:  # zarr has no class for what is wrong with metadata
        raise InputError(
            f"has metadata that zarr cannot use ({_words(error)})", where=path, expected=METADATA,
            remedy="Write it with a compressor and a number type that zarr has.",
        ) from error  # fmt: skip


def _local(path: Path) -> Store:
    try:
        from zarr.storage import LocalStore, ZipStore
    except ImportError as error:
        raise MissingDependency(
            f"{(error.name or 'zarr').split('.')[0]} is not installed",
            where=path, expected="the package zarr, for OME-Zarr",
            remedy="Run: pip install 'milopyp[zarr]'.",
        ) from error  # fmt: skip
    store = stores.outer(path)
    store.stat()
    return ZipStore(store, mode="r") if store.is_file() else LocalStore(store, read_only=True)


def _inside(path: Path) -> str:
    found = stores.split(path)
    return "" if found is None else found.inside


def _files(path: Path) -> object:
    return [(name, facts.st_size, facts.st_mtime_ns) for name, facts in stores.files(path)]


def _find_group(store: Store, inside: str, path: Path) -> tuple[Group, str]:
    """The group of an image at or above `inside`, and what follows it."""
    words = inside.split("/") if inside else []
    nearest: Group | None = None
    for count in range(len(words), -1, -1):
        group = _group(store, "/".join(words[:count]))
        if group is not None and is_image(dict(group.attrs)):
            return group, "/".join(words[count:])
        nearest = nearest or group
    raise InputError(f"holds no multiscales{_instead(nearest)}", where=path, expected=METADATA)


def _group(store: Store, inside: str) -> Group | None:
    import zarr
    from zarr.errors import ContainsArrayError, NodeTypeValidationError

    for zarr_format in (3, 2):
        try:
            return zarr.open_group(store, path=inside, mode="r", zarr_format=zarr_format, use_consolidated=False)
        except (FileNotFoundError, ContainsArrayError, NodeTypeValidationError):
            continue
    return None


def _instead(group: Group | None) -> str:
    """What a group holds, where it is no image."""
    if group is None:
        return ", and is no group of Zarr"
    found = [
        *(f"the array {name}" for name in group.array_keys()),
        *(f"the group {name}" for name in group.group_keys()),
    ]
    some = ", ".join(sorted(found)[:_SOME]) + (" ..." if len(found) > _SOME else "")
    return f", but {some}" if found else ""


def _array(opened: OpenImage) -> Array[Any]:
    """The array of the level that is read.

    Raises
    ------
    InputError
        There is none, or one that cannot be a tomogram.
    """
    from zarr import Array

    array = opened.group.get(opened.level.path)
    if not isinstance(array, Array):
        raise InputError(
            f"has no array {opened.level.path!r}", where=opened.path, expected="all that its multiscales name"
        )
    if foreign := sorted(set(_codecs(array.metadata.to_dict())) - _CODECS):
        raise InputError(
            f"is written with {listed(foreign)}",
            where=opened.path, expected="codecs of numbers, such as blosc or zstd", remedy="Write it with another one.",
        )  # fmt: skip
    if array.ndim != opened.image.dimensions:
        raise InputError(
            f"the array {opened.level.path} has {array.ndim} axes",
            where=opened.path, expected=f"the {opened.image.dimensions} that its multiscales name",
        )  # fmt: skip
    if any(size > 1 for axis, size in enumerate(array.shape) if axis not in opened.image.zyx):
        sizes = " x ".join(map(str, array.shape))
        raise InputError(
            f"{sizes} voxels, of several times or channels", where=opened.path, expected="one time and one channel"
        )
    if math.prod(array.shape) >= _MOST:
        sizes = " x ".join(map(str, array.shape))
        raise InputError(f"{sizes} voxels", where=opened.path, expected="a tomogram, fewer than 10^12 voxels")
    if array.dtype.kind not in "iuf":
        raise InputError(
            f"numbers of type {array.dtype}", where=opened.path, expected="integers or floating-point numbers"
        )
    return array


def _codecs(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Names of all codecs in an array's metadata, those inside of others, too."""
    lists = [metadata.get(key) or () for key in ("filters", "codecs", "index_codecs")]
    for codec in (*lists[0], metadata.get("compressor"), *lists[1], *lists[2]):
        if codec is not None:
            yield str(codec.get("id", codec.get("name"))).removeprefix("numcodecs.")
            yield from _codecs(codec.get("configuration") or {})


def _header(level: Level, array: Array[Any], zyx: tuple[int, int, int]) -> MrcHeader:
    z, y, x = (array.shape[axis] for axis in zyx)
    return MrcHeader((z, y, x), array.dtype, placement=Placement(level.voxel_size, _origin(level, (x, y, z))))


def _origin(level: Level, size: tuple[int, int, int]) -> Three | None:
    """That of the metadata; None where it is no place, see `milopyp_shared.imod_header.Placement`."""
    longest = max(count * voxel for count, voxel in zip(size, level.voxel_size or (1.0, 1.0, 1.0), strict=True))
    return level.origin if max(map(abs, level.origin)) <= FURTHEST * longest else None


def _along(block: NDArray[Any], axis: int, first: int, count: int) -> NDArray[Any]:
    return block[(slice(None),) * axis + (slice(first, first + count),)]


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
