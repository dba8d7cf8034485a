"""``milopyp-train``: labels and tomograms -> checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from milopyp_shared import axes
from milopyp_shared.commandline import command, option, run
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency, UsageError


@command("milopyp-train")
@click.argument("task", required=False, type=click.Choice(["semi"]))
@option("--train-img-txt", required=True, group="Data", help="Image list of the training tomograms.")
@option("--train-coord-txt", required=True, group="Data", help="Coordinate list with the labels.")
@option(
    "--order", type=click.Choice([*axes.ORDERS, axes.AUTO]), default=axes.AUTO, group="Data",
    help="File axes from fastest to slowest; auto takes the clearly thinnest axis as z.",
)  # fmt: skip
@option("--exp-id", default="default", group="Data", help="Name of the run: files go to exp/semi/EXP_ID.")
@option("--bbox", required=True, type=float, group="Particle", help="Particle diameter in voxels.")
@option(
    "--contrast", type=click.Choice(["dark", "bright"]), default="dark", group="Particle",
    help="Are particles darker or brighter than their surroundings?",
)  # fmt: skip
@option("--num-epochs", type=click.IntRange(min=1), group="Training", help="Epochs.  [default: the preset's, 10]")
@option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    group="Training",
    help="Peak learning rate.  [default: the preset's]",
)
@option(
    "--seed",
    type=click.IntRange(min=0),
    default=317,
    group="Training",
    help="Equal seeds give equal models on one machine.",
)
@option("--save-all", is_flag=True, group="Training", help="Keep model_{epoch}.pth of every epoch.")
@option("--resume", is_flag=True, group="Training", help="Go on after the last finished epoch of this --exp-id.")
@option("--gpus", default="auto", group="Machine", help="GPU number, -1 for the CPU, auto for a GPU if there is one.")
@option("--threads", type=click.IntRange(min=1), group="Machine", help="CPU threads.  [default: all that are allowed]")
@option("-q", "--quiet", is_flag=True, group="Machine", help="Say only what is wrong.")
@click.version_option(package_name="milopyp")
def train_command(task: str | None, **options: Any) -> None:
    """Train a picker from sparse labels.

    \b
    Example:
      milopyp-train --train-img-txt ribo_train_imgs.txt --train-coord-txt ribo_train_coords.txt \\
          --bbox 21 --exp-id ribosome
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            "PyTorch is not installed", where="milopyp-train", remedy="Run: pip install 'milopyp[train]'."
        ) from error
    from milopyp_shared.lists import read_coordinate_list, read_image_list

    from . import outputs
    from .data import load_volumes
    from .default_method import DefaultMethod
    from .presets import DefaultPreset
    from .run import LAST, recipe_of, train

    console = Console(quiet=options["quiet"])
    if not 2 <= options["bbox"] <= 1000:
        raise UsageError(f"{options['bbox']:g}", where="--bbox", expected="a diameter of 2 to 1000 voxels")
    folder = outputs.experiment_folder(options["exp_id"])
    last = folder / LAST
    if options["resume"] and not last.is_file():
        raise UsageError("nothing to resume", where=last, expected="the checkpoint of an earlier run")
    images = read_image_list(options["train_img_txt"])
    coordinates = read_coordinate_list(options["train_coord_txt"])
    device = _device(options["gpus"])
    if options["threads"]:
        torch.set_num_threads(options["threads"])

    preset = DefaultPreset()
    given = {"epochs": options["num_epochs"], "lr": options["lr"]}
    preset = replace(preset, **{name: value for name, value in given.items() if value is not None})
    volumes = load_volumes(
        images, coordinates, preset.grey, order=options["order"], contrast=options["contrast"],
        where=options["train_coord_txt"], say=console.say, warn=console.warn,
    )  # fmt: skip
    torch.manual_seed(options["seed"])
    method = DefaultMethod(preset, volumes, options["bbox"], device)
    recipe = recipe_of(method, volumes, options["bbox"], options["contrast"])
    outputs.write_options(folder / "opt.txt", _described(options, preset))
    recipe = train(
        method, volumes, recipe, folder, epochs=preset.epochs, seed=options["seed"], save_all=options["save_all"],
        device=device, options={name: value for name, value in options.items() if value is not None},
        console=console, resume=last if options["resume"] else None,
    )  # fmt: skip
    console.say(f"wrote {last}; suggested threshold {recipe.threshold.score:.2f} ({recipe.threshold.method})")
    console.say(f"next: milopyp-export {last}")


def _device(gpus: str) -> Any:
    """The torch device that ``--gpus`` names."""
    import torch

    if gpus == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if gpus == "-1":
        return torch.device("cpu")
    if not gpus.isdigit():
        raise UsageError(f"{gpus!r}", where="--gpus", expected="a GPU number, -1 or auto")
    if not torch.cuda.is_available() or int(gpus) >= torch.cuda.device_count():
        raise UsageError(
            f"GPU {gpus} is not there ({torch.cuda.device_count()} found)",
            where="--gpus",
            expected="a GPU that PyTorch sees",
            remedy="Give -1 for the CPU.",
        )
    return torch.device("cuda", int(gpus))


def _described(options: dict[str, Any], preset: Any) -> dict[str, tuple[Any, str]]:
    """Every option with its value and source, the preset's own numbers included."""
    context = click.get_current_context()
    described: dict[str, tuple[Any, str]] = {
        f"preset.{name}": (value, "preset") for name, value in vars(preset).items()
    }
    for name, value in options.items():
        given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given or value is not None:
            described[name] = (value, "given" if given else "default")
    return described


def main() -> None:
    """Entry point."""
    run(train_command)


if __name__ == "__main__":
    main()
