"""``milopyp report`` in a browser: picks taken out, put in and added, undone, kept, saved and applied."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from browser.report_page import ORDERS, SIZE, Page, above, count, tomograms_of
from milopyp_shared.coordinate_lists import read_coordinate_list
from running import run_line, wait_for


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
    thickness = page.script("return run.tomograms[0].thickness")
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


def test_a_weak_candidate_is_taken_by_a_click(page: Page, run: Path) -> None:
    page.threshold(0.99)
    assert page.text("count-all") == "0"
    weak = above(run, "flat", 0.5)
    page.show("flat", weak.xyz[0, 2])
    page.find("others").click()
    page.click(*weak.xyz[0, :2])
    saved = read_coordinate_list(page.saved("download-all"))
    np.testing.assert_allclose(saved["flat"], weak.xyz[:1], atol=0.006)


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
    before = page.script("return run.tomograms.map((own) => own.chosen(0.5))")
    page.driver.refresh()
    assert page.script("return run.tomograms.map((own) => own.chosen(0.5))") == before
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
    page.script("localStorage.setItem(run.store.key, arguments[0])", kept)
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
        page.script("show(run.tomograms.findIndex((own) => own.name === arguments[0])); edit({x: 9, y: 9, z: 9})", name)
    assert page.script(asks)
    page.script("for (const own of run.tomograms) own.saved = own.name !== 'flat'")
    assert page.script(asks)  # one is enough
    page.script("for (const own of run.tomograms) own.saved = true")
    assert not page.script(asks)
    page.driver.switch_to.default_content()


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
    picks = "return Object.fromEntries(run.tomograms.map((own) => [own.name, own.chosen(run.threshold)]))"
    wanted = page.script(picks)
    assert page.text("count-here") == "0" and int(page.text("count-edits")) > 5
    saved = page.saved("download-all")
    assert run_line(f"milopyp apply {tmp_path}/picks {saved}").code == 0
    with contextlib.chdir(run):
        assert run_line(f"milopyp report {tmp_path}/picks").code == 0
    page.driver.get((tmp_path / "picks/report.html").as_uri())
    found = page.script(picks)
    assert page.script("return run.threshold") == 0.4 and page.text("status") == ""
    for name in ORDERS:
        rows = [np.array(sorted(own[name])).reshape(-1, 4) for own in (found, wanted)]
        np.testing.assert_allclose(*rows, atol=0.006)
