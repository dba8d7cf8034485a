"""Loops that numba compiles, kept on disk for the next run where that can be done, else compiled anew.

The files are our own. numba reads back whatever lies where it keeps its own: what is cut short, is not its, or finds no
room ends the run, and code in which bits have changed is run. Here a kernel is read only if its digest is right and
nobody else can have written it, because what is read is run; anything else is said once and compiled.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numba

from .messages import LOGGER
from .system import user_cache

VARIABLE = "NUMBA_CACHE_DIR"
_DIGEST = hashlib.sha256().digest_size
_OTHERS_WRITE = 0o022
_USER = os.getuid() if hasattr(os, "getuid") else -1  # Windows: folders of a user are the user's
_has_spoken = False


def compiled(function: Callable[..., Any], *, fastmath: bool = False) -> Any:
    """Compile a kernel on its first call, or read it from where it is kept; it runs without the interpreter's lock."""
    dispatcher: Any = numba.njit(nogil=True, fastmath=fastmath)(function)
    dispatcher._cache = _Kept(function)  # what numba's own `cache=True` sets
    return dispatcher


def places() -> list[Path]:
    """Folders below which kernels may be kept, the best first: the one asked for, else those that numba uses."""
    chosen = getattr(numba.config, "CACHE_DIR", "")  # of NUMBA_CACHE_DIR or numba's own settings file
    if chosen:
        return [Path(chosen)]
    user = user_cache("numba")
    return [Path(__file__).parent / "__pycache__", *([user] if user else [])]


class _Kept:
    """Reads and writes the kernels of one function, one file per types of arguments and processor.

    It is what numba's dispatchers ask for kernels: an object with these methods.
    """

    cache_path = None

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def enable(self) -> None:
        """Nothing: it always is."""

    def disable(self) -> None:
        """Nothing: it never is."""

    def flush(self) -> None:
        """Nothing: stale kernels are told by their stamp."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for these types, None where it has to be compiled."""
        folder, _ = _folder()
        if folder is None:
            return None
        path = folder
        try:
            target_context.refresh()
            path = self._path(folder, sig, target_context.codegen())
            payload = _read(path, self._stamp())
            return None if payload is None else _numba("compiler").CompileResult._rebuild(target_context, *payload)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever the file holds: it can be done without
            _say_once(f"a kept kernel is compiled anew: {path} {_said(error)}")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel, if that can be done."""
        folder, obstacle = _folder()
        if getattr(data.library, "has_dynamic_globals", False):  # addresses of this process
            return None
        if folder is not None:
            try:
                return _write(self._path(folder, sig, data.codegen), self._stamp(), data._reduce())
            except Exception as error:
                obstacle = f"{folder} {_said(error)}"
        return _say_once(
            f"kernels are compiled anew every time, which takes seconds: {obstacle}; "
            f"set {VARIABLE} to a folder of your own"
        )

    def _path(self, folder: Path, sig: Any, codegen: Any) -> Path:
        function, python = self._function, sys.version_info[:2]
        text = repr((_source(function), function.__qualname__, python, sig, codegen.magic_tuple()))
        return folder / f"{function.__name__.strip('_')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.nbc"

    def _stamp(self) -> bytes:
        """What a kernel is made from: it is stale when this changes."""
        return hashlib.sha256(numba.__version__.encode() + _source(self._function).read_bytes()).digest()


def _numba(part: str) -> Any:
    """A part of numba that its users do not see: a version that has it no longer compiles anew, and that is all."""
    return import_module(f"numba.core.{part}")


def _source(function: Callable[..., Any]) -> Path:
    return Path(function.__code__.co_filename)


def _read(path: Path, stamp: bytes) -> Any:
    """What `_write` was given; None where that is stale.

    Raises
    ------
    ValueError
        The file is damaged, or may be another user's work.
    OSError
        It cannot be read.
    """
    with path.open("rb") as stream:
        state = os.fstat(stream.fileno())
        if _USER >= 0 and (state.st_uid != _USER or state.st_mode & _OTHERS_WRITE):
            raise ValueError(f"may be another user's work ({VARIABLE} chooses another folder)")
        content = stream.read()
    found, digest, payload = content[:_DIGEST], content[_DIGEST : 2 * _DIGEST], content[2 * _DIGEST :]
    if hashlib.sha256(found + payload).digest() != digest:
        raise ValueError("is damaged")
    return pickle.loads(payload) if found == stamp else None


def _write(path: Path, stamp: bytes, kernel: Any) -> None:
    """In one step, and for this user only (`atomic_write` lets others in)."""
    payload: bytes = _numba("serialize").dumps(kernel)
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(stamp + hashlib.sha256(stamp + payload).digest() + payload)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


@cache
def _folder() -> tuple[Path | None, str]:
    """The folder for kernels, this user's own, in the first place that can be written; else what is in the way."""
    obstacle = ""
    for place in places():
        folder = place / (f"milopyp_kernels_{_USER}" if _USER >= 0 else "milopyp_kernels")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            obstacle = f"{place} {_said(error)}"
        else:
            return folder, ""
    return None, obstacle


def _said(error: Exception) -> str:
    """An error as the end of a sentence about a file or folder."""
    if isinstance(error, OSError):
        return f"cannot be used ({error.strerror or error})"
    return str(error) if type(error) is ValueError else f"is damaged ({type(error).__name__})"


def _say_once(text: str) -> None:
    global _has_spoken
    if not _has_spoken:
        LOGGER.warning(text)
    _has_spoken = True
