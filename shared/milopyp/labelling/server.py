"""The page's server: HTTP in, the session's answers out; nothing is decided here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from milopyp_shared.errors import MilopypError

from .guard import Guard
from .labels import NOTHING, PARTICLE
from .requests import (
    Accept,
    Add,
    ChangeKind,
    CloseUps,
    Diameter,
    Edit,
    Leave,
    Move,
    Pick,
    Redo,
    Reject,
    Remove,
    Source,
    Stop,
    Train,
    Undo,
    View,
)
from .session import Session
from .slices import AXES, Axis, Picture

POLL = 20.0  # seconds that a page waits for news
_TICK = 0.04  # seconds between looks for them
_QUALITY = 85  # of pictures for slow lines
_FOLDERS = ("milopyp.labelling.page", "milopyp.pages")
_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


class _Refused(Exception):
    """A request that cannot be answered: status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def make_app(session: Session, token: str) -> ASGIApp:
    """The application, behind its `Guard`."""
    pages = _Pages(session)
    routes = [
        Route("/", lambda request: _static("label.html")),
        Route("/static/{name}", lambda request: _static(request.path_params["name"])),
        Route("/api/state", pages.state),
        Route("/api/slice", pages.slice),
        Route("/api/suggestions", pages.suggestions),
        *(Route(f"/api/{name}", _posted(kind, answer), methods=["POST"]) for name, kind, answer in pages.posted()),
    ]
    handlers: Any = {_Refused: _refuse, HTTPException: _stray, MilopypError: _say}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token)


class _Pages:
    """Answers to what is asked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def posted(self) -> list[tuple[str, Any, Callable[[Any, Request], Any]]]:
        """Name, body and answer of every request that changes something, or that needs a body."""
        return [
            ("edit", Edit, self.edit),
            ("view", View, self.view),
            ("closeups", CloseUps, self.close_ups),
            ("train", Train, lambda body, _: {"number": self._session.train(body.method)}),
            ("pick", Pick, self.pick),
            ("stop", Stop, lambda body, _: self._session.jobs.stop(body.number)),
            ("source", Source, self.source),
            ("leave", Leave, lambda body, request: self._session.leave(_window(request), keep=body.keep)),
        ]

    async def state(self, request: Request) -> Response:
        """The state, as soon as it is another than the page knows."""
        since, end = request.query_params.get("since"), time.monotonic() + POLL
        while since == str(self._session.number) and time.monotonic() < end:
            if await request.is_disconnected():
                break
            await asyncio.sleep(_TICK)
        return _json(await run_in_threadpool(self._session.state, _window(request)))

    def slice(self, request: Request) -> Response:
        """A slice's bytes."""
        index, axis = self._index(_number(request, "tomogram")), request.query_params.get("axis")
        if axis not in AXES:
            raise _Refused(400, f"axis {axis!r}: expected one of {', '.join(AXES)}")
        chosen: Axis = axis
        slices = self._session.slices[index]
        try:
            picture = slices.get(chosen, _number(request, "at"), min(max(_number(request, "thick", 1), 1), 64))
        except MilopypError as error:
            raise _Refused(409, str(error)) from error
        if picture is None:
            self._session.slices.look_at(index)  # it may have been dropped for others
            return JSONResponse({"loading": slices.share}, 202)
        return _drawn(picture, as_jpeg=request.query_params.get("as") == "jpeg")

    def suggestions(self, request: Request) -> Response:
        """Suggestions of a tomogram."""
        number, classes = self._session.suggested(self._index(_number(request, "tomogram")))
        rows = [np.column_stack([picks.xyz.round(2), picks.score.round(4)]).tolist() for picks in classes]
        return _json({"version": number, "classes": rows})

    def edit(self, body: Edit, request: Request) -> Any:
        """What a person has changed, and the state after it."""
        answer = self._place(body) if isinstance(body, Add | Move) else self._change(body)
        return answer | {"state": self._session.state(_window(request))}

    def _place(self, body: Add | Move) -> dict[str, Any]:
        if isinstance(body, Move):
            number, label = body.id, self._session.edits.move(body.id, body.xyz, snapped=body.snap)
        else:
            name = self._name(body.tomogram)
            number, label = self._session.edits.add(name, body.xyz, body.kind, body.species, snapped=body.snap)
        away = round(float(np.linalg.norm(np.subtract(body.xyz, label.xyz))), 2)
        return {"id": number, "xyz": label.xyz, "snapped": away}

    def _change(self, body: Edit) -> dict[str, Any]:
        session = self._session
        match body:
            case Accept() | Reject():
                kind = PARTICLE if isinstance(body, Accept) else NOTHING
                session.edits.add_all(self._name(body.tomogram), body.places, kind, body.species)
            case Remove():
                session.edits.remove(body.id)
            case ChangeKind():
                session.edits.change(body.id, body.kind, body.species)
            case Diameter():
                session.set_diameter(body.diameter, body.species)
            case Undo():
                session.edits.undo()
            case Redo():
                session.edits.redo()
        return {}

    def source(self, body: Source, request: Request) -> None:
        """Other suggestions are shown."""
        self._session.show(body.model)

    def view(self, body: View, request: Request) -> None:
        """Another tomogram is looked at."""
        self._session.look_at(self._index(body.tomogram), body.species)

    def close_ups(self, body: CloseUps, request: Request) -> Response:
        """Pictures one after the other."""
        slices = self._session.slices[self._index(body.tomogram)]
        try:
            xyz = np.array(body.places, np.float64).reshape(-1, 3)
            found = slices.close_ups(xyz, body.reach, body.pixels) if len(xyz) else np.empty(0, np.uint8)
        except MilopypError as error:
            raise _Refused(409, str(error)) from error
        if found is None:
            self._session.slices.look_at(body.tomogram)
            return JSONResponse({"loading": slices.share}, 202)
        return Response(found.tobytes(), media_type="application/octet-stream")

    def pick(self, body: Pick, request: Request) -> Any:
        """Picking begins."""
        return {"number": self._session.pick([self._index(index) for index in body.tomograms], body.scores)}

    def _name(self, index: int) -> str:
        return self._session.setting.names[self._index(index)]

    def _index(self, index: int) -> int:
        if not 0 <= index < len(self._session.setting.names):
            raise _Refused(404, f"no tomogram {index}")
        return index


def _posted(kind: Any, answer: Callable[[Any, Request], Any]) -> Callable[[Request], Any]:
    """An endpoint that reads a body of one kind, and answers in a thread."""

    async def endpoint(request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body(), type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _Refused(400, f"the request makes no sense: {error}") from error
        found = await run_in_threadpool(answer, body, request)
        return found if isinstance(found, Response) else _json(found or {})

    return endpoint


def _static(name: str) -> Response:
    """A part of the page; only what is a file of the package by its bare name."""
    kind = _TYPES.get(name.rpartition(".")[2])
    for folder in _FOLDERS:
        if kind is not None and name in {entry.name for entry in files(folder).iterdir()}:
            return Response(files(folder).joinpath(name).read_bytes(), media_type=kind)
    raise _Refused(404, "there is no such page")


def _drawn(picture: Picture, *, as_jpeg: bool) -> Response:
    height, width = picture.grey.shape
    about = {"x-size": f"{width},{height}", "x-covers": ",".join(map(str, picture.covers))}
    if not as_jpeg:
        return Response(picture.grey.tobytes(), media_type="application/octet-stream", headers=about)
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture.grey).save(stream, "JPEG", quality=_QUALITY)
    return Response(stream.getvalue(), media_type="image/jpeg", headers=about)


def _json(content: Any) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _number(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        value = round(float(text or ""))
    except (ValueError, OverflowError) as error:
        raise _Refused(400, f"{name} {text!r}: expected a number") from error
    if abs(value) > 1_000_000:
        raise _Refused(400, f"{name} {text!r}: expected a number of slices")
    return value


def _window(request: Request) -> str:
    return request.headers.get("x-window", "")[:64]


def _refuse(_: Request, error: _Refused) -> Response:
    return JSONResponse({"error": error.why}, error.status)


def _stray(_: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


def _say(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)
