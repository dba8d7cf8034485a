"""``milopyp report`` in a browser: what a person sees, chooses and saves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser.report_page import HOSTILE, ORDERS, SIZE, Page, above, count
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.formats.candidates import read_candidates
from running import run_line, wait_for


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


def test_the_page_can_be_scrolled_and_used_by_keyboard(page: Page) -> None:
    """Keys move the slice where it has the focus, and elsewhere what they always move."""
    assert page.script("return document.activeElement.id") == "plane-z"
    keys = webdriver.ActionChains(page.driver)  # to whatever has the focus; Selenium scrolls nothing for it
    keys.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.PAGE_DOWN).perform()
    assert page.script("return [state.shown, window.scrollY]") == [1, 0]
    page.find("threshold").send_keys(Keys.PAGE_UP)
    assert page.script("return run.threshold") > 0.5
    row = page.driver.find_elements(By.CSS_SELECTOR, "#tomograms button")[2]
    row.send_keys(Keys.ENTER)
    assert page.text("name") == row.text
    before = page.script("return viewer.place.z")
    row.send_keys(Keys.PAGE_DOWN)
    assert page.script("return viewer.place.z") == before


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
    look = "return [Number(element('slice').value), state.shown, run.threshold]"
    before = page.script(look)
    page.press(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert page.script("return state.shown") == before[1] + 1
    page.press(Keys.ARROW_LEFT, Keys.ARROW_DOWN, "]", "]", "[")
    assert page.script(look)[:2] == [6 - 1, before[1]]  # each tomogram from its middle on
    assert page.script("return run.threshold") == pytest.approx(before[2] + 0.01)
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
    page.script("for (const own of run.tomograms) own.voxel = undefined")  # no scale bar over it
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
