"""Who may talk to the server: the page that it has opened itself, and nobody else, on this machine or on another.

Any page in a browser can send requests to ``localhost``, and a name of another host can be made to mean 127.0.0.1. So
the host must be a loopback name (with any port, since ``ssh -L`` changes it), the origin the same, and every request of
data needs the token that only the address in the terminal has. A cookie would be shared with all ports of the host.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST_BODY = 8 << 20  # bytes: a hundred thousand places
_TOO_LARGE = f"more than {LARGEST_BODY >> 20} MB"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Lets through what may come in, and sets the headers of every answer.

    Parameters
    ----------
    app
        What answers.
    token
        That requests below ``/api/`` must bring.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        refused = self._refusal(scope["path"], Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, with_headers)
            return
        await self._app(scope, _bounded(receive), with_headers)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        """Why a request is refused, in what is answered; None where it is not."""
        if len(headers.getlist("host")) != 1 or _host(headers["host"]) not in LOOPBACK:
            return _refuse(421, "this server answers to localhost only")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{headers['host']}":
            return _refuse(403, "the request comes from another page")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refuse(403, "the request comes from another page")
        if int(length) > LARGEST_BODY if (length := headers.get("content-length", "0")).isdecimal() else True:
            return _refuse(413, _TOO_LARGE)
        if path.startswith("/api/") and not self._has_token(headers.get("authorization", "")):
            return _refuse(401, "the address that the terminal shows has the token")
        return None

    def _has_token(self, said: str) -> bool:
        return secrets.compare_digest(said.encode(), b"Bearer " + self._token)


def _host(said: str) -> str | None:
    try:
        return urlsplit(f"//{said}").hostname
    except ValueError:
        return None


def _refuse(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)


def _bounded(receive: Receive) -> Receive:
    """Bodies of unknown length are cut off where they become too large."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return bounded
