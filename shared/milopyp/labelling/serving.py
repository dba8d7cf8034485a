"""The server's place on this machine: a socket of its own, the address that only this terminal knows, the browser."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import sys
import tempfile
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import uvicorn

from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError

from .server import make_app
from .session import Session

HOST = "127.0.0.1"


class Listening:
    """A socket on which nobody but this process listens.

    Raises
    ------
    UsageError
        The port is taken.
    """

    def __init__(self, port: int | None) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((HOST, port or 0))
            self.socket.listen()  # who follows the address at once waits for the answer
        except OSError as error:
            self.socket.close()
            raise UsageError(
                f"{port} cannot be had ({error.strerror})", where="--port", expected="a port that is free",
                remedy="Leave it out, and one is found.",
            ) from error  # fmt: skip
        self.port: int = self.socket.getsockname()[1]

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.socket.close()


def serve(session: Session, listening: Listening, console: Console, *, browser: bool | None) -> None:
    """Answer until Ctrl-C.

    Parameters
    ----------
    browser
        Whether to open the page; None: where there is a display.
    """
    token = secrets.token_urlsafe(32)
    address = f"http://{HOST}:{listening.port}/#token={token}"
    config = uvicorn.Config(
        make_app(session, token), log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1,
        server_header=False, http="h11", h11_max_incomplete_event_size=1 << 16, ws="none", log_config=None,
    )  # fmt: skip
    opens = _has_display() if browser is None else browser
    try:
        with (
            suppress(KeyboardInterrupt),  # how a person ends it, at any time
            tempfile.TemporaryDirectory(prefix="milopyp-") as folder,  # of this user only
        ):
            console.say(f"the page: {address}")
            if not opens:
                console.say(f"from another machine, first: ssh -L {listening.port}:{HOST}:{listening.port} {_here()}")
            console.say("Ctrl-C ends it; every click is kept")
            if opens:
                _open(address, Path(folder), console)
            uvicorn.Server(config).run(sockets=[listening.socket])
    finally:
        stopped = session.end()
    if stopped:
        console.say(stopped)


def _open(address: str, folder: Path, console: Console) -> None:
    """Open the page by a file that leads to it: words of a command line can be read by everybody on the machine."""
    page = folder / "page.html"
    page.touch(0o600)
    page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0;url={address}">', encoding="utf-8")
    if not webbrowser.open(page.as_uri()):
        console.warn("no browser could be opened: open the page by hand")


def _has_display() -> bool:
    far = "SSH_CONNECTION" in os.environ
    return not far and (sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")))


def _here() -> str:
    """The machine as ``ssh`` may know it."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name
        return socket.gethostname()
