"""Messages and progress: rich on a terminal, one plain line per item elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .messages import LOGGER, is_shown, show


@dataclass
class Console:
    """What a command says; one that is `quiet` only warns."""

    quiet: bool = False

    def say(self, text: str, *, shown: bool = False) -> None:
        """One line of normal output; what is `shown` on the terminal in another way is for the log only."""
        if not self.quiet:
            LOGGER.info(text, extra={"shown": shown})

    def detail(self, text: str) -> None:
        """One line for those who want to know more."""
        if not self.quiet:
            LOGGER.debug(text)

    def answer(self, text: str) -> None:
        """What the command was asked for: it is printed in any case."""
        show(text)
        self.say(text, shown=True)

    def warn(self, text: str) -> None:
        """One line of warning."""
        LOGGER.warning(text)

    def fail(self, name: str, error: str) -> None:
        """One line about an item of several that could not be done."""
        LOGGER.error(f"{name}: {error}", extra={"title": "failed"})

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        """A bar with ETA on a terminal; plain lines elsewhere."""
        if self.quiet or not is_shown() or not sys.stdout.isatty():
            yield Progress(self, title, total)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns) as bar:
            task = bar.add_task(title, total=total)
            yield Progress(self, title, total, lambda done, text: bar.update(task, completed=done, description=text))


class Progress:
    """Counts finished items of one job and says how long the rest will take."""

    def __init__(
        self, console: Console, title: str, total: int, bar: Callable[[float, str | None], None] | None = None
    ) -> None:
        self._console, self._title, self._total, self._bar = console, title, total, bar
        self._done, self._start = 0, time.monotonic()

    def step(self, text: str) -> None:
        """One more item is done; `text` says what there is to say about it."""
        self._done += 1
        if self._bar is not None:
            self._bar(self._done, f"{self._title}: {text}")
        left = (time.monotonic() - self._start) / self._done * (self._total - self._done)
        eta = f", {_duration(left)} left" if self._done < self._total else ""
        self._console.say(f"{self._title} {self._done}/{self._total}: {text}{eta}", shown=self._bar is not None)

    def part(self, done: float) -> None:
        """So much of the present item is done, 0..1; seen on a terminal only."""
        if self._bar is not None:
            self._bar(self._done + done, None)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
