"""What training leaves in its folder beside checkpoints: options and logs."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError

from .trainer import Losses

OPTIONS = "opt.txt"
LOSSES, VALIDATION = "losses.csv", "validation.csv"


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


def can_export(wanted: bool | None) -> bool:
    """Whether the last model is to be written as an ONNX file: as `wanted`, else where that is possible.

    Raises
    ------
    MissingDependency
        It is wanted and the packages are not installed.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if wanted and missing:
        raise MissingDependency(
            f"the package {missing[0]} is not installed",
            where="--export",
            remedy="Run: pip install 'milopyp[export,cpu]', or leave --export out.",
        )
    return wanted is not False and not missing


def export_model(checkpoint: Path, console: Console) -> Path | None:
    """Export a checkpoint under its own name; a failure is a warning, since the training itself has succeeded.

    In a process of its own: training does not know the exporter.
    """
    target = checkpoint.with_suffix(".onnx")
    line = [sys.executable, "-m", "milopyp_export.cli", str(checkpoint), "-o", str(target), "--overwrite", "--quiet"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        console.warn(f"no ONNX file was written: {done.stderr.strip() or done.returncode}")
        return None
    return target


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


def described(options: Mapping[str, Any], given: Collection[str], preset: Any) -> dict[str, tuple[Any, str]]:
    """Every option with its value and source, and every number of the preset."""
    rows: dict[str, tuple[Any, str]] = {f"preset.{name}": (value, "preset") for name, value in vars(preset).items()}
    for name, value in options.items():
        if value is not None:
            rows[name] = (value, "given" if name in given else "default")
    return rows
