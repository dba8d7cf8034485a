"""What must hold of every message, whatever it says: its options exist, and nothing in it is doubled."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module

import click

from running import PROGRAMS

EVERYWHERE = {"-h", "--help", "--debug-trace"}
FOREIGN = re.compile(r"\b(pip|sbatch|torchrun|newstack|trimvol)\b")  # programs whose options are not ours to know
DOUBLED = re.compile(r"----|\S  |; expected [^.\n]*; expected|expected expected")
_OPTION = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*\b(?!-)")
_QUOTED = re.compile(r"(?<!\w)'[^']*'(?!\w)")  # a user's own words


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word in command.list_commands(click.Context(command)):
            part = command.get_command(click.Context(command), word)
            assert part is not None
            yield from _commands(f"{name} {word}", part)


COMMANDS = {
    name: command
    for program, (module, attribute) in PROGRAMS.items()
    for name, command in _commands(program, getattr(import_module(module), attribute))
}
OPTIONS = {
    name: EVERYWHERE.union(*((*parameter.opts, *parameter.secondary_opts) for parameter in command.params))
    for name, command in COMMANDS.items()
}
_NAMED = re.compile("|".join(sorted(map(re.escape, COMMANDS), key=len, reverse=True)))


def command_of(line: str) -> str:
    """The command that a command line calls, e.g. ``milopyp convert``."""
    name, *words = shlex.split(line)
    longest = (" ".join([name, *words[:depth]]) for depth in (2, 1, 0))
    return next(command for command in longest if command in COMMANDS)


def strays(text: str, *own: str) -> list[str]:
    """Options in `text` that neither a command of `own` has nor a program that is named in the same sentence."""
    found = []
    for sentence in re.split(r"(?<!\.)[.;?] ", _QUOTED.sub("", text)):
        if FOREIGN.search(sentence):
            continue
        known = set().union(*(OPTIONS[name] for name in (*own, *_NAMED.findall(sentence))))
        found += [word for word in _OPTION.findall(sentence) if word not in known]
    return found
