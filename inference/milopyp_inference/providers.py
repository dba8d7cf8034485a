"""Model files opened for picking: the recipe read and checked, an onnxruntime session that says what it runs on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import CheckError, ContradictionError, InputError, MissingDependency
from milopyp_shared.recipe import METADATA_KEY, Recipe


@dataclass(frozen=True)
class Model:
    """A model file in use.

    Attributes
    ----------
    path, sha256
        The file and its hash.
    recipe
        What the file says of itself.
    provider
        The onnxruntime provider that runs it.
    session
        onnxruntime's session.
    """

    path: Path
    sha256: str
    recipe: Recipe
    provider: str
    session: Any

    def heat_map(self, sections: NDArray[np.uint8], levels: tuple[float, float]) -> NDArray[np.float32]:
        """Heat map ``(z, ceil(y/2), ceil(x/2))`` of grey levels ``(z, y, x)``.

        Raises
        ------
        CheckError
            onnxruntime stops, e.g. for want of memory.
        """
        inputs = {"sections": sections[None], "levels": np.array(levels, dtype=np.float32)}
        try:
            result: NDArray[np.float32] = self.session.run(["heatmap"], inputs)[0][0]
        except Exception as error:  # onnxruntime has no common base class for what it raises
            z, y, x = sections.shape
            raise CheckError(
                f"onnxruntime stopped ({str(error).partition(chr(10))[0][:200]}) at {x} x {y} x {z} voxels",
                where=self.path,
                remedy="If it is the memory, close other programs; else report it.",
            ) from error
        return result


def allowed_threads() -> int:
    """Threads that this process may use: its CPU affinity, which clusters restrict, not the machine's cores."""
    return len(os.sched_getaffinity(0))


def open_model(path: str | Path, threads: int | None = None) -> Model:
    """Open an ONNX file made by ``milopyp-export``; for a checkpoint (``.pth``), the one exported beside it.

    Raises
    ------
    InputError
        No such file, a checkpoint without an ONNX file beside it, or a file without a recipe.
    ContradictionError
        The ONNX file beside the checkpoint was made from another one.
    MissingDependency
        No onnxruntime is installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=path, expected="a model made by milopyp-export (.onnx)")
    if path.suffix in (".pth", ".pt"):
        return _exported_from(path, threads)
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency(
            "onnxruntime is not installed", remedy="Run: pip install 'milopyp[cpu]' (or [gpu])."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or allowed_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its errors come back as exceptions, and those as one line
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map
    except Exception as error:  # onnxruntime has no common base class for what a bad file raises
        raise InputError(
            f"onnxruntime cannot read it ({str(error).partition(chr(10))[0][:100]})",
            where=path,
            expected="an ONNX file made by milopyp-export",
        ) from error
    if METADATA_KEY not in metadata:
        raise InputError(
            "the ONNX file has no milopyp recipe",
            where=path,
            expected="a file made by milopyp-export",
            remedy="Export the checkpoint again: milopyp-export CHECKPOINT.",
        )
    recipe = Recipe.from_json(metadata[METADATA_KEY], path)
    names = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
    if names != ["sections", "levels", "heatmap"]:
        raise InputError(
            f"inputs and outputs are called {', '.join(names)}",
            where=path,
            expected="sections, levels, heatmap",
            remedy="Export the checkpoint again: milopyp-export CHECKPOINT.",
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(path, sha256, recipe, session.get_providers()[0], session)


def _exported_from(checkpoint: Path, threads: int | None) -> Model:
    """The model beside `checkpoint` under the same name, provided that it was made from this very file."""
    exported = checkpoint.with_suffix(".onnx")
    if not exported.is_file():
        raise InputError(
            "is a PyTorch checkpoint",
            where=checkpoint,
            expected=f"an ONNX file, here or as {exported.name} beside it",
            remedy=f"Export it once, where PyTorch is: milopyp-export {checkpoint}",
        )
    model = open_model(exported, threads)
    found = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    made_from = model.recipe.checkpoint_sha256
    if made_from != found:
        raise ContradictionError(
            f"was made from another checkpoint (SHA-256 {made_from[:12] or 'unsaid'}) than {checkpoint.name} "
            f"({found[:12]})",
            where=exported,
            expected=f"the export of {checkpoint}",
            remedy=f"Export it again: milopyp-export --overwrite {checkpoint}",
        )
    return model
