"""A tomogram in OME-Zarr, wherever it is: its metadata and its array, checked; zarr is loaded only here and below."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import stores
from .errors import InputError, MilopypError, MissingDependency
from .files import missing_file_error
from .names import listed
from .ome_zarr import METADATA, Image, Level, is_image, read_image
from .urls import Url

if TYPE_CHECKING:
    from zarr import Array, Group
    from zarr.abc.store import Store

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
        Where to read what `path` says; None: it is on disk, or at its URL.

    Raises
    ------
    MissingDependency
        zarr is not installed.
    InputError, ContradictionError
        It cannot be read, or is no image of OME-Zarr; see `milopyp_shared.ome_zarr`.
    """
    with reading(path):
        inside = _inside(path)
        group, level = _find_group(store or _store(path), inside, path)
        image = read_image(dict(group.attrs), path)
        if not level:
            return OpenImage(path, group, image, None)
        paths = [one.path for one in image.levels]
        if level not in paths:
            raise InputError(
                f"has no level {level!r}", where=path, expected=f"one of {', '.join(paths)} behind the image's path"
            )
        return OpenImage(path, group, image, paths.index(level))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong with a store inside the block is an `InputError`."""
    try:
        yield
    except (MilopypError, MemoryError):
        raise
    except OSError as error:
        if not stores.is_there(path):
            raise missing_file_error(stores.outer(path), "a tomogram (.zarr, .zarr.zip)", "Check the path.") from error
        how = "Check its name, or try again later." if isinstance(path, Url) else "Check the path and its permissions."
        raise InputError(
            f"cannot be read ({error.strerror or error})", where=path, expected="a store that is there", remedy=how
        ) from error
    except zipfile.BadZipFile as error:
        raise InputError(
            f"cannot be read ({error})", where=path, expected="a whole zip file", remedy="Copy it again."
        ) from error
    except Exception as error:  # zarr has no class for what is wrong with metadata
        raise InputError(
            f"has metadata that zarr cannot use ({words_of(error)})", where=path, expected=METADATA,
            remedy="Write it with a compressor and a number type that zarr has.",
        ) from error  # fmt: skip


def _store(path: Path) -> Store:
    store = stores.outer(path)
    if isinstance(store, Url):
        try:
            from .remote_store import open_remote

            return open_remote(store)
        except ImportError as error:
            raise _missing(error, path, "remote", "zarr and fsspec with aiohttp and s3fs, for URLs") from error
    try:
        from zarr.storage import LocalStore, ZipStore
    except ImportError as error:
        raise _missing(error, path, "zarr", "the package zarr, for OME-Zarr") from error
    store.stat()
    return ZipStore(store, mode="r") if store.is_file() else LocalStore(store, read_only=True)


def _missing(error: ImportError, path: Path, extra: str, expected: str) -> MissingDependency:
    name = (error.name or "s3fs").split(".")[0]
    return MissingDependency(
        f"{name} is not installed", where=path, expected=expected, remedy=f"Run: pip install 'milopyp[{extra}]'."
    )


def _inside(path: Path) -> str:
    found = stores.split(path)
    return "" if found is None else found.inside


def _find_group(store: Store, inside: str, path: Path) -> tuple[Group, str]:
    """The group of an image at or above `inside`, and what follows it."""
    words = inside.split("/") if inside else []
    nearest: Group | None = None
    for count in range(len(words), -1, -1):
        group = _group(store, "/".join(words[:count]))
        if group is not None and is_image(dict(group.attrs)):
            return group, "/".join(words[count:])
        nearest = nearest or group
    refused = ", and what is there may not be read" if getattr(store, "refused", False) else ""
    raise InputError(f"holds no multiscales{_instead(nearest)}{refused}", where=path, expected=METADATA)


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
    if not group.store.supports_listing:
        return ""
    found = [
        *(f"the array {name}" for name in group.array_keys()),
        *(f"the group {name}" for name in group.group_keys()),
    ]
    some = ", ".join(sorted(found)[:_SOME]) + (" ..." if len(found) > _SOME else "")
    return f", but {some}" if found else ""


def array_of(opened: OpenImage) -> Array[Any]:
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


def words_of(error: BaseException) -> str:
    """In one line."""
    return " ".join(str(error).split()) or type(error).__name__
