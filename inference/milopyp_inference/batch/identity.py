"""Which file is it? What tells a tomogram from another one, wherever it lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType

from milopyp_shared import stores
from milopyp_shared.errors import MilopypError
from milopyp_shared.store_facts import remote_facts
from milopyp_shared.urls import Url

SAMPLES, SAMPLE = 16, 1 << 14  # blocks, evenly over the file, and bytes of each
HEADER = 1 << 12  # bytes
METADATA = ("zarr.json", ".zarray", ".zattrs")  # of a store, which are read whole


class FileIdentity(Struct, frozen=True):
    """What tells a file, or a store, from another one, wherever it lies; of one that is not there, the path alone.

    Attributes
    ----------
    path
        Absolute; links stay as they are.
    size, mtime_ns
        Bytes, and when it, or one of the files of a store, was changed last. Of a URL, bytes of the chunks that are
        looked at, and no time.
    sample
        SHA-256 of its header and of blocks all over it, or of all of it; records of earlier versions have none. Of a
        store, of the names and sizes of its files, and of the beginnings of some; of a URL see `remote_facts`.
    """

    path: str
    size: int | UnsetType = UNSET
    mtime_ns: int | UnsetType = UNSET
    sample: str | UnsetType = UNSET

    @classmethod
    def of(cls, path: Path, *, sampled: bool = False, whole: bool = False) -> FileIdentity:
        """The file at `path`; `sampled` reads it as far as `sample` needs, of a `whole` file everything.

        Raises
        ------
        MilopypError
            A URL, `sampled`, that cannot be read; without `sampled` no host is asked.
        """
        place = absolute(path)
        if isinstance(path, Url):
            return _of_url(path) if sampled else cls(place)
        try:
            files = stores.files(path)
            size, changed = sum(own.st_size for _, own in files), max(own.st_mtime_ns for _, own in files)
            sample = _sample(path, files, whole) if sampled else UNSET
            return cls(place, size, changed, sample)
        except OSError:
            return cls(place)

    def is_at(self, path: Path, *, whole: bool = False) -> bool:
        """Whether the file at `path` is this one, which may have been moved, mounted elsewhere or copied back.

        One of the same path, size and time is; where these differ, one of the same size and sample.

        Parameters
        ----------
        whole
            As it was for `of`: of files that are small and changed in places, such as masks.
        """
        if isinstance(path, Url):
            return self._is_at_url(path)
        now = FileIdentity.of(path)
        if now.size is UNSET or now.size != self.size:
            return False
        if (now.path, now.mtime_ns) == (self.path, self.mtime_ns):
            return True
        return self.sample is not UNSET and self.sample == FileIdentity.of(path, sampled=True, whole=whole).sample

    def _is_at_url(self, url: Url) -> bool:
        try:
            now = _of_url(url)
        except MilopypError:  # said when it is to be read
            return False
        return (now.size, now.sample) == (self.size, self.sample)


def absolute(path: Path) -> str:
    """As `FileIdentity.path` has it, without a look at the file; links stay as they are."""
    return str(path) if isinstance(path, Url) else os.path.abspath(path)  # noqa: PTH100


def _of_url(url: Url) -> FileIdentity:
    size, sample = remote_facts(url)
    return FileIdentity(str(url), size, sample=sample)


def _sample(path: Path, files: Sequence[tuple[str, os.stat_result]], whole: bool) -> str:
    if (store := stores.split(path)) is None:
        return _sample_of_file(path, whole)
    if store.is_zip:
        return hashlib.sha256(f"{_sample_of_file(store.store, whole)} {store.inside}".encode()).hexdigest()
    found = hashlib.sha256("\n".join(f"{name} {facts.st_size}" for name, facts in files).encode())
    some = [files[len(files) * number // SAMPLES][0] for number in range(SAMPLES)]
    for name in [name for name, _ in files if whole or name in some or name.endswith(METADATA)]:
        with (store.store / name).open("rb") as stream:
            found.update(stream.read(-1 if whole or name.endswith(METADATA) else SAMPLE))
    return found.hexdigest()


def _sample_of_file(path: Path, whole: bool) -> str:
    with path.open("rb") as stream:
        if whole:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        found, size = hashlib.sha256(), os.fstat(stream.fileno()).st_size
        found.update(stream.read(HEADER))
        for number in range(SAMPLES):
            stream.seek(max(size - SAMPLE, 0) * number // (SAMPLES - 1))
            found.update(stream.read(SAMPLE))
    return found.hexdigest()
