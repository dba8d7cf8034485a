"""The trained model as an ONNX file, made by the exporter in a process of its own: training does not know it."""

from __future__ import annotations

from pathlib import Path

from milopyp_shared.console import Console
from milopyp_shared.errors import MilopypError, MissingDependency
from milopyp_shared.exporter import missing_package, run_export


def can_export(wanted: bool | None) -> bool:
    """Whether the last model is to be written as an ONNX file: as `wanted`, else where that is possible.

    Raises
    ------
    MissingDependency
        It is wanted and the packages are not installed.
    """
    missing = missing_package()
    if wanted and missing:
        raise MissingDependency(
            f"the package {missing} is not installed",
            where="--export",
            remedy="Run: pip install 'milopyp[export,cpu]', or leave --export out.",
        )
    return wanted is not False and not missing


def export_model(checkpoint: Path, console: Console) -> Path | None:
    """Export a checkpoint under its own name; a failure is a warning, since the training itself has succeeded."""
    target = checkpoint.with_suffix(".onnx")
    try:
        run_export(checkpoint, target, overwrite=True)
    except MilopypError as error:
        console.warn(f"no ONNX file was written: {error}")
        return None
    return target
