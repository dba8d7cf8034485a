"""The real command in a process of its own, and what asks it in the page's place."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.processes import started
from running import tree, wait_for

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/#token=(\S+)")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Page:
    """Asks a server that runs in `folder`, with its labels in `out`."""

    process: subprocess.Popen[str]
    port: int
    token: str
    out: Path

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Answer:
        """Answer to a request below ``/api/``; `body` is sent as JSON, bytes as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        said = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        own = {"Authorization": f"Bearer {self.token}", "X-Window": "test"}
        connection.request(method or ("GET" if said is None else "POST"), f"/api/{path}", said, own)
        return _read(connection)

    def edit(self, do: str, **body: Any) -> Any:
        """The answer to a change that can be made."""
        answer = self.ask("edit", {"do": do, **body})
        assert answer.status == 200, answer.body
        return answer.json

    def state(self) -> Any:
        """All of it."""
        return self.ask("state").json

    def tomogram(self, index: int = 0) -> Any:
        """What the state says of one."""
        return self.state()["tomograms"][index]

    def raw(self, data: bytes) -> Answer:
        """Answer to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(data)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def request(self, target: str, method: str = "GET", body: bytes = b"", **changes: str | list[str] | None) -> Answer:
        """Answer to a request with other headers than the page's (None: left out; a list: several)."""
        headers: dict[str, str | list[str] | None] = {
            "host": f"127.0.0.1:{self.port}",
            "authorization": f"Bearer {self.token}",
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{method} {target} HTTP/1.1", "connection: close"]
        for name, value in headers.items():
            lines += [
                f"{name}: {one}" for one in ([] if value is None else [value] if isinstance(value, str) else value)
            ]
        return self.raw("\r\n".join([*lines, "", ""]).encode() + body)

    def kept(self) -> tuple[Any, Any]:
        """Labels with what can be undone and redone, and every file but the features."""
        state = self.state()
        said = [state[name] for name in ("classes", "undo", "redo", "problem", "jobs", "model")]
        files = {name: content for name, content in tree(self.out.parent).items() if "features/" not in name}
        return [said, [one["labels"] for one in state["tomograms"]]], files

    def settle(self) -> None:
        """Wait until the features of the tomogram in view, and lists, are made."""
        wait_for(lambda: self.tomogram()["features"] == 1.0)
        wait_for(lambda: (self.out / "rejected.txt").exists())

    def rest(self) -> None:
        """Wait until lists and models are those of the last change: they follow within a third of a second."""
        seen: list[dict[str, int]] = []
        while len(seen) < 3 or seen[-1] != seen[-3]:
            time.sleep(0.4)
            seen.append({path.name: path.stat().st_mtime_ns for path in self.out.glob("*.txt")})

    def end(self) -> str:
        """Ctrl-C; what the command said after its address."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said
        return said


def _read(connection: http.client.HTTPConnection) -> Answer:
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


@contextmanager
def labelling(words: str, folder: Path, browser: str = "--no-browser") -> Iterator[Page]:
    """``milopyp label`` with these words in `folder`, its labels in ``labels``, as long as the block lasts."""
    process = started(f"milopyp label {words} -o labels {browser}", folder)
    said: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if found := _ADDRESS.search(line):
                yield Page(process, int(found[1]), found[2], folder / "labels")
                break
        else:
            raise AssertionError(f"no address: {''.join(said)} ({shlex.join(process.args)})")  # type: ignore[arg-type]
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()
