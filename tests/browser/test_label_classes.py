"""``milopyp label`` with two classes in a browser: keys choose which one clicks label, and looks tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from browser.keyboard import press
from browser.test_label import Page, opened
from labelling.asking import labelling
from labelling.test_suggestions import BIG, SMALL, mixed
from milopyp_shared.coordinate_lists import read_classes
from running import run_line, wait_for

BBOX = f"--bbox big={BIG:g},small={SMALL:g}"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Any, Any]:
    """Of either kind of balls, in a.mrc."""
    return mixed(tmp_path / "a.mrc")


@pytest.fixture
def page(chromium: webdriver.Chrome, places: Any, tmp_path: Path) -> Iterator[Page]:
    with opened(chromium, f"a.mrc {BBOX}", tmp_path) as page:
        yield page


def key(page: Page, *keys: str) -> None:
    page.find("xy").send_keys(*keys)


def click_all(page: Page, places: Any) -> None:
    before = len(page.labels())
    for number, place in enumerate(places, before + 1):
        page.go(place)
        page.click(place)
        wait_for(lambda number=number: len(page.labels()) == number)


def spheres(page: Page, what: str) -> list[dict[str, Any]]:
    """Labels (with an id) or suggestions as they are drawn."""
    text = "return page.session.spheres.map(({colour, dashes, tag, mark, radius, id, of, dashed}) => ({colour, dashes,"
    text += " tag, mark, radius, id, dashed, species: of.species})).filter(({dashed}) => dashed === arguments[0])"
    found: list[dict[str, Any]] = page.script(text, what == "suggestions")
    return found


def test_two_classes_from_clicks_to_picks(page: Page, places: Any, tmp_path: Path) -> None:
    big, small = places
    click_all(page, big[:5])
    key(page, "2")
    assert page.find("class-2").is_selected()
    assert page.find("diameter").get_property("value") == f"{SMALL:g}"
    click_all(page, small[:5])
    assert [label[5] for label in page.labels()] == [0] * 5 + [1] * 5
    assert page.find("classes").text.split() == ["1", "big", "5", "2", "small", "5"]
    page.fresh()
    wait_for(lambda: page.script("return page.session.openOf(0).length && page.session.openOf(1).length"))

    # each looks like itself, in whatever colours it is seen
    for own, circles in ((label, spheres(page, what)) for label, what in enumerate(("labels", "suggestions"))):
        for species, diameter in enumerate((BIG, SMALL)):
            looks = [one for one in circles if one["species"] == species]
            assert looks
            assert {one["tag"] for one in looks} == {str(species + 1)}
            assert {tuple(one["dashes"]) for one in looks} == {((), (9, 4))[species]}
            assert {one["radius"] for one in looks} == {diameter / 2}
            assert {one["mark"] for one in looks} == ({None} if own else {"dot"})
    # scores, histogram and questions are of the class that clicks label
    scores = page.server.tomogram()["scores"]
    assert page.find("score-is").text == f"{scores[1]:.2f}"
    key(page, "d")
    wait_for(lambda: page.find("doubtful").is_displayed())
    assert page.find("doubtful-is").text.startswith("A small?")
    page.script("page.session.score = 0.99")
    assert not [one for one in spheres(page, "suggestions") if one["species"] == 1][1:]  # but for the one that is asked
    key(page, "1")
    wait_for(lambda: not page.find("doubtful").is_displayed())
    assert page.find("score-is").text == f"{scores[0]:.2f}"
    key(page, "2")
    assert page.script("return page.session.chosenScores") == [None, 0.99]
    page.script("page.session.score = null")

    # a label of the other class, by its key and by the legend; undone by the button
    page.script("page.session.select(page.session.labels[0])")
    press(page.driver, "@", "Digit2", "shiftKey")
    wait_for(lambda: page.labels()[0][5] == 1)
    page.press("undo")
    wait_for(lambda: page.labels()[0][5] == 0)
    page.script("element('class-1').click()")
    assert page.script("return page.session.species") == 0
    key(page, "9")
    assert page.find("said").text == "There are 2 classes"

    page.driver.get("about:blank")
    page.server.end()
    classes = read_classes(page.server.out / "coords.txt")
    assert {name: len(own["a"]) for name, own in classes.items()} == {"big": 5, "small": 5}
    assert np.linalg.norm(classes["big"]["a"] - big[:5], axis=1).max() < BIG / 4
    lists = f"{page.server.out}/imgs.txt {page.server.out}/coords.txt"
    outcome = run_line(f"milopyp learn {lists} {BBOX} -o {tmp_path}/both.onnx --threads 1")
    assert outcome.code == 0, outcome.err
    line = f"milopyp-infer {tmp_path}/a.mrc --model {tmp_path}/both.onnx --out {tmp_path}/picks --threads 1"
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    assert {"big", "small"} <= {path.name for path in (tmp_path / "picks").iterdir()}


def test_keys_of_other_keyboards(page: Page, places: Any) -> None:
    """French ones type digits with Shift; the keypad's are digits, too; AltGr makes brackets of some elsewhere."""
    click_all(page, places[0][:1])

    def chosen() -> int:
        found: int = page.script("return page.session.species")
        return found

    for typed, code in (
        ("é", "Digit2"),
        ("&", "Digit1"),
        ("2", "Numpad2"),
        ("1", "Numpad1"),
        ("2", ""),
        ("&", "Digit1"),
    ):
        press(page.driver, typed, code)
        assert chosen() == int("2" in typed + code)
        assert page.find("said").text == f"Clicks label {('big', 'small')[chosen()]}"
    press(page.driver, "2", "Digit2", "shiftKey")
    wait_for(lambda: page.labels()[0][5] == 1)
    press(page.driver, "1", "Digit1", "shiftKey")
    wait_for(lambda: page.labels()[0][5] == 0)
    scale = page.script("return page.viewer.view.scale")
    press(page.driver, "-", "Digit6")  # no class: the minus that it types
    assert page.script("return page.viewer.view.scale") < scale
    press(page.driver, "ArrowDown", "Numpad2")  # without Num Lock
    press(page.driver, "]", "Digit2", "modifierAltGraph")
    assert chosen() == 0
    wait_for(lambda: float(page.find("diameter").get_property("value")) == BIG + 1)


def test_a_suggestion_becomes_what_clicks_label(page: Page, places: Any) -> None:
    """And is rejected as what it was taken for; the gallery is of the class that clicks label."""
    big, _ = places
    click_all(page, big[:5])
    page.fresh()
    page.script("page.session.score = 0.02")
    one, other = (np.array(each) for each in page.suggestions()[:2])
    key(page, "2")
    page.go(one[:3])
    page.click(one)
    wait_for(lambda: len(page.labels()) == 6)
    assert page.labels()[5][4:] == [1, 1]
    page.go(other[:3])
    page.click(other, Keys.ALT)
    wait_for(lambda: len(page.labels()) == 7)
    assert page.labels()[6][4:] == [0, 0]
    wait_for(lambda: page.server.tomogram()["current"])
    wait_for(lambda: page.script("return page.session.own.suggestions") == page.server.tomogram()["suggestions"])
    left = np.array(page.script("return page.session.openOf(0).map(({x, y, z}) => [x, y, z])"))
    for place in (one, other):
        assert np.linalg.norm(left - place[:3], axis=1).min() >= BIG / 2
    key(page, "1")
    page.press("gallery-open")
    wait_for(lambda: page.find("gallery").is_displayed())
    assert page.find("gallery").find_element("tag name", "h2").text == "Suggestions of big"
    before = page.script("return page.session.species")
    page.open()  # read again
    assert page.script("return page.session.species") == before == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (820, 1180)])
def test_what_matters_is_in_sight(page: Page, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.settle()
    for name in ("classes", "xy", "xz", "yz", "z", "snap", "diameter", "undo", "kind-none"):
        box = page.find(name).rect
        assert 0 <= box["x"] <= width - box["width"] + 1, name
        assert 0 <= box["y"] <= height - box["height"] + 1, name
    assert page.script("return document.documentElement.scrollWidth") <= width
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_sizes_that_undoing_brings_back(chromium: webdriver.Chrome, places: Any, tmp_path: Path) -> None:
    """One from before there was another class, which no network sees beside it: said, until it is put right."""
    big, small = places
    with labelling("a.mrc --bbox big=30", tmp_path) as server:
        server.edit("diameter", diameter=BIG)
        server.end()
    apart = "sizes: diameters of 9 to 30 voxels; expected sizes that a network sees at once"
    with opened(chromium, f"a.mrc {BBOX}", tmp_path) as page:
        page.press("undo")
        wait_for(lambda: page.find("problem").is_displayed())
        assert page.find("problem").text.startswith(apart)
        assert "Change one, or redo; nothing new is suggested until then" in page.find("problem").text
        click_all(page, big[:1])
        assert page.find("suggestions-none").text == "None: the sizes are too far apart."
        page.script("page.session.resize(28)")  # on the way
        wait_for(lambda: "9 to 28 voxels" in page.find("problem").text)
        page.driver.get("about:blank")
        page.server.end()
    with opened(chromium, f"a.mrc {BBOX}", tmp_path) as page:
        assert "9 to 28 voxels" in page.find("problem").text
        page.script("page.session.resize(12)")
        wait_for(lambda: not page.find("problem").is_displayed())
        page.fresh()
        key(page, "2")
        click_all(page, small[:4])
        page.fresh()
