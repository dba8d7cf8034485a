"""One version everywhere: of the package, the citation, the changelog, and the pages that tell how to use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_citation_and_changelog_name_the_version() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    [newest, *_] = re.findall(r"^## (\S+) \((.+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[0] == VERSION
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", newest[1])


def test_every_page_names_the_version(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(line, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=True, timeout=120)
    pages = [page.read_text(encoding="utf-8") for page in tmp_path.rglob("index.html")]
    assert len(pages) > 20
    for page in pages:
        [title] = re.findall(r"<title>(.*?)</title>", page, re.DOTALL)
        assert re.search(rf"milopyp {re.escape(VERSION)}( \(unreleased\))?$", title.strip()), title
