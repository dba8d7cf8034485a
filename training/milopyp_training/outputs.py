"""What training leaves in its folder beside checkpoints: options and logs."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.errors import UsageError

from .trainer import Losses


def experiment_folder(exp_id: str, root: Path = Path("exp/semi")) -> Path:
    """``exp/semi/EXP_ID`` below the working directory.

    Raises
    ------
    UsageError
        `exp_id` is no plain folder name.
    """
    if not exp_id or exp_id in (".", "..") or any(c in exp_id for c in "/\\\0\n\r"):
        raise UsageError(f"{exp_id!r}", where="--exp-id", expected="a plain name without slashes")
    return root / exp_id


def write_options(path: Path, options: Mapping[str, tuple[Any, str]]) -> None:
    """Write ``opt.txt``: every option, its value and where the value came from (given, preset, default)."""
    lines = [f"  {name}: {value}  # {source}" for name, (value, source) in sorted(options.items())]
    write_text(path, "==> options\n" + "\n".join(lines) + "\n")


class Log:
    """Loss terms of a run as CSV, text and TensorBoard events in a folder of its own (``logs_DATE``)."""

    def __init__(self, experiment: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder = experiment / time.strftime("logs_%Y-%m-%d-%H-%M-%S")
        make_folder(self.folder)
        self._rows: list[dict[str, float]] = []
        self._events = SummaryWriter(str(self.folder))
        self._text = (self.folder / "log.txt").open("a", encoding="utf-8")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.line(f"stopped: {error}")
        self._events.close()
        self._text.close()

    def line(self, text: str) -> None:
        """One line of text with the time."""
        self._text.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._text.flush()

    def losses(self, epoch: int, terms: Losses) -> None:
        """The mean of every loss term of one epoch."""
        for name, value in terms.items():
            self._events.add_scalar(name, value, epoch)
        self._rows.append({"epoch": epoch, **terms})
        self.line(f"epoch {epoch}: " + ", ".join(f"{name} {value:.5g}" for name, value in terms.items()))
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self.folder / "losses.csv", text.getvalue())
