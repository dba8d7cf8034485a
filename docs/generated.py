"""Hook of mkdocs: the version on every page, and what the source says itself where a page has a mark for it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from milopyp_inference.engine.machine import AUTO
from milopyp_inference.engine.providers.registry import PRECISIONS, PROVIDERS

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

PROGRAMS = {
    "milopyp-train": ("milopyp_training.cli", "train_command"),
    "milopyp-export": ("milopyp_export.cli", "export_command"),
    "milopyp-infer": ("milopyp_inference.cli", "infer_command"),
    "milopyp": ("milopyp.cli", "milopyp"),
}
WIDTH = 82


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the version into the site's name, which stands in the head and the title of every page."""
    root = Path(config.config_file_path).parent
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    unreleased = f"{version} (unreleased)"
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    config.site_name += f" {unreleased if f'## {unreleased}' in changes else version}"
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help texts, or the table of providers, where the page has its mark."""
    for mark, lines in (("<!-- commands -->", commands), ("<!-- providers -->", providers)):
        if mark in markdown:
            markdown = markdown.replace(mark, "\n".join(lines()))
    return markdown


def providers() -> Iterator[str]:
    """What ``--provider`` takes, on what it runs, and which model files it takes."""
    yield "| `--provider` | runs on | model files |\n|---|---|---|"
    order = ", then ".join(f"`{name}`" for name in PROVIDERS)
    best = f"the best that works here: {order}; the first line says which, and why no better one"
    yield f"| `{AUTO}` (default) | {best} | all |"
    for row in reversed(PROVIDERS.values()):
        files = ", ".join(f"`{precision}`" for precision in PRECISIONS if precision not in row.refuses)
        yield f"| `{row.name}` | {row.runs_on} | {files} |"


def commands() -> Iterator[str]:
    """What ``--help`` prints, of every command."""
    for program, (module, attribute) in PROGRAMS.items():
        command: click.Command = getattr(import_module(module), attribute)
        yield from _help_of(command, click.Context(command, info_name=program, max_content_width=WIDTH))


def _help_of(command: click.Command, context: click.Context) -> Iterator[str]:
    context.terminal_width = WIDTH
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and found.name not in PROGRAMS:  # which have a place of their own
                yield from _help_of(found, click.Context(found, info_name=name, parent=context))
