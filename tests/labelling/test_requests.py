"""What pages must not send: refused in one line, and nothing is changed by it, neither labels nor files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from labelling.asking import Page
from running import wait_for

INSIDE = [20.0, 20.0, 16.0]
ADD = {"do": "add", "tomogram": 0, "xyz": INSIDE}


def added(**changes: Any) -> dict[str, Any]:
    return ADD | changes


def at(text: str) -> bytes:
    """A click whose x is written like this."""
    return json.dumps(added(xyz=["x", 20, 16])).replace('"x"', text).encode()


EDITS: list[Any] = [
    b"", b"not json", b"\xff\xfe\x00", b"[]", b"null", b'"add"', b"{}", b"[" * 100_000, b'{"do":' * 100_000,
    b'{"do":"undo"', b'{"do":"undo"} {"do":"undo"}',
    *map(at, ("NaN", "Infinity", "-Infinity", "1e300", "1e999", "-1e7", "80", "79.6", "-0.6", '"20"', "null", "true")),
    {"do": "drop"}, {"do": 7}, {"do": "add"}, {"do": ["add"]},
    *(added(tomogram=word) for word in (2, -1, 0.5, "0", None, 10**30)),
    *(added(xyz=word) for word in (None, 7, [], [1, 2], [1, 2, 3, 4], [[1, 2, 3]], {"x": 1})),
    *(added(kind=word) for word in (2, -1, "1", 0.5, None)),
    added(snap="yes"), added(snap=None), added(path="/etc/passwd"), added(id=1),
    {"do": "undo", "source": "../../a.mrc"},
    *({"do": "move", "id": word, "xyz": INSIDE} for word in (999, -1, 10**30, "1", None, 1.5)),
    {"do": "move", "id": 1, "xyz": [20, 20, 32]}, {"do": "move", "id": 1, "xyz": [20, 20, 32], "snap": True},
    {"do": "remove", "id": 999}, {"do": "remove"}, {"do": "kind", "id": 999, "kind": 0}, {"do": "kind", "id": 1},
    {"do": "kind", "id": 1, "kind": 7}, {"do": "kind", "id": 1, "kind": 1, "species": 1},
    *(added(species=word) for word in (1, -1, 9, "0", None)),
    *({"do": do, "tomogram": 0, "places": [INSIDE], "species": 1} for do in ("accept", "reject")),
    {"do": "diameter", "diameter": 12, "species": 1},
    *({"do": "diameter", "diameter": word} for word in (0, -1, 1.9, 3, 177, 1001, 1e300, "10", None)),
    b'{"do": "diameter", "diameter": NaN}',
    *({"do": do, "tomogram": 0, "places": [INSIDE, [1, 2, 33]]} for do in ("accept", "reject")),
    {"do": "accept", "tomogram": 2, "places": [INSIDE]}, {"do": "accept", "tomogram": 0},
    {"do": "accept", "tomogram": 0, "places": 7},
    b'{"do": "accept", "tomogram": 0, "places": [' + b"[1,1,1]," * 1_000_000 + b"[1,1,1]]}",
]  # fmt: skip
OTHERS: list[tuple[str, Any]] = [
    ("view", {}), ("view", {"tomogram": 2}), ("view", {"tomogram": 0, "place": [1, 2, 3]}), ("view", {"path": "a.mrc"}),
    ("view", {"tomogram": "a.mrc"}), ("view", {"tomogram": 0, "species": 9}),
    *(
        ("closeups", {"tomogram": 0, "places": [INSIDE], "reach": 8, "pixels": 16} | changes)
        for changes in ({"tomogram": 2}, {"reach": 0}, {"reach": 1e9}, {"pixels": 7}, {"pixels": 257},
                        {"places": [INSIDE] * 201}, {"places": [[1, 2]]}, {"source": "/etc/passwd"})
    ),
    ("closeups", b'{"tomogram": 0, "places": [[NaN, 1, 1]], "reach": 8}'),
    ("train", {}), ("train", {"method": "rm"}), ("train", {"method": "learn", "out": "/tmp"}), ("train", b"learn"),
    ("pick", {"tomograms": []}), ("pick", {"tomograms": [2]}), ("pick", {"tomograms": ["/etc/passwd"]}),
    ("pick", {"tomograms": [0], "scores": [1.5]}), ("pick", {"tomograms": [0], "scores": ["-x"]}),
    ("pick", {"tomograms": [0]}),  # no model yet
    ("stop", {}), ("stop", {"number": "1"}),
    ("source", {"model": "label-1"}), ("source", {"model": "../labels/label-1"}), ("source", {"model": "/etc/passwd"}),
    ("source", {"model": 7}), ("source", {}),
    ("leave", {}), ("leave", {"keep": "yes"}),
]  # fmt: skip
ASKED = [
    "slice", "slice?tomogram=0", "slice?tomogram=0&axis=z", "slice?tomogram=0&axis=w&at=1",
    "slice?tomogram=2&axis=z&at=1", "slice?tomogram=-1&axis=z&at=1", "slice?tomogram=a.mrc&axis=z&at=1",
    *(f"slice?tomogram=0&axis=z&at={word}" for word in ("", "x", "nan", "inf", "1e300", "1e7")),
    "slice?tomogram=0&axis=z&at=1&thick=nan", "suggestions", "suggestions?tomogram=2", "suggestions?tomogram=../a",
]  # fmt: skip


@pytest.fixture(scope="module")
def clicked(page: Page) -> Iterator[Page]:
    """With a click, and one that was undone."""
    page.edit("add", tomogram=0, xyz=[22, 21, 13])
    page.edit("add", tomogram=0, xyz=[40, 40, 16], snap=False)
    page.edit("undo")
    wait_for(lambda: (page.out / "coords.txt").read_text().count("\n") == 2)
    wait_for(lambda: all(one["suggestions"] for one in page.state()["tomograms"]))
    page.rest()
    yield page
    page.edit("undo")


def short(value: Any) -> str:
    """A case's name."""
    return (value if isinstance(value, bytes) else json.dumps(value).encode())[:60].decode("latin-1")


def refused(page: Page, path: str, body: Any = None) -> None:
    before = page.kept()
    answer = page.ask(path, body)
    assert 400 <= answer.status < 500, answer.body
    said = answer.json
    assert list(said) == ["error"]
    assert 0 < len(said["error"]) < 700
    assert "\n" not in said["error"]
    assert page.kept() == before


def test_training_without_a_click(page: Page) -> None:
    assert not page.tomogram()["labels"]
    refused(page, "train", {"method": "learn"})


@pytest.mark.parametrize("body", EDITS, ids=short)
def test_edits(clicked: Page, body: Any) -> None:
    refused(clicked, "edit", body)


@pytest.mark.parametrize(("path", "body"), OTHERS, ids=short)
def test_other_requests(clicked: Page, path: str, body: Any) -> None:
    refused(clicked, path, body)


@pytest.mark.parametrize("path", ASKED)
def test_questions(clicked: Page, path: str) -> None:
    refused(clicked, path)


def test_what_changes_nothing(clicked: Page) -> None:
    """Questions whose numbers lie outside are answered with the nearest there is; a job that is not there is over."""
    before = clicked.kept()
    for path in ("slice?tomogram=0&axis=z&at=999&thick=999", "slice?tomogram=0&axis=z&at=-5&thick=-5", "state?since=x"):
        assert clicked.ask(path).status == 200
    assert clicked.ask("stop", {"number": 7}).status == 200
    assert clicked.ask("view", {"tomogram": 0}).status == 200
    assert clicked.ask("closeups", {"tomogram": 0, "places": [[-1e6, 1e6, 0]], "reach": 8}).status == 200
    assert clicked.ask("closeups", {"tomogram": 0, "places": [], "reach": 8}).body == b""
    assert clicked.ask("edit", {"do": "accept", "tomogram": 0, "places": []}).status == 200
    assert clicked.kept() == before
