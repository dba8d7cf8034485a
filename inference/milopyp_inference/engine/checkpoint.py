"""The model file of a checkpoint: the one beside it, the one that was made of it before, or one that is made now.

Which file belongs to a checkpoint is told by the checkpoint's hash, which an export holds, never by names and times.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from milopyp_shared.errors import CheckError, ContradictionError, InputError, MilopypError
from milopyp_shared.exporter import missing_package, run_export

from .cache import CACHE, cache_folder
from .model_file import ModelFile, read_model_file

SUFFIXES = (".pth", ".pt")


def export_of(checkpoint: Path, say: Callable[[str], None], *, only_kept: bool = False) -> ModelFile:
    """The export of `checkpoint` that lies beside it under its name, or in the cache; made where there is none.

    A new one goes beside the checkpoint, where nothing has its name and something can be written, else into the cache.

    Parameters
    ----------
    say
        Is told what is exported to where, and why, before that takes its time.
    only_kept
        A new one goes into the cache in any case.

    Raises
    ------
    InputError
        There is none, and none can be made: PyTorch is not here, or the exporter refuses the checkpoint.
    ContradictionError
        The file beside it was made from another one, and none can be made.
    MissingDependency
        No onnxruntime is installed.
    CheckError
        The exported network does not do what PyTorch's does.
    """
    exports = _Exports.of(checkpoint)
    file, unfit = exports.find()
    if file is not None:
        return file
    if missing_package():
        raise unfit or InputError(
            "is a PyTorch checkpoint",
            where=checkpoint,
            expected=f"an ONNX file, here or as {exports.beside.name} beside it",
            remedy=f"Export it once, where PyTorch is: milopyp-export {checkpoint}",
        )
    target = exports.place(beside=not only_kept)
    with exports.lock():
        file, _ = exports.find()  # another process may have made it while this one waited
        if file is not None:
            return file
        why = "has no export" if unfit is None else f"has another file beside it ({unfit.where} {unfit.found})"
        say(f"{checkpoint} {why}: exporting it to {target}")
        exports.make(target)
    return exports.read(target)


@dataclass(frozen=True)
class _Exports:
    """A checkpoint's hash, and where its exports may lie."""

    checkpoint: Path
    sha256: str

    @classmethod
    def of(cls, checkpoint: Path) -> _Exports:
        return cls(checkpoint, hashlib.sha256(checkpoint.read_bytes()).hexdigest())

    @property
    def beside(self) -> Path:
        return self.checkpoint.with_suffix(".onnx")

    @property
    def kept(self) -> Path:
        return cache_folder() / "exports" / f"{self.sha256}.onnx"

    def find(self) -> tuple[ModelFile | None, MilopypError | None]:
        """The export, if there is one, and what is wrong with the file beside it, if there is another."""
        unfit: MilopypError | None = None
        for path in (self.beside, self.kept):
            if path.is_file():
                try:
                    return self.read(path), unfit
                except (InputError, ContradictionError) as error:
                    unfit = error if path == self.beside else unfit
        return None, unfit

    def read(self, path: Path) -> ModelFile:
        """A model file, provided that it was made from this very checkpoint."""
        file = read_model_file(path)
        made_from = file.recipe.checkpoint_sha256
        if made_from != self.sha256:
            raise ContradictionError(
                f"was made from another checkpoint (SHA-256 {made_from[:12] or 'unsaid'}) than {self.checkpoint.name} "
                f"({self.sha256[:12]})",
                where=path,
                expected=f"the export of {self.checkpoint}",
                remedy=f"Export it again: milopyp-export --overwrite {self.checkpoint}",
            )
        return file

    def place(self, *, beside: bool) -> Path:
        """Where a new export goes; `beside` the checkpoint if that can be."""
        if beside and not os.path.lexists(self.beside) and os.access(self.beside.parent, os.W_OK):
            return self.beside
        if _is_writable(self.kept.parent):
            return self.kept
        raise InputError(
            f"has no export, and none can be written beside it or to {self.kept.parent}",
            where=self.checkpoint,
            expected="a folder that can be written",
            remedy=f"Set {CACHE} to one, or give the file of milopyp-export {self.checkpoint} -o FILE.onnx.",
        )

    def lock(self) -> AbstractContextManager[object]:
        """Of several processes one exports, and the others wait."""
        return FileLock(self.kept.with_suffix(".lock")) if _is_writable(self.kept.parent) else nullcontext()

    def make(self, target: Path) -> None:
        """Export the checkpoint."""
        try:
            run_export(self.checkpoint, target, overwrite=target == self.kept)  # what is not its export is damaged
        except (InputError, CheckError) as error:
            raise type(error)(
                error.found,
                where=self.checkpoint,
                expected="a checkpoint that can be exported",
                remedy=f"Run milopyp-export {self.checkpoint} with the options that it asks for (those of this command "
                "are not passed on), without -o, so that the file lies beside it.",
            ) from error


def _is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
