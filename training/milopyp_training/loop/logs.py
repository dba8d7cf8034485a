"""The log of a run: loss terms and validation figures as CSV, text and TensorBoard events."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from milopyp_shared.atomic import make_folder, write_text

from .state import Losses

LOSSES, VALIDATION = "losses.csv", "validation.csv"


class Log:
    """Loss terms of a run as CSV, text and TensorBoard events in a folder of its own (``logs_DATE``)."""

    def __init__(self, experiment: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder = experiment / time.strftime("logs_%Y-%m-%d-%H-%M-%S")
        make_folder(self.folder)
        self._rows: list[Losses] = []
        self._judged: list[Losses] = []
        self._events = SummaryWriter(str(self.folder))
        self._text = (self.folder / "log.txt").open("a", encoding="utf-8")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._events.close()
            self._text.close()
            return
        for last in (lambda: self.line(f"stopped: {error}"), self._events.close, self._text.close):
            with contextlib.suppress(OSError):  # a full disk is told once
                last()

    def line(self, text: str) -> None:
        """One line of text with the time."""
        self._text.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._text.flush()

    def earlier(self, history: Sequence[Losses], validation: Sequence[Losses]) -> None:
        """Take over the epochs of the run that is resumed, so that the tables are complete, whatever comes next."""
        self._rows = [{"epoch": epoch, **terms} for epoch, terms in enumerate(history, 1)]
        self._judged = [dict(row) for row in validation]
        for name, rows in ((LOSSES, self._rows), (VALIDATION, self._judged)):
            if rows:
                self._write_table(name, rows)

    def losses(self, epoch: int, terms: Losses) -> None:
        """The mean of every loss term of one epoch."""
        self._rows.append({"epoch": epoch, **terms})
        self._tell(f"epoch {epoch}", terms, epoch)
        self._write_table(LOSSES, self._rows)

    def validation(self, row: Losses) -> None:
        """The figures of one validated epoch."""
        self._judged.append(row)
        epoch = int(row["epoch"])
        figures = {f"validation {name}": value for name, value in row.items() if name != "epoch"}
        self._tell(f"epoch {epoch}", figures, epoch)
        self._write_table(VALIDATION, self._judged)

    def _tell(self, title: str, terms: Losses, epoch: int) -> None:
        for term, value in terms.items():
            self._events.add_scalar(term.replace(" ", "/"), value, epoch)
        self.line(f"{title}: " + ", ".join(f"{term} {value:.5g}" for term, value in terms.items()))

    def _write_table(self, name: str, rows: Sequence[Losses]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / name, text.getvalue())
