"""Stores on the web or in S3, read with fsspec; zarr and fsspec are loaded here, so that others must load this late.

Objects are read whole, several at a time. Whatever may go away by itself (no connection, nothing for some time, 429, an
answer of 500 and above) is tried again, after each of `WAITS`; then it is a `RemoteError`, and the host is asked once
only until it answers.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

import aiohttp
import fsspec
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, WrapperStore

from .urls import RemoteError, Url

WAITS = (0.5, 1.0, 2.0)  # seconds before the second, third, .. attempt
CONNECT, SILENT = 10.0, 60.0  # seconds for a connection, and without a byte
_BUSY = (408, 425, 429)  # beside 500 and above
_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs")

_given_up: set[str] = set()  # hosts

Found = TypeVar("Found")


class RemoteStore(WrapperStore[FsspecStore]):
    """A store that is somewhere else.

    Attributes
    ----------
    metadata
        SHA-256 of the metadata that were read, by key.
    absent
        Keys of chunks that were asked for and are not there.
    refused
        Whether metadata may not be read: that is what some buckets say of what is not there, too.
    """

    def __init__(self, store: FsspecStore, host: str = "") -> None:
        super().__init__(store)
        self._host = host
        self.metadata: dict[str, str] = {}
        self.absent: set[str] = set()
        self.refused = False

    @property
    def supports_listing(self) -> bool:
        """Whether what is there can be asked for: pages of web servers are no lists."""
        return not isinstance(self._store.fs, fsspec.get_filesystem_class("http"))

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """An object, or some bytes of it; None where there is none."""
        about = key.endswith(_METADATA)
        try:
            found = await _patiently(self._host, lambda: self._store.get(key, prototype, byte_range))
        except PermissionError as error:
            if not about:
                raise RemoteError(str(error)) from error
            found, self.refused = None, True
        if found is None:
            self.absent |= set() if about else {key}
            return None
        if about:
            self.metadata[key] = hashlib.sha256(found.to_bytes()).hexdigest()
        return _cut(found, byte_range)

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Keys that begin so."""

        async def ask() -> list[str]:
            return [key async for key in self._store.list_prefix(prefix)]

        for key in await _patiently(self._host, ask):
            yield key

    def facts_of(self, keys: list[str]) -> list[tuple[int, str]]:
        """Of objects, bytes and what tells that they have changed, if the server says: ``ETag``, or the time."""

        async def ask() -> list[tuple[int, str]]:
            return await asyncio.gather(*(self._facts(key) for key in keys))

        return sync(ask())

    async def _facts(self, key: str) -> tuple[int, str]:
        fs, path = self._store.fs, f"{self._store.path}/{key}"
        try:
            if self.supports_listing:
                info = await _patiently(self._host, lambda: fs._info(path))
                return int(info.get("size") or 0), str(info.get("ETag"))
            return await _patiently(self._host, lambda: _head(fs, path))
        except (FileNotFoundError, PermissionError):
            return 0, ""


def open_remote(url: Url) -> RemoteStore:
    """The store at a URL, which nobody has contacted yet."""
    path = "/".join(url.parts[1:]) if url.scheme == "s3" else str(url)
    return RemoteStore(FsspecStore(_filesystem(url.scheme), read_only=True, path=path), url.host)


@cache
def _filesystem(scheme: str) -> Any:
    """One for the process: connections are kept, and closed at its end."""
    own: dict[str, Any] = {"asynchronous": True, "skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        if fsspec.config.conf.get("s3", {}).get("anon") is None:
            own["anon"] = not _has_credentials()
        config = {"connect_timeout": CONNECT, "read_timeout": SILENT, "retries": {"max_attempts": 0}}
        fs = fsspec.filesystem("s3", config_kwargs=config, max_concurrency=1, **own)
        fs.retries = 1
    else:
        times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENT)
        fs = fsspec.filesystem(scheme, client_kwargs={"timeout": times}, **own)
    atexit.register(_close, fs)
    return fs


def _has_credentials() -> bool:
    """Whether there are any for S3, where the AWS tools look for them."""
    from botocore.session import Session

    return Session().get_credentials() is not None


def _close(fs: Any) -> None:
    """Close connections before the loop that they belong to ends."""
    session = getattr(fs, "_session", None)
    creator = getattr(fs, "_s3creator", None)
    if creator is not None:
        sync(creator.__aexit__(None, None, None))
    elif session is not None:
        sync(session.close())


async def _head(fs: Any, url: str) -> tuple[int, str]:
    session = await fs.set_session()
    async with session.head(fs.encode_url(url), allow_redirects=True) as answer:
        if answer.status == 404:
            raise FileNotFoundError(url)
        if answer.status in (405, 501):  # a server that answers GET only says nothing
            return 0, "unsaid"
        answer.raise_for_status()
        says = answer.headers
        return int(says.get("Content-Length", 0)), says.get("ETag") or says.get("Last-Modified") or "unsaid"


async def _patiently(host: str, ask: Callable[[], Awaitable[Found]]) -> Found:
    """What `ask` finds, which is tried again where that may help.

    Raises
    ------
    FileNotFoundError
        There is nothing.
    PermissionError
        It may not be read.
    RemoteError
        It cannot be read, with the reason in words.
    """
    waits: tuple[float, ...] = () if host in _given_up else WAITS
    for wait in (*waits, None):
        try:
            found = await ask()
            _given_up.discard(host)
            return found
        except FileNotFoundError:
            raise
        except Exception as error:
            if _status(error) == 403 or isinstance(error, PermissionError):
                raise PermissionError(_reason(error)) from error
            if not _may_pass(error):
                raise RemoteError(_reason(error)) from error
            if wait is None:
                _given_up.add(host)
                times = f", {len(waits) + 1} times" if waits else ""
                raise RemoteError(f"{_reason(error)}{times}") from error
            await asyncio.sleep(wait)
    raise AssertionError  # the last attempt has returned or raised


def _may_pass(error: BaseException) -> bool:
    status = _status(error)
    if status is not None:
        return status >= 500 or status in _BUSY
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.InvalidURL)):
        return False
    kinds = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError, ConnectionError)
    return isinstance(error, kinds) or type(error).__name__ in (
        "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError",
        "IncompleteReadError", "ResponseStreamingError", "HTTPClientError",
    )  # fmt: skip


def _status(error: BaseException) -> int | None:
    """What the server has answered; s3fs keeps it behind an `OSError`."""
    for each in (error, error.__cause__):
        answer = getattr(each, "response", None)
        if isinstance(answer, dict):
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status if isinstance(status, int) else None
        if isinstance(each, aiohttp.ClientResponseError):
            return each.status
    return None


def _reason(error: BaseException) -> str:
    """In a few words, without the address, which the message has."""
    if (status := _status(error)) is not None:
        return f"the server answers {status}"
    if isinstance(error, asyncio.TimeoutError):
        return f"no answer within {SILENT:.0f} s"
    return " ".join(str(error).split()) or type(error).__name__


def _cut(found: Buffer, byte_range: ByteRequest | None) -> Buffer:
    """The bytes that were asked for, of a server that has sent the whole object."""
    match byte_range:
        case RangeByteRequest(start, end) if len(found) > end - start:
            return found[start:end]
        case SuffixByteRequest(suffix) if len(found) > suffix:
            return found[len(found) - suffix :]
        case _:
            return found
