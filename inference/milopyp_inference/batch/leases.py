"""Leases: who works on which tomogram, between processes and hosts that share a folder, without any service.

A lease is a file, NAME.claim, that only one process can create. Its owner touches it every so often; one whose owner is
gone is taken over: at once where this process can see that, else when it has not been touched for a while. A process is
seen by those of one kernel and one PID namespace: containers of one host may share its name and their numbers.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from pathlib import Path

from milopyp_shared.atomic import is_full, remove_leftovers, write_error

TOUCHED_EVERY = 20.0  # seconds
STALE_AFTER = 180.0
SUFFIX = ".claim"


class Leases:
    """The leases of this process; as a context manager it keeps them fresh and releases them at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._held, self._taken_over = folder, set[Path](), set[str]()
        self._token = uuid.uuid4().hex  # no other process has it, whatever host and number it believes to be
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
                _create(path, _this_process() | {"token": self._token})
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

    def all_taken(self) -> list[str]:
        """The names of tomograms that a process which may be alive has."""
        return sorted(path.stem for path in self._folder.glob(f"*{SUFFIX}") if self.is_taken(path.stem))

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
        """Give a lease up; one that was taken over meanwhile, from a process that stood still, is another's."""
        self._held.discard(path)
        if self._is_ours(path):
            path.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        return _owner(path).get("token") == self._token

    def _remove_stale(self, path: Path) -> bool:
        """Remove a lease whose owner is gone; True when it is not there any more."""
        owner = _owner(path)
        try:
            if not self._is_stale(path):
                return False
        except FileNotFoundError:
            return True
        aside = path.with_name(f".{path.name}.{self._token}")
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
        age = self._now() - path.stat().st_mtime
        alive = _is_alive(_owner(path))
        return age > STALE_AFTER if alive is None else not alive

    def _now(self) -> float:
        """Time by the clock that the files' times come from."""
        probe = self._folder / f".clock.{self._token}"
        try:
            probe.touch()
            now = probe.stat().st_mtime
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self._folder, error) from error
        return now

    def _keep_fresh(self) -> None:
        while not self._stop.wait(TOUCHED_EVERY):
            for path in list(self._held):
                with contextlib.suppress(OSError):
                    if self._is_ours(path):
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
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
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


def _this_process() -> dict[str, object]:
    """Who this process is, and who could see it."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "born": _start_time(pid), **_seen_by()}


def _seen_by() -> dict[str, str]:
    """The kernel since its start and the PID namespace; empty words where the system does not tell."""
    process = Path("/proc/self")
    try:
        if process.readlink() == Path(str(os.getpid())):  # else /proc is that of another namespace
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
            return {"boot": boot, "namespace": str((process / "ns/pid").readlink())}
    except OSError:
        pass
    return {"boot": "", "namespace": ""}


def _is_alive(owner: dict[str, object]) -> bool | None:
    """Whether the owner of a lease is at work; None where this process cannot see that."""
    seen_by, pid = _seen_by(), owner.get("pid")
    if "" in (*seen_by.values(), owner.get("born", "")) or not isinstance(pid, int) or pid <= 0:
        return None
    if any(owner.get(key) != value for key, value in seen_by.items()):
        return None
    if born := _start_time(pid):
        return born == owner["born"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return None  # there is one, and this user is not shown whose


def _start_time(pid: object) -> str:
    """When a process of this host was started, in the kernel's ticks; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
