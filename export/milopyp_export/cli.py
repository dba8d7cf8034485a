"""``milopyp-export``: checkpoint -> ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from milopyp_shared.commandline import command, option, run
from milopyp_shared.errors import MissingDependency, UsageError


@command("milopyp-export")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@option("-o", "--output", type=click.Path(path_type=Path), help="ONNX file; beside the checkpoint when not given.")
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.version_option(package_name="milopyp")
def export_command(checkpoint: Path, output: Path | None, overwrite: bool) -> None:
    """Export a trained model to one ONNX file that knows its own recipe.

    The file is compared with PyTorch on three shapes before it gets its name.

    \b
    Example:
      milopyp-export exp/semi/ribosome/model_last_contrastive.pth -o ribosome.onnx
    """
    output = output or checkpoint.with_suffix(".onnx")
    if output.exists() and not overwrite:
        raise UsageError("exists already", where=output, remedy="Give --overwrite to replace it.")
    try:
        from .convert import export
    except ImportError as error:
        raise MissingDependency(
            f"the package {error.name} is not installed",
            where="milopyp-export",
            remedy="Run: pip install 'milopyp[export,cpu]'.",
        ) from error
    recipe = export(checkpoint, output)
    click.echo(
        f"wrote {output} ({output.stat().st_size / 2**20:.1f} MiB): {recipe.architecture}, differs from PyTorch by "
        f"{recipe.parity['max_difference']:.1g} at most"
    )


def main() -> None:
    """Entry point."""
    run(export_command)


if __name__ == "__main__":
    main()
