"""What not every system has, and what is done there instead. Linux is what is supported; elsewhere picking works."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from . import cpu

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]

_BLOCK = 1 << 24  # bytes that are read or written at once where the system's own call is missing
_seeking = threading.Lock()


def allowed_threads() -> int:
    """Threads that this process may use: its CPU affinity, which clusters restrict, and the CPU time of containers."""
    quota = cpu.quota()
    return affinity() if quota is None else max(min(affinity(), math.ceil(quota)), 1)


def affinity() -> int:
    """CPUs on which this process may run; all where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_mib() -> int:
    """The most memory that this process has held, mapped pages of files included; 0 where the system does not say."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10


def user_cache(name: str) -> Path | None:
    """Where a program called `name` keeps what it can make again; None for a user without a home folder."""
    from platformdirs import user_cache_path

    try:
        found = user_cache_path(name, appauthor=False)
    except RuntimeError:
        return None
    return found if found.is_absolute() else None  # older versions of platformdirs leave "~" as it is


def lock(stream: IO[bytes]) -> bool:
    """Lock an open file until it is closed or the process ends; False where another process has locked it.

    Where files cannot be locked (some network file systems, Windows) nothing is, and every process is told that it has.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def reserve(stream: IO[bytes], size: int) -> None:
    """Give an empty file `size` bytes of zeros, and the disk's space for them.

    Raises
    ------
    OSError
        There is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), 0, size)
        return
    for start in range(0, size, _BLOCK):
        stream.write(bytes(min(size - start, _BLOCK)))
    stream.flush()


def read_at(handle: int, target: memoryview, place: int) -> int:
    """Read bytes of an open file from `place` on, as many as fit into `target` or fewer; how many there were."""
    if hasattr(os, "preadv"):
        return os.preadv(handle, [target], place)
    with _seeking:
        os.lseek(handle, place, os.SEEK_SET)
        found = os.read(handle, min(len(target), _BLOCK))
    target[: len(found)] = found
    return len(found)


def ending_signals() -> list[signal.Signals]:
    """Signals that ask a command to end; the second one comes when a terminal is closed."""
    return [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
