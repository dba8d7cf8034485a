"""What was said is read again: whatever was done, wherever the file was cut, whoever else is there."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milopyp.labelling.classes import agree
from milopyp.labelling.journal import Journal
from milopyp.labelling.labels import NOTHING, PARTICLE, Label, Step
from milopyp_shared.errors import FullDiskError, InputError, MilopypError, UsageError
from milopyp_shared.particles import Particle
from running import tree

NAMES = ("a", "tomo ü")
place = st.tuples(*[st.floats(-0.5, 5000, allow_nan=False).map(lambda value: round(value, 2))] * 3)
species = st.sampled_from([0, 1])
label = st.builds(Label, st.sampled_from(NAMES), place, st.sampled_from([PARTICLE, NOTHING]), species)
action = st.one_of(
    st.tuples(st.just("add"), st.lists(label, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["move", "kind", "remove"]), st.integers(0, 5), place),
    st.tuples(st.just("diameter"), st.floats(2, 1000), species),
    st.tuples(st.sampled_from(["undo", "redo"])),
)


@contextmanager
def opened(folder: Path, diameter: float = 20.0, *, several: bool = False) -> Iterator[Journal]:
    """The journal of a folder that has nothing to say, of one class without a name or of several."""
    warnings: list[str] = []
    with closing(Journal(folder, Particle("", diameter), warnings.append)) as journal:
        for name in NAMES:
            journal.open(name, Path(f"/data/{name}.mrc"))
        if several and len(journal.labels.particles) == 1:
            journal.know(0, Particle("big", diameter))
            journal.know(1, Particle("small", 12.0))
        yield journal
    assert not warnings


def seen(journal: Journal) -> Any:
    """All that a person sees of it."""
    labels = journal.labels
    return dict(labels.by_number), list(labels.particles), labels.can_undo, labels.can_redo, labels.next_number


def act(journal: Journal, do: str, *more: Any) -> None:
    """What the page does."""
    labels = journal.labels
    if do == "add":
        step = dict(enumerate(more[0], labels.next_number))
        journal.take(Step(f"add {len(step)}", step))
    elif do in ("undo", "redo"):
        getattr(journal, do)()
    elif do == "diameter":
        journal.take(Step("change the size", {}, *more))
    elif labels.by_number:
        number = sorted(labels.by_number)[more[0] % len(labels.by_number)]
        old = labels.by_number[number]
        new = {"move": replace(old, xyz=more[1]), "kind": replace(old, kind=1 - old.kind), "remove": None}[do]
        journal.take(Step(f"{do} {number}", {number: new}))


@settings(max_examples=60)
@given(st.lists(action, max_size=15))
def test_whatever_was_done_is_read_again(actions: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = None
        for do in actions:
            with opened(folder, several=True) as journal:
                assert before is None or seen(journal) == before
                act(journal, *do)
                before = seen(journal)
        with opened(folder, 99.0, several=True) as journal:
            assert seen(journal) == (before or ({}, [Particle("big", 99.0), Particle("small", 12.0)], None, None, 1))
            assert journal.paths == {name: Path(f"/data/{name}.mrc") for name in NAMES}


@settings(max_examples=60)
@given(st.lists(action, max_size=20))
def test_undone_as_a_whole_and_done_again(actions: list[Any]) -> None:
    """Every step back leads through the states before, and forward through the same again."""
    with tempfile.TemporaryDirectory() as name, opened(Path(name), several=True) as journal:
        states = [seen(journal)[:2]]
        for do in actions:
            if do[0] not in ("undo", "redo"):
                steps = journal.labels.can_undo, len(journal.labels._done)
                act(journal, *do)
                if (journal.labels.can_undo, len(journal.labels._done)) != steps:
                    states.append(seen(journal)[:2])
        for state in reversed(states[:-1]):
            journal.undo()
            assert seen(journal)[:2] == state
        assert journal.labels.can_undo is None
        journal.undo()
        assert seen(journal)[:2] == states[0]
        for state in states[1:]:
            journal.redo()
            assert seen(journal)[:2] == state
        assert journal.labels.can_redo is None


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "o") as journal:
        act(journal, "add", [Label("a", (1, 2, 3))])
        journal.undo()
    with opened(tmp_path / "o") as journal:
        act(journal, "add", [Label("a", (1, 2, 3))])
        assert list(journal.labels.by_number) == [2]


def written(folder: Path) -> list[Any]:
    """Fill a journal; what is seen after each of its lines."""
    with opened(folder) as journal:
        states = [({}, [Particle("", 20.0)], None, None, 1)] * 3  # begin, and two tomograms
        for do in (("add", [Label("a", (1, 2, 3)), Label("tomo ü", (4, 5.5, 6), NOTHING)]), ("remove", 0, None),
                   ("diameter", 33.5), ("undo",)):  # fmt: skip
            act(journal, *do)
            states.append(seen(journal))
    return states


def test_cut_at_any_byte(tmp_path: Path) -> None:
    """It is read to its last whole line, says so, and goes on."""
    states = written(tmp_path / "whole")
    data = (tmp_path / "whole/journal.jsonl").read_bytes()
    assert data.count(b"\n") == len(states)
    (folder := tmp_path / "cut").mkdir()
    path = folder / "journal.jsonl"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        warnings: list[str] = []
        with closing(Journal(folder, Particle("", 20.0), warnings.append)) as journal:
            whole = data[:length].count(b"\n")
            assert seen(journal) == (states[whole - 1] if whole else states[0])
            assert bool(warnings) == (not data[:length].endswith(b"\n") and length > 0)
            assert not warnings or str(path) in warnings[0]
        assert path.read_bytes().endswith(b"\n")
        with opened(folder) as journal:
            act(journal, "add", [Label("a", (7, 8, 9))])
            before = seen(journal)
        with opened(folder) as journal:
            assert seen(journal) == before


def test_zeros_at_the_end(tmp_path: Path) -> None:
    """As some file systems leave them when the power fails."""
    states = written(tmp_path)
    path = tmp_path / "journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data + bytes(300))
    warnings: list[str] = []
    with closing(Journal(tmp_path, Particle("", 20.0), warnings.append)) as journal:
        assert seen(journal) == states[-1]
    assert len(warnings) == 1
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "line",
    [
        b"no json", b"", b"\xff\xfe", bytes(40), b"[1]", b'"undo"', b'{"do": "dance"}', b'{"do": "begin", "schema": 1}',
        b'{"do": "undo", "colour": "red"}', b'{"do": "step", "labels": [[1, {"tomogram": "a"}]]}', b"{}",
        b'{"do": "step", "labels": [["x", null]]}', b'{"do": "step", "diameter": 1e300}',
        b'{"do": "step", "labels": [[1, {"tomogram": "b", "xyz": [1, 2, 3]}]]}',
        b'{"do": "step", "labels": [[1, {"tomogram": "a", "xyz": [1, 2, 3], "species": 1}]]}',
        b'{"do": "step", "diameter": 20.0, "species": 1}', b'{"do": "class", "name": "big", "species": 1}',
        b'{"do": "class", "name": "big", "diameter": 9.0, "species": 2}', b'{"do": "class", "diameter": 9.0}',
    ],
)  # fmt: skip
def test_a_damaged_line_in_the_middle(tmp_path: Path, line: bytes) -> None:
    written(tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:4], line, *lines[4:]]))
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"journal\.jsonl, line 5: [^\n]*$") as raised:
        Journal(tmp_path, Particle("", 20.0), print)
    assert raised.value.expected
    assert tree(tmp_path) == before


@pytest.mark.parametrize("first", [b'{"do": "begin", "schema": 2}', b'{"do": "undo"}', b"{}", b'{"do": "begin"}'])
def test_another_kind_of_journal(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "journal.jsonl").write_bytes(first + b"\n")
    with pytest.raises(InputError, match="line 1"):
        Journal(tmp_path, Particle("", 20.0), print)


def test_one_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        act(journal, "add", [Label("a", (1, 2, 3))])
        before = tree(tmp_path)
        with pytest.raises(UsageError, match="another milopyp label"):
            Journal(tmp_path, Particle("", 30.0), print)
        assert tree(tmp_path) == before
        act(journal, "add", [Label("a", (1, 2, 3))])
    with opened(tmp_path) as journal:
        assert len(journal.labels.by_number) == 2


@pytest.mark.parametrize("name", ["thesis.tex", "coords.txt", ".hidden", "models"])
def test_a_folder_of_other_things(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "models" else (tmp_path / name).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="holds files"):
        Journal(tmp_path, Particle("", 20.0), print)
    assert tree(tmp_path) == before


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """As on a disk that is full at this moment."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 30])
@pytest.mark.parametrize("do", [("add", [Label("a", (9, 9, 9))]), ("undo",), ("diameter", 44.0)])
def test_a_full_disk(tmp_path: Path, room: int, do: Any) -> None:
    """What cannot be kept has not happened; what was kept stays, and there is more with more room."""
    with opened(tmp_path) as journal:
        act(journal, "add", [Label("a", (1, 2, 3))])
        before, size = seen(journal), journal.path.stat().st_size
        for _ in range(2):
            if do == ("undo",) and room == 30:
                break  # that it has room for
            with no_file_beyond(size + room), pytest.raises(FullDiskError, match="free space"):
                act(journal, *do)
            assert seen(journal) == before
            assert journal.path.stat().st_size == size
        act(journal, "add", [Label("a", (4, 5, 6))])
        before = seen(journal)
    with opened(tmp_path) as journal:
        assert seen(journal) == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/labels"):
        with pytest.raises(MilopypError, match="cannot be written"):
            Journal(folder, Particle("", 20.0), print)
    (tmp_path / "labels/journal.jsonl").mkdir(parents=True)
    with pytest.raises(MilopypError, match="cannot be written"):
        Journal(tmp_path / "labels", Particle("", 20.0), print)


def test_classes_and_the_same_lines_as_before_them(tmp_path: Path) -> None:
    """Of one class without a name nothing is said that was not said before there were classes; names that come later
    are those of what there was.
    """
    with opened(tmp_path) as journal:
        act(journal, "add", [Label("a", (1, 2, 3)), Label("a", (4, 5, 6), NOTHING)])
        act(journal, "diameter", 21.0)
        act(journal, "undo")
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert lines[0] == '{"do": "begin", "diameter": 20.0, "schema": 1}'
    assert lines[3] == (
        '{"do": "step", "what": "add 2", "labels": [[1, {"tomogram": "a", "xyz": [1, 2, 3], "kind": 1}], '
        '[2, {"tomogram": "a", "xyz": [4, 5, 6], "kind": 0}]]}'
    )
    assert not [line for line in lines if "species" in line]
    with opened(tmp_path) as journal:
        agree(journal, [Particle("big", 30.0)], list, print)
        agree(journal, [Particle("small", 12.0), Particle("big", 30.0)], list, print)
        assert journal.labels.particles == [Particle("big", 20.0), Particle("small", 12.0)]
        act(journal, "redo")  # of before it had a name
        assert journal.labels.particles[0] == Particle("big", 21.0)
        act(journal, "add", [Label("a", (40, 40, 3), PARTICLE, 1)])
        before = seen(journal)
    with opened(tmp_path) as journal:
        assert seen(journal) == before
        agree(journal, [], list, print)
        assert seen(journal) == before


def test_what_a_label_says_of_the_others(tmp_path: Path) -> None:
    with opened(tmp_path, several=True) as journal:
        act(journal, "add", [Label("a", (30, 30, 3)), Label("a", (80, 30, 3), PARTICLE, 1)])
        act(journal, "add", [Label("a", (50, 30, 3), NOTHING, 1), Label("a", (83, 30, 3)), Label("a", (80, 80, 3))])
        labels = journal.labels
        assert labels.xyz("a").tolist() == [[30, 30, 3], [83, 30, 3], [80, 80, 3]]
        assert labels.xyz("a", PARTICLE, 1).tolist() == [[80, 30, 3]]
        # a place that has labels of both says nothing to either
        assert labels.against("a", 0).tolist() == []
        assert labels.against("a", 1).tolist() == [[50, 30, 3], [30, 30, 3], [80, 80, 3]]
        assert labels.labelled({"a"}) == [0, 1]
        assert labels.labelled({"tomo ü"}) == []
