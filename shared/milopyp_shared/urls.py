"""URLs of tomograms: paths that are no files, and keep the two slashes that `pathlib` would take for one.

``https://HOST/TS_01.zarr`` and ``s3://BUCKET/TS_01.zarr`` are stores, and what follows means the same as behind those
on disk. Whatever a person or a list has written becomes a path by `to_path`. Nothing here contacts a host.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import InputError, UsageError

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())

SCHEMES = ("https", "http", "s3")
EXPECTED = "https://HOST/PATH.zarr, http://HOST/PATH.zarr or s3://BUCKET/PATH.zarr"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_SECRET = re.compile(r"(?<=://)[^/@\s]*@|[?#]\S*")


class RemoteError(OSError):
    """What is at a URL cannot be read, and why; it is no sign of damage."""


class Url(_Path):
    """A path whose first part is a scheme, the second one a host or bucket."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def absolute(self) -> Url:
        """Itself."""
        return self

    @property
    def scheme(self) -> str:
        """One of `SCHEMES`."""
        return self.parts[0].removesuffix(":")

    @property
    def host(self) -> str:
        """Where it lies: scheme, host and port, or the bucket."""
        return f"{self.scheme}://{self.parts[1]}"


def to_path(text: str | os.PathLike[str]) -> Path:
    """The path that `text` names, on disk or elsewhere.

    Raises
    ------
    TypeError
        It is neither text nor a path.
    InputError
        A URL of which nothing is read: with a password or a query, which would be written into records; of another
        scheme; of no store.
    """
    if isinstance(text, Url):
        return text
    text = os.fspath(text)
    if not is_url(text):
        return Path(text)
    scheme, where = text.partition("://")[0].lower(), without_secrets(text)
    if scheme not in SCHEMES:
        raise InputError("is a URL of another kind", where=where, expected=EXPECTED)
    if where != text:
        raise InputError(
            "a URL with a name, password, query or fragment", where=where,
            expected="one without, since it is written into lists, records and logs",
            remedy="For s3, credentials are found as the AWS tools find them (AWS_PROFILE, ~/.aws).",
        )  # fmt: skip
    url = Url(f"{scheme}:", *(word for word in text.partition("://")[2].split("/") if word))
    names = [name.lower() for name in url.parts[2:]]
    if not text.isprintable() or not any(name.endswith(".zarr") for name in names) or not _has_host(text):
        raise InputError(
            "is no URL of a store", where=where, expected=f"OME-Zarr in chunks that can be read one by one: {EXPECTED}",
            remedy="Download other files.",
        )  # fmt: skip
    return url


def _has_host(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number of a port
        return False


def is_url(text: str) -> bool:
    """Whether text is a URL, of whatever kind."""
    return _URL.match(text) is not None


def without_secrets(text: str) -> str:
    """A URL without what could be a password: user, query and fragment; other text as it is."""
    return _SECRET.sub("", text) if is_url(text) else text


def refuse_writing(target: str | Path) -> None:
    """Refuse to write to a URL, which `pathlib` would take for a folder called ``https:``.

    Raises
    ------
    UsageError
        `target` is one.
    """
    first = Path(target).parts[:1]
    if isinstance(target, Url) or (first and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]+:", first[0])):
        text = re.sub(":/+", "://", str(target), count=1)
        raise UsageError(
            "is a URL", where=without_secrets(text), expected="a file or folder on disk: nothing is written elsewhere"
        )
