"""``milopyp report``: what the page holds. How it behaves in a browser: tests/browser."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest
from PIL import Image

from milopyp.commands.report.slices import grey_slices, heat_slices, thickness_of
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram
from running import Outcome, run_line
from toys import TOY, clean_phantom, write_tomogram

ORDERS = {"flat": "xyz", "turned": "xzy"}


@pytest.fixture(autouse=True)
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """A run over two tomograms in ``picks``; their particles."""
    monkeypatch.chdir(tmp_path)
    known = {}
    for seed, (name, order) in enumerate(ORDERS.items(), 1):
        phantom = clean_phantom(seed, (24, 80, 64), particles=6)
        write_tomogram(Path(f"tomograms/{name}.mrc"), phantom.volume, order, voxel_size=10.0)
        known[name] = phantom.particles_xyz
    write_coordinate_list("truth.txt", known)
    line = (
        f"milopyp-infer tomograms/flat.mrc tomograms/turned.mrc --model {TOY} --out picks --threads 1 --out-thresh 0.5"
    )
    assert run_line(line).code == 0
    return known


class Scripts(HTMLParser):
    """The data in a page, as a browser cuts it out, and addresses of anything that it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.data: dict[str, Any] = {}
        self.loads: list[str] = []
        self._at: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href")]
        self._at = given.get("id") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._at:
            self.data[self._at] = json.loads(data)
            self._at = None


def report(words: str = "") -> Outcome:
    outcome = run_line(f"milopyp report picks {words}")
    assert outcome.code == 0, outcome.err
    return outcome


def page(path: str = "picks/report.html") -> Scripts:
    return Scripts(Path(path).read_text())


def pictures(encoded: list[str]) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"), float) for text in encoded]


def test_the_page_stands_alone(truth: dict[str, np.ndarray]) -> None:
    assert "wrote picks/report.html" in report().out
    text = Path("picks/report.html").read_text()
    assert page().loads == []
    assert "http" not in re.sub(r"http-equiv|http://www\.w3\.org/2000/svg", "", text)


def test_slices_are_the_tomogram_and_its_heat_map(truth: dict[str, np.ndarray]) -> None:
    """Particles, which are dark, are dark in the slice that cuts them and bright in its heat map, in either order."""
    report()
    scripts = page()
    for index, own in enumerate(scripts.data["runs"][0]["tomograms"]):
        assert own["size"] == [64, 80, 24] and own["voxel"] == 10.0 and own["radius"] == 5.0
        data = scripts.data[f"pictures-{index}"]
        grey, heat = (pictures(own["pictures"]) for own in (data["grey"], data["heats"][0]))
        assert data["grey"]["covers"] == data["heats"][0]["covers"] == [64, 80]
        assert len(grey) == len(heat) == -(-24 // own["thickness"])
        assert grey[0].shape == (80, 64) and heat[0].shape == (40, 32)
        for x, y, z in truth[own["name"]]:
            slice_ = int((z + 0.5) / own["thickness"])
            assert grey[slice_][round(y), round(x)] < 80 < np.median(grey[slice_])
            assert heat[slice_][int((y + 0.5) / 2), int((x + 0.5) / 2)] > 100 > np.median(heat[slice_])


def test_candidates_are_those_that_the_threshold_chooses_from(truth: dict[str, np.ndarray]) -> None:
    report("--truth truth.txt --only turned -o one.html")
    about = page("one.html").data["runs"][0]
    [own] = about["tomograms"]
    assert (about["threshold"], about["limit"], about["expected"], about["judged"]) == (0.5, None, None, True)
    assert own["name"] == "turned" and own["found"] == [1] * 6 + [0] * (len(own["picks"]) - 6)
    scores = [pick[3] for pick in own["picks"]]
    assert scores == sorted(scores, reverse=True)
    found = np.array(own["picks"])[:6, :3]
    assert np.linalg.norm(found[:, None] - truth["turned"][None], axis=2).min(axis=1).max() < 1.0


def test_a_published_run_shows_its_picks() -> None:
    line = f"milopyp-infer tomograms/turned.mrc --model {TOY} --published --cutoff-z 0 --out-thresh 0.1 --out old"
    assert run_line(line, "--threads", "1").code == 0
    assert run_line("milopyp report old").code == 0
    scripts = page("old/report.html")
    [own] = scripts.data["runs"][0]["tomograms"]
    assert len(own["picks"]) == len(imodmodel.read("old/turned.mod")) > 0
    heat = pictures(scripts.data["pictures-0"]["heats"][0]["pictures"])
    x, y, z, _ = own["picks"][0]
    assert heat[int((z + 0.5) / own["thickness"])][int((y + 0.5) / 2), int((x + 0.5) / 2)] > 100


def above(own: dict[str, Any], threshold: float, limit: int | None = None) -> int:
    """Picks that the page counts in a tomogram before anything is moved."""
    count = sum(pick[3] > threshold for pick in own["picks"])
    return count if limit is None else min(count, limit)


@pytest.mark.parametrize("words", ["--total 3", "--total 7", "--count 2", "--value 0.9995"])
def test_the_page_begins_with_the_picks_of_the_run(words: str) -> None:
    """Scores of the toy lie within a thousandth of 1."""
    assert run_line(f"milopyp threshold picks {words}").code == 0
    report()
    about = page().data["runs"][0]
    records = [json.loads(path.read_text()) for path in sorted(Path("picks/records").glob("*.json"))]
    counts = [above(own, about["threshold"], about["limit"]) for own in about["tomograms"]]
    assert counts == [record["picks"] for record in records] and sum(counts) > 0


def test_nothing_that_the_run_picked_is_left_out() -> None:
    """More picks than the page shows candidates otherwise, and weaker ones."""
    path = Path("picks/flat.candidates.csv")
    places = np.stack(np.meshgrid(np.arange(60), np.arange(80), [4.0]), -1).reshape(-1, 3)
    write_candidates(path, Picks(places.astype(float), np.linspace(0.9, 0.012, len(places))))
    assert run_line("milopyp threshold picks --value 0.013 --distance 0").code == 0
    assert "page begins" not in report().err
    own = next(own for own in page().data["runs"][0]["tomograms"] if own["name"] == "flat")
    record = json.loads(Path("picks/records/flat.json").read_text())
    assert above(own, 0.013) == record["picks"] > 4500


def test_what_is_not_as_one_thinks_is_said(truth: dict[str, np.ndarray]) -> None:
    """A failed tomogram, and tomograms cut at different scores."""
    Path("bad.mrc").write_bytes(Path("tomograms/flat.mrc").read_bytes()[:3000])
    files = "tomograms/flat.mrc tomograms/turned.mrc bad.mrc"
    line = f"milopyp-infer {files} --model {TOY} --out picks --threads 1 --out-thresh 0.5"
    assert run_line(line).code == 1
    record = Path("picks/records/flat.json")
    stored = json.loads(record.read_text())
    stored["options"]["selection"]["threshold"] = 0.2
    record.write_text(json.dumps(stored))
    outcome = report()
    assert "picked above different scores, 0.2 to 0.5; the page begins with 0.2 for all" in outcome.err
    assert "Not picked: bad" in Path("picks/report.html").read_text()


def test_what_the_suggested_threshold_rests_on_is_said() -> None:
    """Unless the run is of a version that did not store it."""
    report()
    assert (
        "The model suggests scores above 0.50: chosen by hand, uncalibrated." in Path("picks/report.html").read_text()
    )
    summary = Path("picks/run.json")
    stored = json.loads(summary.read_text())
    del stored["suggested"]
    summary.write_text(json.dumps(stored))
    report()
    assert "The model suggests" not in Path("picks/report.html").read_text()


def test_a_page_that_cannot_be_small_enough_says_so() -> None:
    path = Path("picks/flat.candidates.csv")
    places = np.random.default_rng(1).uniform(0, 1000, (60_000, 3))
    write_candidates(path, Picks(places, np.linspace(0.9, 0.6, len(places))))
    assert run_line("milopyp threshold picks --value 0.5 --distance 0").code == 0
    outcome = report("--size 1")
    size = Path("picks/report.html").stat().st_size
    assert size > 1.05e6 and "more than the 1 of --size" in outcome.err
    assert "--size" not in report("--size 5").err


def test_tomograms_that_were_moved(truth: dict[str, np.ndarray]) -> None:
    Path("tomograms").rename("elsewhere")
    outcome = run_line("milopyp report picks")
    assert outcome.code == 2 and "--tomograms" in outcome.err
    assert not Path("picks/report.html").exists()
    report("--tomograms elsewhere")


def test_edits_are_kept_for_a_run_and_not_for_one_that_was_picked_anew(truth: dict[str, np.ndarray]) -> None:
    """What they are kept under stays with a new threshold, and goes with other candidates or when they are applied."""

    def key(words: str = "") -> str:
        report(words)
        return str(page().data["runs"][0]["identity"])

    first = key()
    assert key("--truth truth.txt --size 3") == first and len(first) == 32
    assert run_line("milopyp threshold picks --value 0.9").code == 0
    assert key() == first
    write_coordinate_list("saved.tsv", {"flat": [[5, 5, 5]]})
    assert run_line("milopyp apply picks saved.tsv").code == 0
    applied = key()
    path = Path("picks/flat.candidates.csv")
    write_candidates(path, read_candidates(path)[:-1])
    assert len({first, applied, key()}) == 3


def test_without_heat_maps(truth: dict[str, np.ndarray]) -> None:
    for path in Path("picks").glob("*_hm.mrc"):
        path.unlink()
    report()
    assert page().data["pictures-0"]["heats"] == [None]


def test_the_page_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    """Pure noise, which can hardly be compressed, in more pixels than the budget holds."""
    noise = np.random.default_rng(1).normal(0, 1000, (64, 512, 384)).astype(np.int16)
    tomogram = open_tomogram(write_tomogram(tmp_path / "noise.mrc", noise))
    sizes = {}
    for budget in (4_000_000, 500_000, 100_000):
        slices = grey_slices(tomogram, 2, budget)
        sizes[budget] = sum(map(len, slices.pictures))
        assert len(slices.pictures) == 32 and sizes[budget] <= 1.05 * budget
    assert sizes[4_000_000] > sizes[500_000] > sizes[100_000] > 50_000


@pytest.mark.parametrize("thickness", [1, 3, 5])
def test_heat_of_a_slice_is_its_largest(tmp_path: Path, thickness: int) -> None:
    """A heat map of half the sections: every peak is in the slice that holds its sections, and in no other."""
    values = np.zeros((11, 20, 24), np.float32)
    values[7] = 1.0  # sections 14 and 15 of 21
    heat = open_tomogram(write_tomogram(tmp_path / "h.mrc", values))
    slices = heat_slices(heat, (21, 39, 48), thickness, 1_000_000)
    assert slices.covers == (48, 40)
    bright = [
        number
        for number, picture in enumerate(slices.pictures)
        if np.asarray(Image.open(io.BytesIO(picture))).max() > 128
    ]
    assert bright == sorted({14 // thickness, 15 // thickness})


@pytest.mark.parametrize(("depth", "diameter", "thickness"), [(256, 20, 4), (96, 17, 3), (500, 12, 8), (12, 3, 1)])
def test_slices_are_as_thick_as_the_eye_needs(depth: int, diameter: float, thickness: int) -> None:
    assert thickness_of(depth, diameter) == thickness


def test_without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("milopyp.commands.report.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(name, raising=False)
    outcome = run_line("milopyp report picks")
    assert outcome.code == 2 and "pip install 'milopyp[report]'" in outcome.err


def test_a_truth_of_some_of_the_tomograms(truth: dict[str, np.ndarray]) -> None:
    """A folder with a file for one: of the other nothing is known."""
    line = "milopyp convert truth.txt known/flat.csv --from list --name flat"
    Path("known").mkdir()
    assert run_line(line).code == 0
    report("--truth known")
    known = {own["name"]: own.get("truth") for own in page().data["runs"][0]["tomograms"]}
    assert known["turned"] is None and len(known["flat"]) == 6
