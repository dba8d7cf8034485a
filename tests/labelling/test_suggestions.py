"""After a few clicks the others are suggested; what is rejected is not, and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelling.asking import labelling
from milopyp.labelling.answers import Found, Said, Wanted
from milopyp.labelling.suggestions import Suggestions
from milopyp_shared.tomogram import Tomogram, open_tomogram
from running import wait_for
from toys import VOXEL_SIZE, ball_centres, balls, write_tomogram

SHAPE = (32, 80, 100)
BIG, SMALL = 12.0, 9.0  # diameters of two kinds of balls
NONE: NDArray[np.float64] = np.empty((0, 3))


def mixed(path: Path, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A tomogram of large and small balls in noise; places ``(n, 3)`` x, y, z of either kind."""
    centres = ball_centres(SHAPE, BIG, seed)
    rng = np.random.default_rng(seed)
    small = np.zeros(len(centres), bool)
    small[rng.choice(len(centres), len(centres) // 3, replace=False)] = True
    volume = balls(SHAPE, centres[~small], BIG) + balls(SHAPE, centres[small], SMALL) + rng.normal(0, 0.2, SHAPE)
    write_tomogram(path, volume.astype(np.float32), voxel_size=VOXEL_SIZE)
    return centres[~small][:, ::-1], centres[small][:, ::-1]


@contextmanager
def suggesting(folder: Path, *names: str) -> Iterator[tuple[Suggestions, Callable[..., Found]]]:
    """Suggestions for tomograms in `folder`, and what they are when they were asked with these labels."""
    tomograms: Mapping[str, Tomogram] = {name: open_tomogram(folder / f"{name}.mrc", "xyz") for name in names}
    made = Suggestions(tomograms, "dark", folder / "features", lambda: None, lambda text: None)
    revision = 0

    def ask(particles: Mapping[str, Any], rejected: Mapping[str, Any] | None = None, diameter: float = BIG,
            of: str = names[0]) -> Found:  # fmt: skip
        nonlocal revision
        revision += 1
        full = [{name: np.asarray(some.get(name, NONE)) for name in names} for some in (particles, rejected or {})]
        before = made.shown[of]
        made.want(Wanted(revision, [Said(diameter, *full)]))
        wait_for(lambda: made.shown[of].version > before.version or made.shown[of].error)
        return made.shown[of].of(0)

    try:
        yield made, ask
    finally:
        made.stop()


def found(shown: Found, places: NDArray[np.float64], score: float | None = None) -> NDArray[np.bool_]:
    """Which of `places` are suggested, above the suggested score."""
    assert shown.score is not None
    picks = shown.picks[shown.picks.score > (shown.score if score is None else score)]
    away = np.linalg.norm(places[:, None] - picks.xyz[None], axis=2)
    near: NDArray[np.bool_] = (away < BIG / 3).any(axis=1)
    return near


def score_at(shown: Found, place: NDArray[np.float64]) -> float:
    """Of the best suggestion near a place."""
    near = np.linalg.norm(shown.picks.xyz - place, axis=1) < BIG / 2
    return float(shown.picks.score[near].max(initial=0.0))


def test_clicks_and_rejections(tmp_path: Path) -> None:
    large, small = mixed(tmp_path / "a.mrc")
    with suggesting(tmp_path, "a") as (made, ask):
        clicks, others = large[:5], large[5:]
        shown = ask({"a": clicks})
        assert made.shown["a"].error is None
        assert made.shown["a"].features == 1.0
        assert found(shown, others).mean() > 0.9
        assert (np.diff(shown.picks.score) <= 0).all()
        assert shown.picks.score.min() > 0.02
        away = np.linalg.norm(shown.picks.xyz[:, None] - clicks[None], axis=2)
        assert away.min() >= BIG / 2
        # the wrong ones
        taken = sorted(small, key=lambda place: -score_at(shown, place))
        rejected, alike = np.array(taken[:3]), np.array(taken[3:])
        before = np.mean([score_at(shown, place) for place in alike])
        after = ask({"a": clicks}, {"a": rejected})
        assert found(after, others).mean() > 0.9
        assert not found(after, rejected, 0.0).any()
        assert np.mean([score_at(after, place) for place in alike]) < 0.7 * before
        # and taken back again
        again = ask({"a": clicks})
        np.testing.assert_allclose(again.picks.xyz, shown.picks.xyz)
        np.testing.assert_allclose(again.picks.score, shown.picks.score)
        # no label at all any more: what there was stays until there is one
        made.want(Wanted(99, [Said(BIG, {"a": NONE}, {"a": NONE})]))
        # twice the size: seen at half of it, and back
        half = ask({"a": clicks}, diameter=26.0)
        assert len(half.picks)
        assert made.shown["a"].features == 1.0
        assert sorted(path.name for path in (tmp_path / "features").iterdir()) == ["0.5", "1"]
        np.testing.assert_allclose(ask({"a": clicks}).picks.xyz, shown.picks.xyz)


def test_one_label_of_any_place(tmp_path: Path) -> None:
    """In a corner, outside the middle of anything, or twice in one place: an answer, or one line."""
    mixed(tmp_path / "a.mrc")
    with suggesting(tmp_path, "a") as (made, ask):
        for places in ([[0, 0, 0]], [[-0.5, -0.5, -0.5]], [[99.4, 79.4, 31.4]], [[50, 40, 16]] * 3):
            shown = ask({"a": places})
            assert made.shown["a"].error is None
            assert np.isfinite(shown.picks.score).all()
        ask({"a": [[50, 40, 16]]}, {"a": [[50, 40, 16]]})  # both at once
        assert made.shown["a"].error is None


def test_a_tomogram_that_cannot_be_read(tmp_path: Path) -> None:
    """It says so; the others go on; looked at once more, it is tried again."""
    large, _ = mixed(tmp_path / "a.mrc")
    mixed(tmp_path / "b.mrc", 2)
    mixed(tmp_path / "c.mrc", 3)
    whole = (tmp_path / "b.mrc").read_bytes()
    with suggesting(tmp_path, "a", "b", "c") as (made, ask):
        with (tmp_path / "b.mrc").open("r+b") as stream:
            stream.truncate(5000)
        ask({"a": large[:5]}, of="c")
        wait_for(lambda: made.shown["b"].error)
        assert "b.mrc" in str(made.shown["b"].error)
        assert "\n" not in str(made.shown["b"].error)
        assert made.shown["a"].error is None
        assert made.shown["b"].features is None
        assert len(made.shown["c"].of(0).picks)
        assert not list((tmp_path / "features").rglob("b*"))
        assert not list((tmp_path / "features").rglob("*.part"))
        with (tmp_path / "b.mrc").open("r+b") as stream:
            stream.write(whole)
        made.look_at("b")
        wait_for(lambda: made.shown["b"].version or made.shown["b"].error)


def test_the_tomogram_in_view_comes_first(tmp_path: Path) -> None:
    large, _ = mixed(tmp_path / "a.mrc")
    for name in "bcd":
        mixed(tmp_path / f"{name}.mrc", ord(name))
    with suggesting(tmp_path, "a", "b", "c", "d") as (made, ask):
        made.look_at("d")
        ask({"a": large[:3]}, of="d")
        assert made.shown["b"].version == 0
        wait_for(lambda: all(shown.version for shown in made.shown.values()))


def test_features_of_another_tomogram_are_not_taken(tmp_path: Path) -> None:
    """The file was made anew under its name since: said in one line with what to do."""
    large, _ = mixed(tmp_path / "a.mrc")
    with suggesting(tmp_path, "a") as (_, ask):
        ask({"a": large[:3]})
    large, _ = mixed(tmp_path / "a.mrc", 2)
    with suggesting(tmp_path, "a") as (made, ask):
        ask({"a": large[:3]})
        error = made.shown["a"].error
        assert error is not None
        assert "another tomogram" in error
        assert "Remove" in error


def test_the_end_in_the_middle_of_features(tmp_path: Path) -> None:
    """Nothing half is left, and the next one makes it whole."""
    large, _ = mixed(tmp_path / "a.mrc")
    tomograms = {"a": open_tomogram(tmp_path / "a.mrc")}
    begun = threading.Event()
    holder: list[Suggestions] = []

    def changed() -> None:
        share = holder[0].shown["a"].features if holder else None
        if share is not None and not begun.is_set():
            begun.set()

    made = Suggestions(tomograms, "dark", tmp_path / "features", changed, lambda text: None)
    holder.append(made)
    made.want(Wanted(1, [Said(BIG, {"a": large[:3]}, {"a": NONE})]))
    assert begun.wait(60)
    made.stop()
    if made.shown["a"].version == 0:  # else it was faster
        assert not list((tmp_path / "features").rglob("*.features*"))
    with suggesting(tmp_path, "a") as (_, ask):
        assert found(ask({"a": large[:5]}), large[5:]).mean() > 0.9


def test_ctrl_c_in_the_middle_of_features(tmp_path: Path) -> None:
    """The real command: it ends at once and well, with no half file."""
    write_tomogram(tmp_path / "a.mrc", np.random.default_rng(1).normal(0, 9, (48, 160, 160)).astype(np.int8))
    with labelling("a.mrc --bbox 10", tmp_path) as page:
        wait_for(lambda: page.tomogram()["features"] is not None)
        assert page.end() is not None
    assert not list((tmp_path / "labels").rglob("*.features*"))
    assert not list((tmp_path / "labels").rglob(".*.part"))
