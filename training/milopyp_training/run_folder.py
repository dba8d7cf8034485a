"""The folder of a run, ``exp/semi/EXP_ID``: which file has which name, and ``opt.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from milopyp_shared.atomic import make_folder, write_error, write_text
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.overwrite import free_numbered
from milopyp_shared.status import NAME as STATUS
from milopyp_shared.system import lock

from .methods.presets import Preset
from .options import TrainOptions

ROOT = Path("exp/semi")


@dataclass(frozen=True)
class RunFolder:
    """Paths of what a run leaves; nothing is made or read."""

    path: Path

    @property
    def last(self) -> Path:
        """Checkpoint after the last finished epoch, from which a run goes on."""
        return self.path / "model_last_contrastive.pth"

    @property
    def best(self) -> Path:
        """Checkpoint of the best epoch."""
        return self.path / "model_best_contrastive.pth"

    def model(self, epoch: int) -> Path:
        """Checkpoint of one epoch, kept with ``--save-all``."""
        return self.path / f"model_{epoch}.pth"

    @property
    def status(self) -> Path:
        """How far the training is, for those who poll it."""
        return self.path / STATUS

    @property
    def options(self) -> Path:
        """Every option and where its value came from."""
        return self.path / "opt.txt"

    @property
    def model_selection(self) -> Path:
        """Which epoch to use, and why."""
        return self.path / "model_selection.md"

    @property
    def summary(self) -> Path:
        """Curves of losses and figures."""
        return self.path / "summary.png"

    @property
    def debug(self) -> Path:
        """Folder of pictures, and of what to label next."""
        return self.path / "debug"


def run_folder(exp_id: str, root: Path = ROOT) -> RunFolder:
    """The folder of ``--exp-id`` below the working directory.

    Raises
    ------
    UsageError
        `exp_id` is no plain folder name.
    """
    if not exp_id or exp_id in (".", "..") or any(c in exp_id for c in "/\\\0\n\r"):
        raise UsageError(f"{exp_id!r}", where="--exp-id", expected="a plain name without slashes")
    return RunFolder(root / exp_id)


def refuse_earlier(folder: RunFolder) -> None:
    """Refuse to begin where there are models of an earlier training.

    Raises
    ------
    UsageError
        With what to do instead.
    """
    if folder.last.is_file():
        raise UsageError(
            "holds the models of an earlier training",
            where=folder.path,
            expected="a folder without any",
            remedy="Give --resume to go on with it, another --exp-id, or --overwrite to begin anew and keep it as "
            f"{free_numbered(folder.path).name}.",
        )


def keep_earlier(folder: RunFolder) -> Path | None:
    """Give the folder of an earlier training another name; which one. None without models in it.

    Raises
    ------
    InputError
        It cannot be renamed.
    """
    if not folder.last.is_file():
        return None
    kept = free_numbered(folder.path)
    try:
        folder.path.rename(kept)
    except OSError as error:
        raise InputError(
            f"cannot be renamed ({error.strerror})", where=folder.path, expected=f"a folder that can be kept as {kept}"
        ) from error
    return kept


@contextmanager
def held(folder: RunFolder) -> Iterator[None]:
    """While one training writes to a folder, no other one does.

    Raises
    ------
    UsageError
        Another one does.
    InputError, FullDiskError
        Nothing can be written there.
    """
    make_folder(folder.path.parent)
    path = folder.path.with_name(f".{folder.path.name}.lock")
    try:
        stream = path.open("wb")
    except OSError as error:
        raise write_error(path, error) from error
    with stream:
        if not lock(stream):
            raise UsageError(
                "another training is writing to it",
                where=folder.path,
                expected="one at a time",
                remedy="Wait for it, or give another --exp-id.",
            )
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def write_options(path: Path, options: TrainOptions, preset: Preset) -> None:
    """Write ``opt.txt``: every option and every number of the preset, with its source: given, preset, default."""
    rows = {f"preset.{name}": (value, "preset") for name, value in vars(preset).items()}
    for name, value in options.with_values().items():
        rows[name] = (value, "given" if name in options.given else "default")
    lines = [f"  {name}: {value}  # {source}" for name, (value, source) in sorted(rows.items())]
    write_text(path, "==> options\n" + "\n".join(lines) + "\n")
