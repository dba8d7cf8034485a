"""Write to a temporary name in the same folder, then rename: a reader sees the old file or the new one."""

from __future__ import annotations

import contextlib
import errno
import glob
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FullDiskError, InputError, MilopypError
from .urls import refuse_writing

SUFFIX = ".part"


@contextmanager
def atomic_write(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `target`; rename it to `target` when the block succeeds.

    The temporary file ends in ``.part``; when the block raises it is removed and `target` stays as it was.

    Raises
    ------
    InputError
        The folder of `target` cannot be made or written.
    FullDiskError
        No space is left.
    """
    target = Path(target)
    make_folder(target.parent)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{SUFFIX}")
    try:
        part.touch(exist_ok=False)  # with the rights of any new file: network shares refuse to change them afterwards
    except OSError as error:
        raise write_error(target.parent, error) from error
    try:
        yield part
        part.replace(target)
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(target: str | Path, text: str) -> None:
    """Write UTF-8 `text` to `target` in one step."""
    with atomic_write(target) as part:
        part.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents; an `InputError` says why it cannot be made, a `UsageError` that it is a URL."""
    refuse_writing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def remove_leftovers(folder: Path, name: str | None = None, older_than: float = 0.0) -> None:
    """Remove the ``.part`` files of the file `name`, or of all, that a killed run has left in `folder`.

    Parameters
    ----------
    older_than
        Seconds: younger ones may belong to a process that is still at work.
    """
    for part in folder.glob(f".{glob.escape(name)}.*{SUFFIX}" if name else f".*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime >= older_than:
                part.unlink()


def is_full(error: OSError) -> bool:
    """Whether an error says that no space is left: on the disk, of the user's part of it, or for one file."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_error(path: Path, error: OSError) -> MilopypError:
    """The error to raise for one of writing to `path`."""
    if is_full(error):
        return FullDiskError(
            f"cannot be written ({error.strerror})",
            where=path,
            expected="free space",
            remedy="Make room and repeat the command: what is finished stays.",
        )
    return InputError(
        f"cannot be written ({error.strerror or error})",
        where=path,
        expected="a writable folder",
        remedy="Choose another output place.",
    )
