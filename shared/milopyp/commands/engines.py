"""``milopyp engines``: TensorRT's engines, which take minutes to build and are kept: list, clear, build before use."""

from __future__ import annotations

from pathlib import Path

import click

from milopyp_shared.commandline import CONTEXT, command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import CheckError
from milopyp_shared.wording import counted


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="milopyp")
def engines() -> None:
    """List, clear or build the engines of TensorRT.

    milopyp-infer builds what it needs by itself; an engine belongs to one model, GPU, driver, version and tile size.
    """


@command("list", speaks=False)
def list_kept() -> None:
    """List the engines that are kept, with their sizes.

    \b
    Example:
      milopyp engines list
    """
    from milopyp_inference.engine.tensorrt_cache import kept

    folder, found = _folder(), kept()
    for name, size in found:
        click.echo(f"{name}  {size / 2**20:8.1f} MiB")
    click.echo(f"{counted(len(found), 'engine')} in {folder}")


@command("clear")
def clear_kept() -> None:
    """Remove all engines.

    milopyp-infer builds them again when it needs them.

    \b
    Example:
      milopyp engines clear
    """
    from milopyp_inference.engine.tensorrt_cache import clear, kept

    folder, count = _folder(), clear()
    if left := kept():
        raise CheckError(
            f"{counted(len(left), 'engine')} of {count} cannot be removed", where=folder, remedy="Whose are they?"
        )
    Console().say(f"removed {counted(count, 'engine')} from {folder}")


@command("build")
@click.argument("model", type=click.Path(path_type=Path))
@option(
    "--shape",
    type=click.IntRange(min=1),
    nargs=3,
    required=True,
    metavar="Z Y X",
    help="Size of the tomograms: sections (after pairing), rows, columns.",
)
@option("--gpus", help="Number of the GPU.  [default: 0]")
@option("--memory", metavar="SIZE", help="As milopyp-infer is to be given: it decides on the tiles.  [default: 6GB]")
def build(model: Path, shape: tuple[int, int, int], gpus: str | None, memory: str | None) -> None:
    """Build the engine for tomograms of one size before it is needed.

    MODEL is an ONNX file of milopyp-export.

    \b
    Example:
      milopyp engines build ribosome_fp16.onnx --shape 200 928 960
    """
    from milopyp_inference.engine.model import open_model
    from milopyp_inference.engine.tensorrt_cache import kept
    from milopyp_inference.options import InferOptions, parse_machine

    machine = parse_machine(InferOptions((), model, provider="tensorrt", gpus=gpus, memory=memory))
    console = Console()
    opened = open_model(model, machine, console.say)
    tiling = opened.engine.plan(shape)
    before = kept()
    opened.engine.prepare(tiling)
    new = [name for name, _ in kept() if name not in dict(before)]
    console.say(f"built {new[0]} in {_folder()}" if new else f"there was one already in {_folder()}")


engines.add_command(list_kept)
engines.add_command(clear_kept)
engines.add_command(build)


def _folder() -> Path:
    from milopyp_inference.engine.cache import cache_folder

    return cache_folder() / "engines"
