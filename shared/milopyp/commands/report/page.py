"""The HTML file: template, style and program in one, with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

# One after the other, those of all pages before its own.
SCRIPTS = (
    ("sources.js", "plane.js", "looks.js", "viewer.js", "hand.js"),
    ("run.js", "edits.js", "scores.js", "closeups.js", "saving.js", "keys.js", "report.js"),
)
STYLES = (("common.css",), ("report.css",))
GROWTH = 1.36  # of pictures written as text, with what stands around them


def render(run: str, runs: Sequence[dict[str, Any]], pictures: Sequence[dict[str, Any]]) -> str:
    """The page.

    Names and numbers reach it as JSON in which nothing can end a script, and the page's program writes them as text;
    its policy lets no other program run and nothing load.

    Parameters
    ----------
    run
        What the page is called.
    runs
        `contents.about` of each class.
    pictures
        `contents.pictures_of` of each tomogram.
    """
    folders = (files("milopyp").joinpath("pages"), files("milopyp.commands.report"))
    script, style = (
        "\n".join(
            folder.joinpath(name).read_text(encoding="utf-8") for folder, names in zip(folders, kind) for name in names
        )
        for kind in (SCRIPTS, STYLES)
    )
    environment = Environment(
        loader=PackageLoader("milopyp.commands.report", "."), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html").render(
        run=run,
        runs=list(runs),
        pictures=pictures,
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        version=version("milopyp"),
    )


def _hash(text: str) -> str:
    """As a content security policy names a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
