"""A real browser, Debian's Chromium without a window, driven over its own protocol; a run and its page."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from browser.report_page import ORDERS, SIZE, WEAK, Page, opened
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.formats.candidates import read_candidates, write_candidates
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.picks import Picks
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

PROGRAMS = ("chromium", "chromedriver")


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser saves what a page offers."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chromium(downloads: Path) -> Iterator[webdriver.Chrome]:
    """One browser for all tests."""
    found = [shutil.which(program) for program in PROGRAMS]
    if None in found:
        missing = f"no {' or '.join(PROGRAMS)} here: make test-browser installs them where it may"
        if os.environ.get("MILOPYP_NO_SKIP"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = str(found[0])
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-3d-apis",  # people without a GPU have no WebGL either
        "--disable-dev-shm-usage",
        "--window-size=1500,1100",
    ):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(found[1])))
    yield driver
    driver.quit()


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


@pytest.fixture
def page(chromium: webdriver.Chrome, run: Path, downloads: Path) -> Iterator[Page]:
    with opened(chromium, run / "picks/report.html", downloads) as page:
        yield page
