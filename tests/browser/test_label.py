"""``milopyp label`` in a browser without WebGL: from the first click to a model of 3dmod, as a person goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imodmodel
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from labelling.asking import Page as Server
from labelling.asking import labelling
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.matching import match_greedy
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from running import run_line, wait_for

DIAMETER = 18
SHAPE = (48, 128, 144)
OFF = np.array([1.5, -1.0, 0.0])  # as hands are


@dataclass(frozen=True)
class Scene:
    """Two phantoms: the first is clicked on, the second is picked."""

    folder: Path
    truth: dict[str, np.ndarray]

    def inside(self, name: str) -> np.ndarray:
        """Particles that a person would click on: whole ones."""
        xyz, size = self.truth[name], np.array(SHAPE[::-1])
        return xyz[((xyz > DIAMETER / 2) & (xyz < size - DIAMETER / 2)).all(axis=1)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("label")
    settings = PhantomSettings(SHAPE, n_particles=22, n_distractors=12, diameter=DIAMETER, noise=1.0)
    files = write_phantoms(folder, 2, settings)
    return Scene(folder, read_coordinate_list(files.coordinates))


@dataclass
class Page:
    """The open page, and the server behind it."""

    driver: webdriver.Chrome
    server: Server

    def find(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def open(self) -> None:
        """As the address in the terminal does; a page that was open goes first."""
        self.driver.get("about:blank")
        self.driver.get(f"http://127.0.0.1:{self.server.port}/#token={self.server.token}")
        self.settle()

    def settle(self) -> None:
        """Wait until all planes are drawn."""
        wait_for(lambda: self.script("return Boolean(page.session?.state && page.viewer.volume)"))
        self.driver.execute_async_script("const done = arguments[0]; page.viewer.draw().then(() => done());")

    def go(self, xyz: np.ndarray) -> None:
        """Bring a place into view, as the list and the wheel do."""
        x, y, z = xyz.tolist()
        self.script("page.viewer.go({x: arguments[0], y: arguments[1], z: Math.round(arguments[2])})", x, y, z)
        self.settle()

    def click(self, xyz: np.ndarray, *held: str) -> None:
        """On XY at a place that is in view."""
        right, down = self.script(
            "const [x, y] = arguments, {viewer} = page, plane = viewer.plane('z');"
            "const [left, top] = plane.screen({x, y}, viewer.view);"
            "return [left - plane.width / 2, top - plane.height / 2];", *map(float, xyz[:2]),
        )  # fmt: skip
        actions = webdriver.ActionChains(self.driver)
        for key in held:
            actions = actions.key_down(key)
        actions = actions.move_to_element_with_offset(self.find("xy"), round(right), round(down)).click()
        for key in held:
            actions = actions.key_up(key)
        actions.perform()

    def labels(self) -> list[list[float]]:
        """Of the tomogram in view, as the page has them."""
        found: list[list[float]] = self.script("return page.session.state.tomograms[page.session.index].labels")
        return found

    def suggestions(self) -> list[list[float]]:
        found: list[list[float]] = self.script("return page.session.open.map(({x, y, z, score}) => [x, y, z, score])")
        return found

    def selected(self) -> dict[str, Any]:
        """The label (which has an id) or the suggestion that is selected."""
        text = "const {id, x, y, z} = page.session.selected ?? {}; return {id: id ?? null, xyz: [x, y, z]}"
        found: dict[str, Any] = self.script(text)
        return found

    def fresh(self) -> None:
        """Wait until the page has the suggestions of all labels."""
        wait_for(lambda: self.server.tomogram()["current"] and self.server.tomogram()["suggestions"])
        wait_for(lambda: self.script("return page.session.own.suggestions") == self.server.tomogram()["suggestions"])
        wait_for(self.suggestions)

    def press(self, name: str) -> None:
        self.find(name).click()

    def job(self, name: str) -> Any:
        """A job, once it is over."""

        def over() -> Any:
            return next((job for job in self.server.state()["jobs"] if job["name"] == name), {"state": "running"})

        wait_for(lambda: over()["state"] != "running")
        return over()


@pytest.fixture
def page(chromium: webdriver.Chrome, scene: Scene, tmp_path: Path) -> Iterator[Page]:
    words = f"{scene.folder}/phantom_1.mrc {scene.folder}/phantom_2.mrc --bbox {DIAMETER}"
    with opened(chromium, words, tmp_path) as page:
        yield page


@contextmanager
def opened(chromium: webdriver.Chrome, words: str, folder: Path) -> Iterator[Page]:
    """The page of ``milopyp label`` with these words, which must not complain."""
    with labelling(words, folder) as server:
        page = Page(chromium, server)
        page.open()
        yield page
        complaints = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
        chromium.get("about:blank")
    assert complaints == []


def test_the_whole_way(page: Page, scene: Scene) -> None:
    truth = scene.inside("phantom_1")
    for number, particle in enumerate(truth[:5], 1):
        page.go(particle)
        page.click(particle + OFF)
        wait_for(lambda number=number: len(page.labels()) == number)
    clicked = np.array([label[1:4] for label in page.labels()])
    assert np.linalg.norm(clicked - truth[:5], axis=1).max() < DIAMETER / 4  # they snap
    page.fresh()

    # three corrections: two that are right, one that is wrong
    for number, right in enumerate((True, True, False), 6):
        found = np.array(page.suggestions())
        hits = match_greedy(found[:, :3], found[:, 3], scene.truth["phantom_1"], DIAMETER / 2).truth_of_pick >= 0
        corrected = found[hits == right][0]
        page.script(
            "page.session.score = arguments[0]", min(0.9 * corrected[3], page.script("return page.session.score"))
        )
        page.go(corrected[:3])
        page.click(corrected, *([] if right else [Keys.ALT]))
        wait_for(lambda number=number: len(page.labels()) == number)
        page.fresh()
    assert [label[4] for label in page.labels()] == [1] * 7 + [0]
    left = np.array(page.suggestions())[:, :3]
    assert np.linalg.norm(left - corrected[:3], axis=1).min() > DIAMETER / 2

    page.script("page.session.score = null; element('method').value = 'learn'")
    page.press("train")
    done = page.job("label-1")
    assert done["state"] == "done", done
    page.script("page.show(1); element('pick-which').value = 'one'")
    page.settle()
    page.press("pick")
    done = page.job("picks-1")
    assert done["state"] == "done", done

    out = page.server.out
    assert {"label-1.onnx", "coords.txt", "imgs.txt", "rejected.txt"} <= {path.name for path in out.iterdir()}
    wanted = [label[1:4] for label in page.server.tomogram()["labels"] if label[4]]
    np.testing.assert_allclose(read_coordinate_list(out / "coords.txt")["phantom_1"], wanted, atol=0.01)
    model = imodmodel.read(out / "models/phantom_1.mod")
    assert len(model) == 7
    picks = imodmodel.read(out / "picks-1/phantom_2.mod")
    assert len(picks) == json_of(out / "picks-1/records/phantom_2.json")["picks"] > 10
    write_coordinate_list(scene.folder / "truth_2.txt", {"phantom_2": scene.truth["phantom_2"]})
    judged = run_line(f"milopyp evaluate {out}/picks-1 --truth {scene.folder}/truth_2.txt --json {out}/judged.json")
    assert judged.code == 0, judged.err
    assert json_of(out / "judged.json")["auprc"] >= 0.8


def json_of(path: Path) -> Any:
    return json.loads(path.read_text())


def test_nothing_is_lost(page: Page, scene: Scene) -> None:
    truth = scene.inside("phantom_1")
    for particle in truth[:3]:
        page.go(particle)
        page.click(particle)
    wait_for(lambda: len(page.labels()) == 3)
    page.press("undo")
    wait_for(lambda: len(page.labels()) == 2)
    before = page.labels()
    page.open()  # read again
    assert page.labels() == before
    page.press("redo")
    wait_for(lambda: len(page.labels()) == 3)
    page.find("xy").send_keys(Keys.CONTROL, "z")
    wait_for(lambda: len(page.labels()) == 2)
    first, second = page.driver.current_window_handle, None
    page.driver.switch_to.new_window("window")
    second = page.driver.current_window_handle
    page.open()
    assert page.labels() == before
    wait_for(lambda: page.find("windows").is_displayed())
    page.driver.close()
    page.driver.switch_to.window(first)
    assert second is not None


def test_by_keyboard_alone(page: Page, scene: Scene) -> None:
    [particle] = scene.inside("phantom_1")[:1]
    canvas = page.find("xy")
    canvas.send_keys("")
    page.go(particle)
    canvas.send_keys(Keys.ENTER)
    wait_for(lambda: len(page.labels()) == 1)
    page.fresh()
    canvas.send_keys("d")
    wait_for(lambda: page.find("doubtful-yes").is_enabled())
    canvas.send_keys("y")
    wait_for(lambda: len(page.labels()) == 2)
    canvas.send_keys("d", "n")
    wait_for(lambda: [label[4] for label in page.labels()] == [1, 1, 0])
    canvas.send_keys("]")
    wait_for(lambda: page.server.state()["classes"][0]["diameter"] == DIAMETER + 1)
    page.find("labels").send_keys(Keys.ARROW_DOWN, Keys.DELETE)
    wait_for(lambda: len(page.labels()) == 2)
    canvas.send_keys("?")
    wait_for(lambda: page.find("help").is_displayed())
    page.find("help").send_keys(Keys.ESCAPE)
    assert page.find("said").text


def test_a_question_ends_with_its_answer(page: Page, scene: Scene) -> None:
    page.go(scene.inside("phantom_1")[0])
    page.click(scene.inside("phantom_1")[0])
    wait_for(lambda: len(page.labels()) == 1)
    page.fresh()
    canvas = page.find("xy")
    canvas.send_keys("d")
    wait_for(lambda: page.find("doubtful").is_displayed())
    asked = page.selected()
    page.click(np.array(asked["xyz"]))
    wait_for(lambda: len(page.labels()) == 2 and page.selected()["id"] is not None)
    assert np.allclose(page.selected()["xyz"], asked["xyz"], atol=0.01)
    assert not page.find("doubtful").is_displayed()
    canvas.send_keys("n")  # nothing is asked
    canvas.send_keys(Keys.DELETE)
    wait_for(lambda: len(page.labels()) == 1)
    assert page.labels()[0][4] == 1

    canvas.send_keys("d")
    wait_for(lambda: page.find("doubtful").is_displayed())
    page.server.edit("accept", tomogram=0, places=[page.selected()["xyz"]])  # another window
    wait_for(lambda: len(page.labels()) == 2)
    wait_for(lambda: not page.find("doubtful").is_displayed())


def test_the_gallery_accepts_above_the_score_alone(page: Page, scene: Scene) -> None:
    page.go(scene.inside("phantom_1")[0])
    page.click(scene.inside("phantom_1")[0])
    wait_for(lambda: len(page.labels()) == 1)
    page.fresh()
    scores = sorted(score for *_, score in page.suggestions())
    page.script("page.session.score = arguments[0]", (scores[-4] + scores[-3]) / 2)
    above = [score for score in scores if score > page.script("return page.session.score")]
    page.press("gallery-open")
    wait_for(lambda: page.find("gallery-accept").is_displayed())
    count = "one" if len(above) == 1 else len(above)
    assert page.find("gallery-accept").text == f"Accept the {count} above {page.find('score-is').text}"
    red, _, blue = page.script(  # the circle, where it is furthest to the right
        "const canvas = document.querySelector('.tile canvas'), half = canvas.width / 2;"
        "return [...canvas.getContext('2d').getImageData(Math.floor(1.4 * half), half, 1, 1).data].slice(0, 3)"
    )
    assert red > blue
    page.press("gallery-accept")
    wait_for(lambda: len(page.labels()) == 1 + len(above))
    wait_for(lambda: not page.find("gallery-accept").is_displayed())
    page.press("gallery-close")


def test_a_reload_shows_the_same(page: Page) -> None:
    page.script("page.show(1)")
    page.settle()
    page.script("page.viewer.go({z: 11}); page.average(2); page.viewer.contrast(40, 190); page.session.score = 0.34")
    page.script("element('method').value = 'learn'; element('method').dispatchEvent(new Event('change'))")
    looked = (
        "const {viewer, session} = page;"
        "return [session.own.name, viewer.place.z, viewer.thick, viewer.black, viewer.white, session.score,"
        " element('method').value, element('z').value, element('thick').value]"
    )
    before = page.script(looked)
    page.open()
    assert page.script(looked) == before
    assert before[:5] == ["phantom_2", 11, before[2], 40, 190]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (820, 1180), (1920, 1080)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_matters_is_in_sight(page: Page, width: int, height: int, theme: str) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )
    page.settle()
    for name in ("xy", "xz", "yz", "z", "snap", "diameter", "undo", "kind-none"):
        box = page.find(name).rect
        assert 0 <= box["x"] <= width - box["width"] + 1, name
        assert 0 <= box["y"] <= height - box["height"] + 1, name
    assert page.script("return document.documentElement.scrollWidth") <= width
    assert page.script("return document.createElement('canvas').getContext('webgl')") is None
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
