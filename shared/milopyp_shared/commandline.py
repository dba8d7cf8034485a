"""What all commands share at their edge: option spellings, exit codes, one-line errors."""

from __future__ import annotations

import atexit
import gc
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from . import messages
from .atomic import is_full, write_error
from .errors import MilopypError, is_out_of_memory, memory_error
from .streams import attempt, prepare
from .system import ending_signals
from .urls import without_secrets

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

INTERNAL_ERROR = 70
INTERRUPTED = 130
UNREAD = 141  # as of a program that the system ends for it
DEBUG_TRACE = "--debug-trace"
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


class _Option(click.Option):
    """An option that also answers to the published program's spelling, shown once in the help.

    `group` is the heading it stands under in the help.
    """

    def __init__(self, *arguments: Any, group: str = "Options", **settings: Any) -> None:
        self.group = group
        super().__init__(*arguments, **settings)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        every = self.opts, self.secondary_opts
        self.opts, self.secondary_opts = ([name for name in names if "_" not in name] for names in every)
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts, self.secondary_opts = every


class Command(click.Command):
    """A command whose help lists its options by what a person decides.

    `after_interrupt` says how to go on with a run that was interrupted.
    """

    after_interrupt = "the same command goes on where it stopped"

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; an interruption knows how to go on, whichever group the command was called by."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(self.after_interrupt)
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the headings of their groups, in the order of declaration."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):  # the usage line and the text above have them
                continue
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def command(
    name: str | None = None, after_interrupt: str = Command.after_interrupt, *, speaks: bool = True
) -> Callable[[Callable[..., Any]], Command]:
    """``click.command`` with grouped help, ``-h``, and defaults shown.

    One that `speaks` has the options of `milopyp_shared.messages.speaking`, of which the function need not know; one
    that only answers does not have them.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        decorated = click.command(name, cls=Command, context_settings=dict(CONTEXT))
        made = decorated(_speaking(function) if speaks else function)
        if speaks:
            for add in _MESSAGES:
                add(made)
        made.after_interrupt = after_interrupt
        return made

    return decorate


def option(*names: str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """``click.option`` in which every long name with dashes is also accepted with underscores."""
    spellings = list(names)
    for name in names:
        halves = [_underscored(half.strip()) for half in name.split("/")]  # two for a flag like --with-x/--without-x
        if any(halves):
            spellings.append("/".join([halves[0] or " ", *halves[1:]]))  # click takes a "/" in front for a prefix
    return click.option(*spellings, cls=_Option, **settings)


def _underscored(name: str) -> str:
    """A long name with dashes as the published program spells it; empty for other names."""
    return "--" + name[2:].replace("-", "_") if name.startswith("--") and "-" in name[2:] else ""


_MESSAGES = (
    option("-q", "--quiet", is_flag=True, group="Messages", help="Say only what is wrong."),
    option("-v", "--verbose", is_flag=True, group="Messages", help="Say more, on standard error: versions, seconds."),
    option(
        "--log-file", type=click.Path(path_type=Path), metavar="FILE", group="Messages",
        help="Append everything that is said to it, with the time; also what -q and no -v leave out.",
    ),
)  # fmt: skip


def _speaking(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def speaking(*arguments: Any, quiet: bool, verbose: bool, log_file: Path | None, **options: Any) -> Any:
        with messages.speaking(quiet=quiet, verbose=verbose, log_file=log_file):
            _say_what_runs()
            start = time.monotonic()
            result = function(*arguments, **options)
            messages.LOGGER.debug(f"{time.monotonic() - start:.1f} s in all")
            return result

    return speaking


def _say_what_runs() -> None:
    if not messages.LOGGER.isEnabledFor(logging.DEBUG):
        return
    import platform
    import shlex
    from importlib.metadata import PackageNotFoundError, version

    context = click.get_current_context()
    given = [context.params[own.name or ""] for own in context.command.params if isinstance(own, click.Argument)]
    words = [str(word) for value in given if value for word in (value if isinstance(value, tuple) else [value])]
    words = [without_secrets(word) for word in (*words, *explicit_args(context, ()))]
    line = shlex.join([*context.command_path.split(), *words])
    try:
        installed = version("milopyp")
    except PackageNotFoundError:
        installed = "not installed"
    messages.LOGGER.debug(f"{line} (milopyp {installed}, Python {platform.python_version()}, {platform.platform()})")


def spelled(*names: str) -> str:
    """Options by their Python names as they stand on a command line: ``--lr-step, --fiber``."""
    return ", ".join("--" + name.replace("_", "-") for name in names)


def explicit_args(context: click.Context, without: Collection[str]) -> list[str]:
    """The options that stand on a command line, as words of another one; those named in `without` are left out."""
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        value = context.params.get(name)
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if not isinstance(parameter, click.Option) or name in without or not given:
            continue
        if parameter.is_flag:
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
        else:
            for one in (value or ()) if parameter.multiple else (value,):
                words += [parameter.opts[0], str(one)]
    return words


def run(program: click.Command, arguments: list[str] | None = None) -> NoReturn:
    """Run a click command and leave with the documented exit code.

    0 done; 1 finished with failures; 2 refused before doing anything; 3 a check failed while running, or no space or
    memory was left; 70 a bug; 130 interrupted; 141 nobody reads the answer. ``--debug-trace`` anywhere on the line
    shows the stack of an error.

    Raises
    ------
    SystemExit
        Its ``__cause__`` is the error that ended the command, if one did.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    trace = DEBUG_TRACE in arguments
    arguments = [word for word in arguments if word != DEBUG_TRACE]
    prepare()
    atexit.register(gc.freeze)  # else the end of the process searches all of numba for what refers to itself
    for number in ending_signals():
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _terminate)
    with messages.terminal():
        try:
            code = program.main(args=arguments, standalone_mode=False)
        except SystemExit:  # click's own, with 1, when nobody reads what it writes
            raise SystemExit(UNREAD) from None
        except (Exception, KeyboardInterrupt) as raised:
            error = _meant(raised)
            raise SystemExit(_report(error, trace)) from error
    sys.exit(code if isinstance(code, int) else 0)


def exit_code_of(error: BaseException) -> int:
    """The code that a command which an error ends leaves with."""
    meant = _meant(error)
    if isinstance(meant, (click.Abort, KeyboardInterrupt)):
        return INTERRUPTED
    return meant.exit_code if isinstance(meant, MilopypError) else INTERNAL_ERROR


def _meant(raised: BaseException) -> BaseException:
    """What an error is, where its class does not say so."""
    if isinstance(raised, click.Abort) and isinstance(raised.__cause__, EOFError):
        return raised.__cause__  # click takes the end of any file for the end of a dialogue
    if isinstance(raised, OSError) and is_full(raised):
        meant = write_error(Path(raised.filename or "a file"), raised)
    elif is_out_of_memory(raised):
        meant = memory_error(raised)
    else:
        return raised
    meant.__cause__ = raised
    return meant


def _report(error: BaseException, trace: bool) -> int:
    """Say what ended a command; the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        attempt(error.show, err=True)
        return 2
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        notes = getattr(error.__cause__ or error, "__notes__", [])  # click raises Abort from the interruption
        messages.LOGGER.error(f"interrupted; {(*notes, Command.after_interrupt)[0]}", extra={"title": ""})
        return INTERRUPTED
    if trace:
        attempt(lambda: traceback.print_exception(error), err=True)
    if isinstance(error, MilopypError):
        messages.LOGGER.error(str(error))
        return error.exit_code
    hint = "" if trace else f" ({DEBUG_TRACE} shows where)"
    messages.LOGGER.critical(f"{type(error).__name__}: {error}{hint}. This is a bug: please report it.", exc_info=error)
    return INTERNAL_ERROR


def _terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt
