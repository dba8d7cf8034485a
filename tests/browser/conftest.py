"""A real browser: Debian's Chromium without a window, driven over its own protocol."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

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
