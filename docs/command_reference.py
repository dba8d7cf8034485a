"""Hook of mkdocs: the page of commands holds what ``--help`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click

PROGRAMS = {
    "milopyp-train": ("milopyp_training.cli", "train_command"),
    "milopyp-export": ("milopyp_export.cli", "export_command"),
    "milopyp-infer": ("milopyp_inference.cli", "infer_command"),
    "milopyp": ("milopyp.cli", "milopyp"),
}
MARK = "<!-- commands -->"
WIDTH = 82


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help texts where the page has its mark."""
    return markdown.replace(MARK, "\n".join(_sections())) if MARK in markdown else markdown


def _sections() -> Iterator[str]:
    for program, (module, attribute) in PROGRAMS.items():
        command: click.Command = getattr(import_module(module), attribute)
        yield from _help_of(command, click.Context(command, info_name=program, max_content_width=WIDTH))


def _help_of(command: click.Command, context: click.Context) -> Iterator[str]:
    context.terminal_width = WIDTH
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _help_of(found, click.Context(found, info_name=name, parent=context))
