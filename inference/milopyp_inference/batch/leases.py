"""Leases: who works on which tomogram, between processes and hosts that share a folder, without any service.

A lease is a file, NAME.claim, that only one process can create. Its owner touches it every so often; one whose owner is
gone is taken over: at once when the owner was a process of this host, else when it has not been touched for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from pathlib import Path

from milopyp_shared.atomic import is_full, remove_leftovers, write_error

TOUCHED_EVERY = 20.0  # seconds
STALE_AFTER = 180.0
SUFFIX = ".claim"


class Leases:
    """The leases of this process; as a context manager it keeps them fresh and releases them at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._held, self._taken_over = folder, set[Path](), set[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="milopyp-leases", daemon=True)

    def __enter__(self) -> Leases:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for path in list(self._held):
            self._remove(path)

    def acquire(self, name: str) -> bool:
        """Take the tomogram called `name`; False when another process is at it.

        Raises
        ------
        InputError
            The folder cannot be written.
        FullDiskError
            No space is left.
        """
        path = self._path(name)
        for _ in range(2):
            try:
                _create(path, {"host": socket.gethostname(), "pid": os.getpid(), "born": _start_time(os.getpid())})
            except FileExistsError:
                if not self._remove_stale(path):
                    return False
                self._taken_over.add(name)
            except OSError as error:
                raise write_error(self._folder, error) from error
            else:
                self._held.add(path)
                return True
        return False

    def taken_over(self, name: str) -> bool:
        """Whether the tomogram called `name` was taken over from a process that is gone."""
        return name in self._taken_over

    def is_taken(self, name: str) -> bool:
        """Whether a process that may be alive has the tomogram called `name`."""
        path = self._path(name)
        try:
            return not self._is_stale(path)
        except FileNotFoundError:
            return False

    def clear(self, name: str) -> None:
        """Remove what a dead process may have left of a tomogram that is done."""
        path = self._path(name)
        if path.exists():
            self._remove_stale(path)
        remove_leftovers(self._folder, path.name, older_than=STALE_AFTER)

    def release(self, name: str) -> None:
        """The tomogram called `name` is finished with."""
        self._remove(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"

    def _remove(self, path: Path) -> None:
        self._held.discard(path)
        path.unlink(missing_ok=True)

    def _remove_stale(self, path: Path) -> bool:
        """Remove a lease whose owner is gone; True when it is not there any more."""
        owner = _owner(path)
        try:
            if not self._is_stale(path):
                return False
        except FileNotFoundError:
            return True
        aside = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
        try:
            path.rename(aside)  # of several processes that see it, one succeeds
        except FileNotFoundError:
            return True
        if _owner(aside) != owner:  # meanwhile another one took it over, and this is its own
            with contextlib.suppress(OSError):
                _create(path, _owner(aside))
            aside.unlink(missing_ok=True)
            return False
        aside.unlink(missing_ok=True)
        return True

    def _is_stale(self, path: Path) -> bool:
        """Whether the owner of a lease is gone.

        Raises
        ------
        FileNotFoundError
            There is no lease.
        """
        touched = path.stat().st_mtime
        age = self._now() - touched
        owner = _owner(path)
        if owner.get("host") == socket.gethostname() and owner.get("born") != "":  # "": this system does not tell
            return _start_time(owner.get("pid")) != owner.get("born")
        return age > STALE_AFTER

    def _now(self) -> float:
        """Time by the clock that the files' times come from."""
        probe = self._folder / f".clock.{socket.gethostname()}.{os.getpid()}"
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink(missing_ok=True)
        return now

    def _keep_fresh(self) -> None:
        while not self._stop.wait(TOUCHED_EVERY):
            for path in list(self._held):
                with contextlib.suppress(OSError):
                    _touch(path)


def _touch(path: Path) -> None:
    """Give a lease the present time, also where only the owner of a network share may set times."""
    try:
        os.utime(path)
    except PermissionError:
        with path.open("r+b") as stream:
            first = stream.read(1)
            stream.seek(0)
            stream.write(first)


def _create(path: Path, owner: dict[str, object]) -> None:
    """Make a lease with its content in one step, so that no death leaves one that says nothing.

    Raises
    ------
    FileExistsError
        There is one.
    """
    part = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(owner), encoding="utf-8")
        os.link(part, path)
    except FileNotFoundError as error:  # whoever has the tomogram has cleared up around it
        raise FileExistsError(path) from error
    except FileExistsError:
        raise
    except OSError as error:  # a file system without links
        if is_full(error):
            raise
        with path.open("x", encoding="utf-8") as stream:
            json.dump(owner, stream)
    finally:
        part.unlink(missing_ok=True)


def _owner(path: Path) -> dict[str, object]:
    """What a lease says; nothing when it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _start_time(pid: object) -> str:
    """When a process of this host was started, in the kernel's ticks; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
