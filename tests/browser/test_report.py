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
        self.find("plane-z").send_keys(*keys)

    def drawn(self) -> None:
        """Wait until the slice that was asked for is on the canvas."""
        self.driver.execute_async_script("const done = arguments[0]; viewer.draw().then(() => done());")

    def show(self, name: str, z: float) -> None:
        """Bring a tomogram and a place of it up."""
        self.driver.execute_async_script(
            "const [name, z, done] = arguments;"
            "show(tomograms.findIndex((own) => own.name === name), {z}).then(() => done());", name, z,
        )  # fmt: skip

    def point(self, axis: str, u: float, v: float) -> tuple[int, int]:
        """CSS pixels of a voxel from the middle of a plane."""
        right, down = self.script(
            "const [axis, u, v] = arguments, plane = viewer.plane(axis), [across, up] = plane.sides;"
            "const [left, top] = plane.screen({[across]: u, [up]: v}, viewer.view);"
            "return [left - plane.width / 2, top - plane.height / 2];", axis, float(u), float(v),
        )  # fmt: skip
        return round(right), round(down)

    def click(self, u: float, v: float, axis: str = "z") -> None:
        """On a plane, at a voxel."""
        canvas = self.find(f"plane-{axis}")
        webdriver.ActionChains(self.driver).move_to_element_with_offset(
            canvas, *self.point(axis, u, v)
        ).click().perform()

    def pixel(self, u: float, v: float, axis: str = "z") -> list[int]:
        """Red, green and blue of the canvas at a voxel."""
        colour: list[int] = self.script(
            "const [axis, u, v] = arguments, plane = viewer.plane(axis), [across, up] = plane.sides;"
            "const place = plane.screen({[across]: u, [up]: v}, viewer.view).map((at) => at * devicePixelRatio);"
            "const data = plane.canvas.getContext('2d').getImageData(...place.map(Math.floor), 1, 1).data;"
            "return [...data].slice(0, 3);", axis, u, v,
        )  # fmt: skip
        return colour

    def round(self, x: float, y: float, radius: float) -> np.ndarray:
        """Pixels along a circle of XY: 180 times red, green and blue."""
        angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        return np.array([self.pixel(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles])

    def cut(self, xyz: np.ndarray) -> float:
        """Radius of the circle in which XY cuts a particle."""
        x, y, z = xyz.tolist()
        return float(
            self.script("return viewer.cut({x: arguments[0], y: arguments[1], z: arguments[2], radius: 5})", x, y, z)
        )

    def only(self, *shown: str) -> None:
        """Check these boxes and no others, and wait for the picture."""
        self.script(
            "for (const id of ['circles', 'others', 'truth', 'heat'])"
            " if (element(id).checked !== arguments[0].includes(id)) element(id).click();"
            "viewer.showCross = false", list(shown),
        )  # fmt: skip
        self.drawn()

    def window(self, width: int, height: int, theme: str = "light") -> None:
        """Another window; 0, 0: the browser's own."""
        if width:
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        else:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")

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
    page.window(0, 0)
    # reading pixels back, as only these tests do, is a matter of "rendering"
    complaints = [entry for entry in chromium.get_log("browser") if entry["source"] != "rendering"]
    page.script("localStorage.clear()")
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
    assert page.script("return document.activeElement.id") == "plane-z"
    keys = webdriver.ActionChains(page.driver)  # to whatever has the focus; Selenium scrolls nothing for it
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.PAGE_DOWN).perform()
    assert page.script("return [state.shown, window.scrollY]") == [1, 0]
    page.find("threshold").send_keys(Keys.PAGE_UP)
    assert page.script("return state.threshold") > 0.5
    row = page.driver.find_elements(By.CSS_SELECTOR, "#tomograms button")[2]
    row.send_keys(Keys.ENTER)
    assert page.text("name") == row.text
    before = page.script("return viewer.place.z")
    row.send_keys(Keys.PAGE_DOWN)
    assert page.script("return viewer.place.z") == before


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
    for place in picks.xyz:
        x, y, z = place
        page.only()
        page.show("turned", z)
        assert page.pixel(x, y)[0] < 60
        page.only("circles")
        radius = page.cut(place)
        inside = x + radius < SIZE[0] - 1
        red, green, blue = page.pixel(x + radius if inside else x - radius, y)
        assert green > 150 and green > red + 60 and green > blue


def test_keys(page: Page) -> None:
    page.show("flat", 12)
    look = "return [Number(element('slice').value), state.shown, state.threshold]"
    before = page.script(look)
    page.press(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert page.script("return state.shown") == before[1] + 1
    page.press(Keys.ARROW_LEFT, Keys.ARROW_DOWN, "]", "]", "[")
    assert page.script(look)[:2] == [6 - 1, before[1]]  # each tomogram from its middle on
    assert page.script("return state.threshold") == pytest.approx(before[2] + 0.01)
    page.press("h", "c", "b", "t")
    boxes = {name: page.find(name).is_selected() for name in ("heat", "circles", "others", "truth")}
    assert boxes == {"heat": True, "circles": False, "others": True, "truth": False}


def test_keys_of_what_is_not_there_are_not_shown(page: Page) -> None:
    page.show("flat", 12)
    page.driver.find_element(By.TAG_NAME, "summary").click()
    assert all(page.find(name).is_displayed() for name in ("truth-label", "truth-key", "heat-label", "heat-key"))
    page.script(
        "delete current().truth; Object.defineProperty(current(), 'heat', {value: null});"
        "const at = state.shown; state.shown = null; show(at)"
    )
    assert not any(page.find(name).is_displayed() for name in ("truth-label", "truth-key", "heat-label", "heat-key"))
    page.press("t")
    assert page.find("truth").is_selected()


def test_the_heat_map_lies_on_its_tomogram(page: Page, run: Path) -> None:
    x, y, z = above(run, "turned", 0.5).xyz[0]
    page.only()
    page.show("turned", z)
    red, _, blue = page.pixel(x, y)
    assert abs(red - blue) < 10  # grey
    page.press("h")
    page.drawn()
    for axis, (u, v) in {"z": (x, y), "y": (x, z), "x": (z, y)}.items():
        page.script("return viewer.go({x: arguments[0], y: arguments[1], z: arguments[2]})", *map(float, (x, y, z)))
        page.drawn()
        red, _, blue = page.pixel(u, v, axis)
        assert red - blue > 60, axis  # orange


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


@pytest.mark.parametrize("box", ["best", "borderline"])
def test_what_a_close_up_shows_is_marked(page: Page, run: Path, box: str) -> None:
    """Below the threshold, too, and with all circles hidden: its own circle, and a white ring around it."""
    page.only()
    page.script("for (const own of tomograms) own.voxel = undefined")  # no scale bar over it
    wait_for(lambda: page.driver.find_elements(By.CSS_SELECTOR, f"#{box} button"))
    button = page.driver.find_elements(By.CSS_SELECTOR, f"#{box} button")[-1]
    score = float(button.text)
    button.click()
    page.threshold(0.99)
    page.drawn()
    own, x, y, z, radius = page.script(
        "const {x, y, z, radius} = viewer.spheres().at(-1); return [current().name, x, y, z, radius]"
    )
    assert radius == pytest.approx(1.3 * 5)
    picks = above(run, own, 0.0)
    [index] = np.flatnonzero(np.linalg.norm(picks.xyz - [x, y, z], axis=1) < 0.02)
    assert picks.score[index] == pytest.approx(score, abs=0.006)
    ring = page.script("return viewer.cut(viewer.spheres().at(-1))")
    inside = [
        a for a in np.arange(0, 2 * np.pi, 0.1) if 0 < x + ring * np.cos(a) < 63 and 0 < y + ring * np.sin(a) < 79
    ]
    white = [min(page.pixel(x + ring * np.cos(a), y + ring * np.sin(a))) > 180 for a in inside]
    assert np.mean(white) > 0.9
    state = "picked" if score > 0.5 else "below the threshold"
    assert page.text("status").startswith(f"Candidate {index + 1} of") and state in page.text("status")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_circles_are_told_apart_without_colours(page: Page, run: Path, theme: str) -> None:
    """Light on dark everywhere; whole ones are picks, broken ones below the threshold, crossed ones taken out."""
    page.window(1366, 768, theme)
    page.threshold(0.5)
    xyz = above(run, "flat", 0.0).xyz
    middle = next(place for place in xyz if 8 < place[0] < 55 and 8 < place[1] < 71)
    x, y, z = middle
    page.show("flat", z)
    light = {}
    for threshold, name in ((0.0, "pick"), (0.99, "below")):
        page.threshold(threshold)
        page.only("circles", "others")
        light[name] = page.round(x, y, page.cut(middle)).max(axis=1) > 180
    assert light["pick"].mean() > 0.95
    assert 0.3 < light["below"].mean() < 0.8
    assert np.count_nonzero(np.diff(light["below"].astype(int))) > 8  # dashes
    arm = 0.5 * page.cut(middle)
    assert max(page.pixel(x + arm * 0.7, y + arm * 0.7)) < 180
    page.threshold(0.0)
    page.click(x, y)
    page.drawn()
    assert max(page.pixel(x + arm * 0.7, y + arm * 0.7)) > 180  # the cross of what was taken out


@pytest.mark.parametrize("window", [(1366, 768), (1280, 720), (820, 1180)])
def test_the_slice_stays_in_sight_beside_the_lists(page: Page, window: tuple[int, int]) -> None:
    page.window(*window)
    wait_for(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#borderline button"))
    button = page.driver.find_elements(By.CSS_SELECTOR, "#borderline button")[-1]
    button.click()  # the driver scrolls to it
    boxes = [page.find(f"plane-{axis}").rect for axis in "zyx"]
    assert page.script("return [scrollX, scrollY, document.documentElement.scrollWidth]") == [0, 0, window[0]]
    for box in boxes:
        assert box["x"] >= 0 and box["x"] + box["width"] <= window[0]
        assert box["y"] >= 0 and box["y"] + box["height"] <= window[1]
    assert boxes[0]["height"] > 0.3 * window[1]
    shown = button.rect
    assert shown["y"] >= 0 and shown["y"] + shown["height"] <= window[1]


def count(page: Page) -> list[str]:
    return [page.text("count-here"), page.text("count-edits")]


def test_edits_are_undone_and_done_again(page: Page, run: Path) -> None:
    picks = above(run, "turned", 0.5)
    x, y, z = picks.xyz[0]
    number = len(picks)
    page.show("turned", z)
    page.click(x, y)
    page.script("edit({x: 30, y: 30, z: 5})")
    page.show("flat", 3)
    page.press(Keys.CONTROL, "z")
    assert page.text("name") == "turned" and count(page) == [str(number - 1), "1"]  # it goes to where it was
    page.find("undo").click()
    assert count(page) == [str(number), "0"]
    page.find("undo").click()
    assert page.text("status") == "Nothing to undo."
    page.find("redo").click()
    page.press(Keys.CONTROL + Keys.SHIFT + "z")
    assert count(page) == [str(number), "2"]
    page.find("undo").click()
    page.show("turned", z)
    page.click(x, y)  # in again; what was undone is gone
    page.find("redo").click()
    assert count(page) == [str(number), "0"]


def test_edits_survive_until_they_are_forgotten(page: Page, run: Path) -> None:
    x, y, z = above(run, "turned", 0.5).xyz[0]
    page.show("turned", z)
    page.click(x, y)
    page.script("edit({x: 30, y: 30, z: 5})")
    before = page.script("return tomograms.map((own) => own.chosen(0.5))")
    page.driver.refresh()
    assert page.script("return tomograms.map((own) => own.chosen(0.5))") == before
    assert page.text("status") == "Your edits of last time are here again."
    assert page.text("count-edits") == "2" and "kept in this browser" in page.text("kept")
    page.find("forget").click()
    assert page.text("count-edits") == "0" and page.text("kept") == ""
    assert page.script("return localStorage.length") == 0
    page.find("undo").click()  # not meant
    assert page.text("count-edits") == "2"
    page.find("forget").click()
    page.driver.refresh()
    assert page.text("count-edits") == "0" and page.text("status") == ""


@pytest.mark.parametrize(
    "kept", ["[[3]]", "{}", "no JSON", '[{"tomogram": 9}, {"tomogram": 0, "candidate": "x"}, null]']
)
def test_what_others_have_left_in_the_storage_is_left_aside(page: Page, kept: str) -> None:
    page.script("localStorage.setItem(store.key, arguments[0])", kept)
    page.driver.refresh()
    assert page.text("count-edits") == "0" and page.text("count-here") != ""


def test_two_windows_with_one_page_show_the_same_edits(page: Page, run: Path) -> None:
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("window")
    page.driver.get((run / "picks/report.html").as_uri())
    page.script("edit({x: 30, y: 30, z: 5})")
    page.driver.close()
    page.driver.switch_to.window(first)
    wait_for(lambda: page.text("count-edits") == "1")


def test_a_browser_that_keeps_nothing(page: Page, run: Path) -> None:
    """As a frame without an origin, which is refused a storage: it is said, and leaving is asked about."""
    frame = run / "frame.html"
    frame.write_text('<iframe sandbox="allow-scripts" src="picks/report.html" width="1300" height="900"></iframe>')
    page.driver.get(frame.as_uri())
    page.driver.switch_to.frame(0)
    asks = "const e = new Event('beforeunload', {cancelable: true}); return !window.dispatchEvent(e)"
    assert "keeps no edits" in page.text("kept") and not page.script(asks)
    for name in ("turned", "flat"):
        page.script("show(tomograms.findIndex((own) => own.name === arguments[0])); edit({x: 9, y: 9, z: 9})", name)
    assert page.script(asks)
    page.script("for (const own of tomograms) own.saved = own.name !== 'flat'")
    assert page.script(asks)  # one is enough
    page.script("for (const own of tomograms) own.saved = true")
    assert not page.script(asks)
    page.driver.switch_to.default_content()


def test_xz_and_yz_are_cut_from_the_slices(page: Page, run: Path) -> None:
    """Particles, which are dark, are dark there as well; a click takes out what its circle shows."""
    picks = above(run, "turned", 0.5)
    for x, y, z in picks.xyz.tolist():
        page.show("turned", z)
        page.script("viewer.go({x: arguments[0], y: arguments[1], z: arguments[2]})", x, y, z)
        page.only()
        assert page.pixel(x, z, "y")[0] < 60 and page.pixel(z, y, "x")[0] < 60
    page.only("circles")
    for axis, place in (("y", (x, z)), ("x", (z, y))):
        page.click(*place, axis)
        assert count(page) == [str(len(picks) - 1), "1"]
        page.click(*place, axis)
        assert count(page) == [str(len(picks)), "0"]
    page.press("v")
    assert not page.find("plane-x").is_displayed() and not page.find("plane-y").is_displayed()
    page.click(x, y)
    assert count(page) == [str(len(picks) - 1), "1"]


def test_pulling_moves_zooms_and_changes_the_contrast_but_no_picks(page: Page, run: Path) -> None:
    x, y, z = above(run, "turned", 0.5).xyz[0]
    page.show("turned", z)
    look = "return [viewer.view.scale, viewer.view.centre.x, viewer.black, viewer.white]"
    scale, across, *_ = page.script(look)
    canvas = page.find("plane-z")
    hand = webdriver.ActionChains(page.driver)
    hand.move_to_element_with_offset(canvas, *page.point("z", x, y)).click_and_hold().move_by_offset(40, 0)
    hand.release().perform()
    assert page.script(look)[1] == pytest.approx(across - 40 / scale, abs=0.2)
    hand = webdriver.ActionChains(page.driver).key_down(Keys.SHIFT).move_to_element(canvas).click_and_hold()
    hand.move_by_offset(0, -60).release().key_up(Keys.SHIFT).perform()
    black, white = page.script(look)[2:]
    assert 0 < black < white < 255
    assert [int(page.find(name).get_attribute("value")) for name in ("black", "white")] == [black, white]
    page.press("+")
    assert page.script(look)[0] == pytest.approx(1.25 * scale)
    assert page.text("count-edits") == "0"
    page.find("reset").click()
    assert page.script(look) == [pytest.approx(scale), pytest.approx(across), 0, 255]


def test_all_tomograms_of_the_page_are_named_in_what_it_saves(page: Page, run: Path) -> None:
    """Those without picks, too, which have no row."""
    page.threshold(0.94)
    x, y, z = above(run, "turned", 0.94).xyz[0]
    page.show("turned", z)
    page.click(x, y)
    path = page.saved("download-all")
    first, second, *_ = path.read_text().splitlines()
    assert first == "# picks above 0.94 and by hand"
    assert second.split("\t") == ["# tomograms:", *sorted(ORDERS, key=list(tomograms_of(run)).index)]
    assert sorted(read_coordinate_list(path)) == sorted(set(ORDERS) - {"turned"})


def test_when_nothing_is_left_the_list_says_so(page: Page) -> None:
    page.threshold(0.99)
    assert {name: len(xyz) for name, xyz in read_coordinate_list(page.saved("download-all")).items()} == dict.fromkeys(
        ORDERS, 0
    )


def test_what_is_saved_goes_into_the_run_and_comes_back_on_its_page(page: Page, run: Path, tmp_path: Path) -> None:
    """By `milopyp apply`; the browser's own edits are those of the page before, and are not done twice."""
    shutil.copytree(run / "picks", tmp_path / "picks")
    page.threshold(0.4)
    for script in (
        "edit({x: 30, y: 30, z: 5})",
        "change(current().toggled(2, 0.4))",
        "change(current().toggled(9, 0.4))",
    ):
        page.script(script)
    page.script("show(2); for (let n = 0; n < current().above(0.4); n += 1) change(current().toggled(n, 0.4))")
    picks = "return Object.fromEntries(tomograms.map((own) => [own.name, own.chosen(state.threshold)]))"
    wanted = page.script(picks)
    assert page.text("count-here") == "0" and int(page.text("count-edits")) > 5
    saved = page.saved("download-all")
    assert run_line(f"milopyp apply {tmp_path}/picks {saved}").code == 0
    with contextlib.chdir(run):
        assert run_line(f"milopyp report {tmp_path}/picks").code == 0
    page.driver.get((tmp_path / "picks/report.html").as_uri())
    found = page.script(picks)
    assert page.script("return state.threshold") == 0.4 and page.text("status") == ""
    for name in ORDERS:
        rows = [np.array(sorted(own[name])).reshape(-1, 4) for own in (found, wanted)]
        np.testing.assert_allclose(*rows, atol=0.006)


def tomograms_of(run: Path) -> list[str]:
    """In the order of the page."""
    summary = json.loads((run / "picks/run.json").read_text())
    return [own["name"] if isinstance(own, dict) else own for own in summary["tomograms"]]


def test_everything_is_done_by_keyboard(page: Page, run: Path) -> None:
    """Picks are gone through, taken out, put in and added without a mouse, and it is said."""
    picks = above(run, "turned", 0.5)
    page.show("turned", 12)
    page.press("n")
    assert page.text("status").startswith("Candidate 1 of") and "picked" in page.text("status")
    np.testing.assert_allclose(page.script("return Object.values(viewer.place)"), picks.xyz[0], atol=0.006)
    page.press("x")
    assert page.text("status").startswith("Took out the candidate at")
    assert page.text("status").endswith(f"{len(picks) - 1} picks here.") and page.text("toggle") == "Take in"
    page.press("n", "p", Keys.ENTER)  # at the cross
    assert count(page) == [str(len(picks)), "0"]
    page.press("p")  # the last one
    assert f"Candidate {len(picks)} of" in page.text("status")
    page.script("viewer.go({x: 32, y: 8, z: 1})")
    page.press(Keys.SHIFT, Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.NULL)
    assert page.script("return [viewer.place.x, viewer.place.y]") == [31, 9]
    page.press(Keys.ENTER)
    assert page.text("status").startswith("Added a pick at 31, 9, 1.") and count(page)[1] == "1"
    page.press("n", "x")
    assert page.text("status").startswith("Took out the pick that was added") and count(page)[1] == "0"


def test_focus_is_seen_and_everything_has_a_name(page: Page) -> None:
    wait_for(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#borderline button"))
    controls = page.driver.find_elements(By.CSS_SELECTOR, "button, input, canvas[tabindex], summary")
    assert [own.get_attribute("outerHTML") for own in controls if not own.accessible_name] == []
    assert page.find("status").aria_role == "status"
    reached = {page.script("return document.activeElement.id")}
    for _ in range(len(controls)):
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        name, outline = page.script(
            "const own = document.activeElement; return [own.id, getComputedStyle(own).outlineStyle]"
        )
        assert outline == "solid" or name == "", name
        reached.add(name)
    assert {"plane-z", "plane-y", "plane-x", "undo", "redo", "forget", "next", "threshold", "black"} <= reached


def test_the_focus_stays_on_a_close_up_that_is_drawn_anew(page: Page) -> None:
    wait_for(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#borderline button"))
    button = page.driver.find_elements(By.CSS_SELECTOR, "#borderline button")[3]
    name = button.get_attribute("title")
    button.send_keys(Keys.ENTER)
    old = "return [...document.querySelectorAll('#borderline button')].some((own) => own.old ??= arguments[0])"
    assert page.script(old, True)
    webdriver.ActionChains(page.driver).send_keys("x").perform()
    wait_for(lambda: not page.script(old, False))
    assert page.script("return document.activeElement.title") == name
