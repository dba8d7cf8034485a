"""``milopyp report`` in a browser: what a person sees, changes and saves."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from milopyp_inference.decode.select import Selection, select_picks
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.lists import ImageEntry, read_coordinate_list, write_coordinate_list, write_image_list
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame
from running import run_line, wait_for
from toys import TOY, clean_phantom, write_tomogram

HOSTILE = "<img src=x onerror=window.harm=1><script>window.harm=2"
ORDERS = {"flat": "xyz", "turned": "xzy", HOSTILE: "xyz"}
SIZE = (64, 80, 24)  # x, y, z
WEAK = np.array([[4.0, 70.0, 3.0], [58.0, 74.0, 20.0], [5.0, 5.0, 20.0]])
WAIT = 10.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run over three tomograms, and its page; the toy model finds every particle."""
    folder = tmp_path_factory.mktemp("run")
    with contextlib.chdir(folder):
        images, truth = [], {}
        for seed, (name, order) in enumerate(ORDERS.items(), 1):
            phantom = clean_phantom(seed, (SIZE[2], SIZE[1], SIZE[0]), particles=6)
            path = write_tomogram(Path(f"{seed}.mrc").absolute(), phantom.volume, order, voxel_size=10.0)
            images.append(ImageEntry(name, path))
            truth[name] = phantom.particles_xyz
        write_image_list("images.txt", images)
        write_coordinate_list("truth.txt", truth)
        shutil.copy(TOY, "toy.onnx")
        outcome = run_line("milopyp-infer images.txt --model toy.onnx --out picks --threads 1 --out-thresh 0.5")
        assert outcome.code == 0, outcome.err
        for name in ORDERS:  # the toy is sure of everything: scores from 0.95 down, and weak places besides
            table = Path(f"picks/{name}.candidates.csv")
            found = read_candidates(table).xyz
            places = np.concatenate([found, WEAK])
            write_candidates(table, Picks(places, np.linspace(0.95, 0.05, len(places))))
        outcome = run_line("milopyp report picks --truth truth.txt")
        assert outcome.code == 0, outcome.err
        yield folder


@dataclass
class Page:
    """The open page."""

    driver: webdriver.Chrome
    downloads: Path

    def find(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.find(name).text

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def threshold(self, value: float) -> None:
        """Move the slider as a hand does."""
        self.script(
            "const s = document.getElementById('threshold'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input', {bubbles: true}));", value,
        )  # fmt: skip

    def press(self, *keys: str) -> None:
        self.find("slices").send_keys(*keys)

    def drawn(self) -> None:
        """Wait until the slice that was asked for is on the canvas."""
        self.driver.execute_async_script("const done = arguments[0]; viewer.draw().then(() => done());")

    def show(self, name: str, z: float) -> None:
        """Bring a tomogram and a place of it up."""
        self.driver.execute_async_script(
            "const [name, z, done] = arguments;"
            "show(tomograms.findIndex((own) => own.name === name), z); viewer.draw().then(() => done());", name, z,
        )  # fmt: skip

    def click(self, x: float, y: float) -> None:
        """On the slice, at a voxel."""
        canvas = self.find("slices")
        width, height = canvas.size["width"], canvas.size["height"]
        right = (x + 0.5) / SIZE[0] * width - width / 2
        down = (1 - (y + 0.5) / SIZE[1]) * height - height / 2
        webdriver.ActionChains(self.driver).move_to_element_with_offset(
            canvas, round(right), round(down)
        ).click().perform()

    def saved(self, button: str) -> Path:
        """Press a button that saves; the file, once filled (Chromium makes an empty one of that name first)."""
        before = set(self.downloads.iterdir())
        self.find(button).click()
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            new = [path for path in set(self.downloads.iterdir()) - before if path.suffix in (".tsv", ".csv")]
            if new and new[0].stat().st_size:
                return new[0]
            time.sleep(0.05)
        raise AssertionError("nothing was saved")


@pytest.fixture
def page(chromium: webdriver.Chrome, run: Path, downloads: Path) -> Iterator[Page]:
    for old in downloads.iterdir():
        old.unlink()
    chromium.get((run / "picks/report.html").as_uri())
    page = Page(chromium, downloads)
    page.drawn()
    yield page
    # reading pixels back, as only these tests do, is a matter of "rendering"
    complaints = [entry for entry in chromium.get_log("browser") if entry["source"] != "rendering"]
    page.script("for (const own of tomograms) own.saved = true")  # the page would ask whether to leave unsaved changes
    assert complaints == []


def above(run: Path, name: str, threshold: float) -> Picks:
    """What the run's candidates give at a threshold, by the program that picks."""
    record = json.loads((run / f"picks/records/{name}.json").read_text())
    frame = msgspec.convert(record["frame"], Frame)
    selection = replace(Selection(**record["options"]["selection"]), threshold=threshold)
    return select_picks(read_candidates(run / f"picks/{name}.candidates.csv"), selection, frame)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.53, 0.99])
def test_the_slider_changes_the_counts(page: Page, run: Path, threshold: float) -> None:
    page.threshold(threshold)
    counts = {name: len(above(run, name, threshold)) for name in ORDERS}
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#tomograms tr")
    cells = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    assert {row[0]: int(row[1]) for row in cells} == counts
    assert page.text("count-all") == str(sum(counts.values()))
    assert page.text("threshold-is") == f"{threshold:.3f}"
    bars = page.script("return [...document.querySelectorAll('#histogram .bar')].map(b => b.getAttribute('class'))")
    assert bars.count("bar above") == sum((index + 1) / 50 > threshold for index in range(50))


def test_precision_and_recall_are_those_of_evaluate(page: Page, run: Path) -> None:
    line = f"milopyp evaluate {run}/picks --truth {run}/truth.txt --radius 5 --json {run}/figures.json"
    assert run_line(line).code == 0
    curve = json.loads((run / "figures.json").read_text())["curve"]
    for threshold in (0.3, 0.7):
        page.threshold(threshold)
        last = sum(value > threshold for value in curve["threshold"]) - 1
        found = [float(word) for word in page.text("judged").split(", ")]
        assert found == [pytest.approx(curve[name][last], abs=0.006) for name in ("precision", "recall")]


def test_all_picks_are_saved_as_a_list(page: Page, run: Path) -> None:
    page.threshold(0.4)
    path = page.saved("download-all")
    assert path.name == "picks_above_0.400.tsv"
    saved = read_coordinate_list(path)
    assert sorted(saved) == sorted(ORDERS)
    for name, xyz in saved.items():
        np.testing.assert_allclose(xyz, above(run, name, 0.4).xyz, atol=0.006)


def test_one_tomogram_is_saved_for_convert(page: Page, run: Path, tmp_path: Path) -> None:
    page.show("turned", 12)
    path = page.saved("download-here")
    np.testing.assert_allclose(read_candidates(path).xyz, above(run, "turned", 0.5).xyz, atol=0.006)
    line = f"milopyp convert {path} {tmp_path / 'turned.star'} --to relion5 --tomogram {run / '2.mrc'}"
    assert run_line(line, "--order", "xzy").code == 0


def test_picks_are_taken_out_and_added_by_a_click(page: Page, run: Path) -> None:
    picks = above(run, "turned", 0.5)
    x, y, z = picks.xyz[0]
    page.show("turned", z)
    page.click(x, y)
    assert page.text("count-here") == str(len(picks) - 1) and page.text("count-edits") == "1"
    far = next(
        np.array([px, py])
        for px in range(8, 60, 4) for py in range(8, 72, 4)
        if np.hypot(*(picks.xyz[:, :2] - [px, py]).T).min() > 12
    )  # fmt: skip
    page.click(*far)
    assert page.text("count-here") == str(len(picks)) and page.text("count-edits") == "2"
    saved = read_coordinate_list(page.saved("download-all"))["turned"]
    np.testing.assert_allclose(saved[:-1], picks.xyz[1:], atol=0.006)
    np.testing.assert_allclose(saved[-1, :2], far, atol=0.2)  # a click hits a pixel of the screen
    assert abs(saved[-1, 2] - z) <= 1.5
    page.click(x, y)  # back in
    page.click(*far)  # and out again
    assert page.text("count-edits") == "0" and page.text("count-here") == str(len(picks))


def test_a_click_means_the_circle_that_is_seen(page: Page, run: Path) -> None:
    """Circles far from the middle of their spheres: inside they are taken out, outside a pick is added."""
    thickness = page.script("return tomograms[0].thickness")
    tried = 0
    for x, y, z in above(run, "turned", 0.5).xyz:
        for slice_ in range(-(-SIZE[2] // thickness)):
            middle = (slice_ * thickness + min((slice_ + 1) * thickness, SIZE[2]) - 1) / 2
            away = max(abs(z - middle) - thickness / 2, 0.0)
            if not 4.0 < away < 4.9:
                continue
            page.show("turned", middle)
            seen = float(np.sqrt(25.0 - away**2))
            before = int(page.text("count-here"))
            page.click(x + 0.5 * seen, y)
            assert int(page.text("count-here")) == before - 1
            page.click(x + 0.5 * seen, y)
            assert int(page.text("count-here")) == before
            page.click(x + seen + 0.6, y)
            assert int(page.text("count-here")) == before + 1
            page.click(x + seen + 0.6, y)
            tried += 1
    assert tried > 0


def test_what_is_not_seen_is_not_changed(page: Page, run: Path) -> None:
    x, y, z = above(run, "turned", 0.5).xyz[0]
    page.show("turned", z)
    page.press("c")
    page.click(x, y)
    assert page.find("circles").is_selected() and page.text("count-edits") == "0"
    page.click(x, y)
    assert page.text("count-edits") == "1"


def test_leaving_is_asked_for_while_a_tomogram_is_unsaved(page: Page, run: Path) -> None:
    def asks() -> bool:
        return bool(
            page.script("const e = new Event('beforeunload', {cancelable: true}); return !window.dispatchEvent(e)")
        )

    assert not asks()
    for name in ("turned", "flat"):
        x, y, z = above(run, name, 0.5).xyz[0]
        page.show(name, z)
        page.click(x, y)
    page.saved("download-here")
    assert asks()  # the other one is not saved
    page.saved("download-all")
    assert not asks()


def test_close_ups_follow_what_is_taken_out(page: Page, run: Path) -> None:
    name, xyz = "turned", above(run, "turned", 0.5).xyz
    best = f"{name}: " + " ".join(f"{value:.0f}" for value in xyz[0])
    shown = "return [...document.querySelectorAll('#best button')].map((button) => button.title)"
    wait_for(lambda: best in page.script(shown))
    page.show(name, xyz[0, 2])
    page.click(*xyz[0, :2])
    wait_for(lambda: best not in page.script(shown))


def test_a_taken_in_candidate_goes_out_again_when_the_threshold_reaches_it(page: Page, run: Path) -> None:
    page.threshold(0.99)
    weak = above(run, "flat", 0.5).xyz[0]
    page.show("flat", weak[2])
    page.find("others").click()
    page.click(*weak[:2])
    page.threshold(0.3)
    count = int(page.text("count-here"))
    page.click(*weak[:2])
    assert int(page.text("count-here")) == count - 1


def test_the_page_can_be_scrolled_and_used_by_keyboard(page: Page) -> None:
    """Keys move the slice where it has the focus, and elsewhere what they always move."""
    assert page.script("return document.activeElement.id") == "slices"
    keys = webdriver.ActionChains(page.driver)  # to whatever has the focus; Selenium scrolls nothing for it
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.PAGE_DOWN).perform()
    assert page.script("return [state.shown, window.scrollY]") == [1, 0]
    page.find("threshold").send_keys(Keys.PAGE_UP)
    assert page.script("return state.threshold") > 0.5
    row = page.driver.find_elements(By.CSS_SELECTOR, "#tomograms button")[2]
    row.send_keys(Keys.ENTER)
    assert page.text("name") == row.text
    before = page.script("return viewer.slice")
    row.send_keys(Keys.PAGE_DOWN)
    assert page.script("return viewer.slice") == before


def test_a_weak_candidate_is_taken_by_a_click(page: Page, run: Path) -> None:
    page.threshold(0.99)
    assert page.text("count-all") == "0"
    weak = above(run, "flat", 0.5)
    page.show("flat", weak.xyz[0, 2])
    page.find("others").click()
    page.click(*weak.xyz[0, :2])
    saved = read_coordinate_list(page.saved("download-all"))
    np.testing.assert_allclose(saved["flat"], weak.xyz[:1], atol=0.006)


def test_circles_lie_on_the_particles(page: Page, run: Path) -> None:
    """The particles, which are dark, are dark on the canvas; the circles have their radius and colour there."""
    picks = above(run, "turned", 0.5)
    for x, y, z in picks.xyz:
        page.script(
            "document.getElementById('truth').checked = false; document.getElementById('circles').checked = false"
        )
        page.show("turned", z)
        look = (
            "const [x, y] = arguments, c = viewer.canvas, s = c.width / viewer.volume.size[0];"
            "const place = [(x + 0.5) * s, c.height - (y + 0.5) * s].map(Math.round);"
            "return [...c.getContext('2d').getImageData(...place, 1, 1).data]"
        )
        assert page.script(look, x, y)[0] < 60
        page.script("document.getElementById('circles').checked = true")
        page.drawn()
        across = max(
            abs(z - page.script("return viewer.middle()")) - page.script("return viewer.volume.thickness") / 2, 0
        )
        radius = float(np.sqrt(25.0 - across**2))
        inside = x + radius < SIZE[0] - 1
        red, green, blue, _ = page.script(look, x + radius if inside else x - radius, y)
        assert green > 150 and green > red + 60 and green > blue


def test_keys(page: Page) -> None:
    page.show("flat", 12)
    before = page.script("return [viewer.slice, state.shown, state.threshold]")
    page.press(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert page.script("return state.shown") == before[1] + 1
    page.press(Keys.ARROW_LEFT, Keys.ARROW_DOWN, "]", "]", "[")
    assert page.script("return [viewer.slice, state.shown]") == [before[0] - 1, before[1]]
    assert page.script("return state.threshold") == pytest.approx(before[2] + 0.01)
    page.press("h", "c", "b", "t")
    boxes = {name: page.find(name).is_selected() for name in ("heat", "circles", "others", "truth")}
    assert boxes == {"heat": True, "circles": False, "others": True, "truth": False}


def test_keys_of_what_is_not_there_are_not_shown(page: Page) -> None:
    page.show("flat", 12)
    assert all(page.find(name).is_displayed() for name in ("truth-label", "truth-key", "heat-label", "heat-key"))
    page.script("delete current().truth; delete current().volume.heat; show(state.shown)")
    assert not any(page.find(name).is_displayed() for name in ("truth-label", "truth-key", "heat-label", "heat-key"))
    page.press("t")
    assert page.find("truth").is_selected()


def test_the_heat_map_lies_on_its_tomogram(page: Page, run: Path) -> None:
    x, y, z = above(run, "turned", 0.5).xyz[0]
    page.script("for (const name of ['circles', 'truth']) document.getElementById(name).checked = false")
    page.show("turned", z)
    look = (
        "const c = viewer.canvas, s = c.width / viewer.volume.size[0], [x, y] = arguments;"
        "const place = [(x + 0.5) * s, c.height - (y + 0.5) * s].map(Math.round);"
        "const p = c.getContext('2d').getImageData(...place, 1, 1);"
        "return p.data[0] - p.data[2]"
    )
    assert abs(page.script(look, x, y)) < 10  # grey
    page.press("h")
    page.drawn()
    assert page.script(look, x, y) > 60  # orange


def test_montages(page: Page, run: Path) -> None:
    """The best picks of all tomograms with their scores, each a particle, dark in the middle; a click goes there."""
    look = (
        "return [...document.querySelectorAll('#best button')].map((button) => {"
        "const c = button.querySelector('canvas');"
        "const middle = c.getContext('2d').getImageData(c.width / 2, c.width / 2, 1, 1).data[0];"
        "return [Number(button.textContent), middle, button.title]; })"
    )
    everything = sorted((score for name in ORDERS for score in above(run, name, 0.5).score), reverse=True)[:12]
    wait_for(lambda: len(page.script(look)) == len(everything))
    shown = page.script(look)
    assert [score for score, _, _ in shown] == pytest.approx(everything, abs=0.006)
    assert max(middle for _, middle, _ in shown) < 90
    page.script("document.querySelector('#best button:last-child').click()")
    assert shown[-1][2].startswith(page.script("return current().name") + ": ")


def test_names_are_only_text(page: Page) -> None:
    assert page.script("return window.harm ?? null") is None
    assert page.driver.find_elements(By.CSS_SELECTOR, "img") == []
    assert HOSTILE in page.text("tomograms")
