"""`status.json`: what others may rely on, of pickings, and that it is never in the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from milopyp_inference.batch import picking_run
from milopyp_shared import status
from milopyp_shared.errors import FullDiskError
from milopyp_shared.status import Facts, StatusFile
from running import run_line, wait_for
from toys import write_batch

FIELDS = {
    "schema": int, "state": str, "exit_code": int | None, "error": str | None, "unit": str, "total": int, "done": int,
    "failed": int, "current": list, "picks": int | None, "started": str, "updated": str, "eta": str | None,
    "host": str, "pid": int, "version": str | None,
}  # fmt: skip
LINE = "milopyp-infer tomograms.txt --model toy.onnx --threads 1 --out picks"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(path: str = "picks/status.json") -> dict[str, Any]:
    """The file, with the fields and types that docs/pipelines.md promises."""
    found = json.loads(Path(path).read_text())
    assert list(found) == list(FIELDS)
    assert all(isinstance(found[name], kind) for name, kind in FIELDS.items()), found
    for name in ("started", "updated", "eta"):
        assert found[name] is None or datetime.fromisoformat(found[name]).tzinfo is UTC
    return found


def some(found: dict[str, Any], *names: str) -> list[Any]:
    return [found[name] for name in names]


def test_a_run_with_a_tomogram_that_fails() -> None:
    write_batch(Path(), 3, (24, 48, 48), particles=3)
    Path("tomograms/t02.mrc").write_bytes(Path("tomograms/t02.mrc").read_bytes()[:3000])
    assert run_line(LINE).code == 1
    found = read()
    assert some(found, "state", "exit_code", "total", "done", "failed", "current") == ["finished", 1, 3, 2, 1, []]
    assert found["picks"] == json.loads(Path("picks/run.json").read_text())["picks"] > 0
    assert some(found, "host", "pid", "eta", "error") == [socket.gethostname(), os.getpid(), None, None]
    assert run_line(LINE, "--workers", "2").code == 1  # told by who leads
    assert some(read(), "state", "total", "done", "failed") == ["finished", 3, 2, 1]
    assert run_line(LINE, "--shard", "2/2", "--overwrite").code in (0, 1)
    assert some(read("picks/status.2-of-2.json"), "state", "total") == ["finished", 1]
    assert len(list(Path("picks").glob("status*"))) == 2
    before = Path("picks/status.json").read_bytes()
    assert run_line(LINE, "--out-thresh", "7").code == 2  # refused before it begins
    assert Path("picks/status.json").read_bytes() == before


def test_a_run_that_ends_by_itself_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said while it runs, after `kill -9`, after Ctrl-C, and after an error."""
    write_batch(Path(), 6, (40, 96, 96), particles=6)
    words = [sys.executable, "-c", "from milopyp_shared import status; status.EVERY = 0.02; "
             "from milopyp_inference.cli import main; main()", *LINE.split()[1:]]  # fmt: skip
    process = subprocess.Popen(words)
    wait_for(lambda: Path("picks/status.json").exists() and read()["done"] >= 1 and read()["eta"])
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = read()
    assert some(found, "state", "exit_code", "total", "pid") == ["running", None, 6, process.pid]
    assert found["current"] and found["started"] <= found["updated"]

    def dies(error: BaseException, *_: object) -> None:
        raise error

    for how, code, state in ((KeyboardInterrupt(), 130, "interrupted"), (FullDiskError("no room"), 3, "failed")):
        with monkeypatch.context() as patched:
            patched.setattr(picking_run, "write_record", partial(dies, how))
            assert run_line(LINE).code == code
        assert some(read(), "state", "exit_code") == [state, code]
    assert "no room" in read()["error"]


def test_what_cannot_be_written_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise FullDiskError("cannot be written")

    monkeypatch.setattr(status, "write_text", full)
    monkeypatch.setattr(status, "EVERY", 0.001)
    said: list[str] = []
    asked: list[int] = []

    def facts() -> Facts:
        asked.append(1)
        return Facts("tomogram", 1)

    with StatusFile(tmp_path / "status.json", facts, said.append) as kept:
        kept.begin()
        wait_for(lambda: len(asked) > 3)
    assert said == ["status.json says no more how far the work is, which goes on: cannot be written"]
    assert not list(tmp_path.iterdir())
