"""The page of ``milopyp report`` in a browser: what a person sees and does, in words for tests."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from milopyp_inference.decode.select import Selection, select_picks
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame

HOSTILE = "<img src=x onerror=window.harm=1><script>window.harm=2"
ORDERS = {"flat": "xyz", "turned": "xzy", HOSTILE: "xyz"}
SIZE = (64, 80, 24)  # x, y, z
WEAK = np.array([[4.0, 70.0, 3.0], [58.0, 74.0, 20.0], [5.0, 5.0, 20.0]])
WAIT = 10.0


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
            "show(run.tomograms.findIndex((own) => own.name === name), {z}).then(() => done());", name, z,
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


def above(run: Path, name: str, threshold: float) -> Picks:
    """What the run's candidates give at a threshold, by the program that picks."""
    record = json.loads((run / f"picks/records/{name}.json").read_text())
    frame = msgspec.convert(record["frame"], Frame)
    selection = replace(Selection(**record["options"]["selection"]), threshold=threshold)
    return select_picks(read_candidates(run / f"picks/{name}.candidates.csv"), selection, frame)


def count(page: Page) -> list[str]:
    return [page.text("count-here"), page.text("count-edits")]


def tomograms_of(run: Path) -> list[str]:
    """In the order of the page."""
    summary = json.loads((run / "picks/run.json").read_text())
    return [own["name"] if isinstance(own, dict) else own for own in summary["tomograms"]]


@contextlib.contextmanager
def opened(driver: webdriver.Chrome, report: Path, downloads: Path) -> Iterator[Page]:
    """The page of a file, which must not complain; nothing of it is left in the browser."""
    for old in downloads.iterdir():
        old.unlink()
    driver.get(report.as_uri())
    page = Page(driver, downloads)
    page.drawn()
    yield page
    page.window(0, 0)
    # reading pixels back, as only these tests do, is a matter of "rendering"
    complaints = [entry for entry in driver.get_log("browser") if entry["source"] != "rendering"]
    page.script("localStorage.clear()")
    assert complaints == []
