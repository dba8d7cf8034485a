"""Messages and progress: rich on a terminal, one plain line per item elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .messages import LOGGER, is_shown, show

OFTEN = 15.0  # seconds after which a long item says how far it is


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
    def progress(self, title: str, total: int, work: float | None = None, done: int = 0) -> Iterator[Progress]:
        """A bar with ETA on a terminal; plain lines elsewhere.

        Parameters
        ----------
        total
            Items.
        work
            Of all that are to be done together, in any unit; None: each is 1.
        done
            Of the items, by an earlier call.
        """
        everything = float(total - done) if work is None else work
        if self.quiet or not is_shown() or not sys.stdout.isatty():
            yield Progress(self, title, total, everything, done=done)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Bar(*columns) as bar:
            task = bar.add_task(title, total=total, completed=done, left="")

            def show(finished: float, text: str | None, left: str) -> None:
                bar.update(task, completed=finished, description=text, left=left)

            yield Progress(self, title, total, everything, done=done, show=show)


class Progress:
    """Counts finished items of one job and says how long the rest will take, judged by the work that is done."""

    def __init__(
        self,
        console: Console,
        title: str,
        total: int,
        work: float,
        *,
        done: int = 0,
        show: Callable[[float, str | None, str], None] | None = None,
    ) -> None:
        self._console, self._title, self._total, self._show = console, title, total, show
        self._done, self._worked, self._work = done, 0.0, work
        self._start = self._said = time.monotonic()

    def step(self, text: str, work: float = 1.0) -> None:
        """One more item, of so much `work`, is done; `text` says what there is to say about it."""
        self._worked += work
        self._finished(text)

    def skip(self, text: str, work: float = 1.0) -> None:
        """One more item needs nothing to be done; its `work` is not there."""
        self._work -= work
        self._finished(text)

    def part(self, done: float, work: float = 1.0) -> None:
        """So much of the present item, of so much `work`, is done, 0..1; said now and then."""
        now = time.monotonic()
        left = self._left(now, self._worked + done * work)
        if self._show is not None:
            self._show(self._done + done, None, left)
        elif now - self._said >= OFTEN:
            self._said = now
            self._console.say(f"{self._title} {self._done + 1}/{self._total}: {done:.0%}{left}")

    def _finished(self, text: str) -> None:
        self._done += 1
        self._said = time.monotonic()
        left = self._left(self._said, self._worked)
        if self._show is not None:
            self._show(self._done, f"{self._title}: {text}", left)
        self._console.say(f"{self._title} {self._done}/{self._total}: {text}{left}", shown=self._show is not None)

    def seconds_left(self) -> float | None:
        """How long the rest will take; None where no work is done yet, or left."""
        return self._seconds_left(time.monotonic(), self._worked)

    def _seconds_left(self, now: float, worked: float) -> float | None:
        if self._done == self._total or worked <= 0:
            return None
        return (now - self._start) / worked * max(self._work - worked, 0.0)

    def _left(self, now: float, worked: float) -> str:
        """As `seconds_left`, in words."""
        left = self._seconds_left(now, worked)
        return "" if left is None else f", {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
