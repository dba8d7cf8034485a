"""``milopyp report`` of a run of two classes in a browser: how they are told apart, which is looked at and mended."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser.keyboard import press
from browser.report_page import Page, count, opened
from milopyp_shared.coordinate_lists import read_pick_list, write_classes
from milopyp_shared.formats.candidates import write_candidates
from milopyp_shared.picks import Picks
from running import run_line
from toys import TOY_OF_TWO, clean_phantom, write_tomogram

NAMES = ("a", "b")
RIBOSOMES = np.array([[20.0, 20, 12], [44, 20, 12], [20, 62, 12]])
PROTEASOMES = np.array([[44.0, 62, 12], [32, 41, 12], [52, 41, 12]])
PLACES = {"ribosome": RIBOSOMES, "proteasome": PROTEASOMES}
SCORES = np.array([0.9, 0.8, 0.3])
FIRST, SECOND = PLACES
LUMINANCE = (0.2126, 0.7152, 0.0722)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run of two classes over two tomograms, whose candidates lie where they are easily looked at."""
    folder = tmp_path_factory.mktemp("classes")
    with contextlib.chdir(folder):
        for seed, name in enumerate(NAMES, 1):
            write_tomogram(Path(f"{name}.mrc"), clean_phantom(seed, (24, 80, 64), particles=3).volume, voxel_size=10.0)
        shutil.copy(TOY_OF_TWO, "toy.onnx")
        line = "milopyp-infer a.mrc b.mrc --model toy.onnx --out picks --threads 1 --out-thresh 0.5"
        assert run_line(line).code == 0
        for kind, places in PLACES.items():
            for name in NAMES:
                write_candidates(Path(f"picks/{kind}/{name}.candidates.csv"), Picks(places, SCORES))
        write_classes("truth.txt", {FIRST: dict.fromkeys(NAMES, RIBOSOMES[:1])})
        assert run_line("milopyp threshold picks/proteasome --value 0.25").code == 0
        outcome = run_line("milopyp report picks --truth truth.txt")
        assert outcome.code == 0, outcome.err
    yield folder


@pytest.fixture
def page(chromium: webdriver.Chrome, run: Path, downloads: Path) -> Iterator[Page]:
    with opened(chromium, run / "picks/report.html", downloads) as page:
        yield page


def legend(page: Page) -> list[list[str]]:
    """Each class: how many picks here and in all, above which score."""
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#classes tr")
    return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, ".number")] for row in rows]


def chosen(page: Page) -> list[bool]:
    return [own.is_selected() for own in page.driver.find_elements(By.CSS_SELECTOR, "#classes input")]


def test_keys_choose_the_class_that_is_looked_at(page: Page) -> None:
    assert chosen(page) == [True, False] and legend(page) == [["2", "4", "0.50"], ["3", "6", "0.25"]]
    assert page.text("count-all") == "4" and page.find("judged").is_displayed() and page.text("judged") == "0.50, 1.00"
    page.press("2")
    assert chosen(page) == [False, True] and page.text("status") == "proteasome: 6 picks, 3 here."
    assert page.text("threshold-is") == "0.250" and page.text("count-all") == "6"
    assert not page.find("judged").is_displayed()  # the truth knows none
    page.threshold(0.85)
    assert legend(page) == [["2", "4", "0.50"], ["1", "2", "0.85"]]
    page.press("3", "9")
    assert chosen(page) == [False, True]
    page.press("1")
    assert chosen(page) == [True, False] and page.text("threshold-is") == "0.500"
    page.driver.find_elements(By.CSS_SELECTOR, "#classes label")[1].click()
    assert chosen(page) == [False, True] and page.text("threshold-is") == "0.850"
    page.press(Keys.ARROW_RIGHT)
    assert page.text("name") == "b" and page.text("count-here") == "1"


def test_keys_of_other_keyboards(page: Page) -> None:
    """French ones type digits with Shift only; the keypad's are digits, too; Shift may make something else of one."""
    keys = (("é", "Digit2", ""), ("&", "Digit1", ""), ("2", "Digit2", "shiftKey"), ("1", "Numpad1", ""), ("2", "", ""))
    for typed, code, held in (*keys, ("&", "Digit1", "")):
        press(page.driver, typed, code, held)
        second = "2" in typed + code
        assert chosen(page) == [not second, second]
    scale = page.script("return viewer.view.scale")
    press(page.driver, "+", "Digit2", "shiftKey")
    assert chosen(page) == [True, False] and page.script("return viewer.view.scale") > scale
    press(page.driver, "]", "Digit2", "modifierAltGraph")
    assert chosen(page) == [True, False] and page.text("threshold-is") == "0.510"


def test_close_ups_are_of_the_class_that_is_looked_at(page: Page) -> None:
    titles = "return [...document.querySelectorAll('#best button')].map((own) => own.title)"
    for key, places in (("2", PROTEASOMES), ("1", RIBOSOMES)):
        page.press(key)
        end = "const done = arguments[0]; drawMontages(run.threshold, () => {}).then(done)"
        page.driver.execute_async_script(end)
        shown = page.script(titles)
        x, y, z = places[0]
        assert shown[0] == f"a: {x:.0f} {y:.0f} {z:.0f}" and {own[0] for own in shown} == set(NAMES)


@pytest.mark.parametrize("key", ["1", "2"])
def test_classes_are_told_apart_with_colours_and_without(page: Page, key: str) -> None:
    """By their lines, one whole and one dashed, in grey, too; by their numbers; the one looked at has wider lines."""
    page.press(key)
    page.only("circles")
    page.script("viewer.zoom(3, {x: 32, y: 40, z: 12})")
    drawn, widths = {}, {}
    for kind, (place, *_) in PLACES.items():
        page.script("return viewer.go({x: arguments[0], y: arguments[1], z: 12})", *place[:2].tolist())
        page.script("Object.assign(viewer.view.centre, viewer.place)")
        page.drawn()
        radius = {FIRST: 5.0, SECOND: 4.0}[kind]
        drawn[kind] = page.round(*place[:2], radius)
        scale = page.script("return viewer.view.scale")
        across = [
            page.pixel(place[0] + radius + step / scale, place[1] - 2 / scale) for step in np.arange(-4, 4.5, 0.5)
        ]
        widths[kind] = np.count_nonzero(np.ptp(across, axis=1) > 40)  # coloured, in a dash that begins here
        tag = [page.pixel(place[0] + 0.71 * radius + right / scale, place[1] + 0.71 * radius + up / scale)
               for right in range(2, 9) for up in range(1, 9)]  # fmt: skip
        assert np.count_nonzero(np.array(tag) @ LUMINANCE > 150) > 5
    light = {kind: own @ LUMINANCE > 150 for kind, own in drawn.items()}
    assert light[FIRST].mean() > 0.95
    assert 0.4 < light[SECOND].mean() < 0.85
    assert np.count_nonzero(np.diff(light[SECOND].astype(int))) > 8
    warm, cold = (np.median(own[light[kind]], axis=0) for kind, own in drawn.items())
    assert warm[0] > warm[2] + 60 and cold[2] > cold[0] + 60
    looked_at, other = (FIRST, SECOND) if key == "1" else (SECOND, FIRST)
    assert widths[looked_at] > widths[other]


def test_the_other_classes_are_hidden_and_never_changed_by_a_click(page: Page) -> None:
    there = "return viewer.spheres().filter((own) => own.tag).map((own) => own.tag).join('')"
    page.only("circles")
    assert page.script(there) == "22211"
    page.click(*PROTEASOMES[0, :2])
    assert count(page) == ["3", "1"] and legend(page)[1][0] == "3"  # one of the first class is added
    page.press(Keys.CONTROL, "z")
    page.press("a")
    assert page.script(there) == "11" and not page.find("all").is_selected()
    page.press("2")
    assert page.script(there) == "222"
    page.press("x", Keys.CONTROL, "z")
    assert page.text("status") == "proteasome: Nothing to undo."


def test_the_page_of_one_class_shows_the_same_edits(page: Page, run: Path) -> None:
    """And the other way round, each class its own."""
    outcome = run_line(f"milopyp report {run}/picks/{SECOND}")
    assert outcome.code == 0, outcome.err
    page.press("2", "n", "x")
    assert count(page) == ["2", "1"]
    page.driver.get((run / "picks" / SECOND / "report.html").as_uri())
    page.drawn()
    assert count(page) == ["2", "1"]
    page.press("n", "n", "x")
    assert count(page) == ["1", "2"]
    page.driver.get((run / "picks/report.html").as_uri())
    page.drawn()
    assert count(page) == ["2", "0"]
    page.press("2")
    assert count(page) == ["1", "2"]


def test_the_heat_map_is_of_the_class_that_is_looked_at(page: Page) -> None:
    page.press("h")
    page.drawn()
    seen = "return viewer.volume.heat === current().heat && viewer.plane('z').shown.heat.grey.join()"
    first = page.script(seen)
    page.press("2")
    page.drawn()
    second = page.script(seen)
    assert first and second and first != second


def test_all_classes_are_saved_in_one_list_and_applied(page: Page, run: Path, tmp_path: Path) -> None:
    """By `milopyp apply` to the folder of all; edits of each class stay with it when the page is opened anew."""
    shutil.copytree(run / "picks", tmp_path / "picks")
    page.only("circles")
    page.click(*RIBOSOMES[0, :2])
    page.press("2")
    page.threshold(0.95)
    page.click(10, 10)
    picks = (
        "return Object.fromEntries(runs.map((run) => [run.name, Object.fromEntries(run.tomograms.map((own) =>"
        " [own.name, own.chosen(run.threshold)]))]))"
    )
    wanted = page.script(picks)
    assert [[len(wanted[kind][name]) for name in NAMES] for kind in PLACES] == [[1, 2], [1, 0]]
    saved = page.saved("download-all")
    page.driver.refresh()
    assert page.text("status") == "ribosome: Your edits of last time are here again."
    assert page.script("return runs.map((own) => own.tomograms[0].edits)") == [1, 1]
    for kind, own in wanted.items():
        found = read_pick_list(saved, kind)
        assert {name: len(found[name]) for name in NAMES} == {name: len(own[name]) for name in NAMES}
    assert run_line(f"milopyp apply {tmp_path}/picks {saved}").code == 0
    with contextlib.chdir(run):
        assert run_line(f"milopyp report {tmp_path}/picks").code == 0
    page.driver.get((tmp_path / "picks/report.html").as_uri())
    found = page.script(picks)
    assert page.script("return runs.map((own) => own.threshold)") == [0.5, 0.95] and page.text("status") == ""
    for kind, name in ((kind, name) for kind in PLACES for name in NAMES):
        rows = [np.array(sorted(own[kind][name])).reshape(-1, 4) for own in (found, wanted)]
        np.testing.assert_allclose(*rows, atol=0.006)


def test_one_tomogram_is_saved_of_the_class_that_is_looked_at(page: Page) -> None:
    page.press("2")
    assert page.saved("download-here").name == "a_proteasome.csv"
