"""Which file is it? What tells a tomogram from another one, wherever it lies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType

SAMPLES, SAMPLE = 16, 1 << 14  # blocks, evenly over the file, and bytes of each
HEADER = 1 << 12  # bytes


class FileIdentity(Struct, frozen=True):
    """What tells a file from another one, wherever it lies; of a file that is not there, the path alone.

    Attributes
    ----------
    path
        Absolute; links stay as they are.
    size, mtime_ns
        Bytes, and when it was changed last.
    sample
        SHA-256 of its header and of blocks all over it, or of all of it; records of earlier versions have none.
    """

    path: str
    size: int | UnsetType = UNSET
    mtime_ns: int | UnsetType = UNSET
    sample: str | UnsetType = UNSET

    @classmethod
    def of(cls, path: Path, *, sampled: bool = False, whole: bool = False) -> FileIdentity:
        """The file at `path`; `sampled` reads it as far as `sample` needs, of a `whole` file everything."""
        absolute = os.path.abspath(path)  # noqa: PTH100 - links stay as they are
        try:
            facts = path.stat()
            sample = _sample(path, facts.st_size, whole) if sampled else UNSET
            return cls(absolute, facts.st_size, facts.st_mtime_ns, sample)
        except OSError:
            return cls(absolute)

    def is_at(self, path: Path, *, whole: bool = False) -> bool:
        """Whether the file at `path` is this one, which may have been moved, mounted elsewhere or copied back.

        One of the same path, size and time is; where these differ, one of the same size and sample.

        Parameters
        ----------
        whole
            As it was for `of`: of files that are small and changed in places, such as masks.
        """
        now = FileIdentity.of(path)
        if now.size is UNSET or now.size != self.size:
            return False
        if (now.path, now.mtime_ns) == (self.path, self.mtime_ns):
            return True
        return self.sample is not UNSET and self.sample == FileIdentity.of(path, sampled=True, whole=whole).sample


def _sample(path: Path, size: int, whole: bool) -> str:
    with path.open("rb") as stream:
        if whole:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        found = hashlib.sha256()
        found.update(stream.read(HEADER))
        for number in range(SAMPLES):
            stream.seek(max(size - SAMPLE, 0) * number // (SAMPLES - 1))
            found.update(stream.read(SAMPLE))
    return found.hexdigest()
