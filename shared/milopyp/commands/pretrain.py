"""`milopyp pretrain`: make the weights again that milopyp ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency


@command("pretrain", after_interrupt="the same command goes on where it was stopped")
@option(
    "--out", "folder", type=click.Path(path_type=Path), required=True,
    help="Folder for the simulated tomograms, checkpoints and weights.",
)  # fmt: skip
@option("--groups", type=click.IntRange(min=1), help="Simulated groups of two tomograms.  [default: as shipped]")
@option("--steps", type=click.IntRange(min=1), help="Steps of training.  [default: as shipped]")
@option("--seed", type=click.IntRange(min=0), default=1, help="Another number gives another simulated world.")
@option(
    "--workers", type=click.IntRange(min=1), help="Processes that simulate, and draw for a GPU.  [default: one per CPU]"
)
@option("--gpus", default="auto", help="GPU number, -1 for the CPU, auto for a GPU if there is one.")
@option("--threads", type=click.IntRange(min=1), help="CPU threads of the training.  [default: all that are allowed]")
def pretrain(folder: Path, workers: int | None, gpus: str, threads: int | None, **numbers: int | None) -> None:
    """Make the pre-trained weights again, from nothing but a seed.

    Tomograms with particles of random shape are simulated, and a network learns to tell the particles apart. This is
    how the weights were made that `milopyp-train` begins with; nobody needs to do it again to pick particles. It takes
    some hours on two cores, minutes on a GPU, and goes on where it was stopped.

    \b
    Example:
      milopyp pretrain --out pretraining
    """
    try:
        import onnxscript  # noqa: F401 - PyTorch's exporter would miss it after hours

        from milopyp_export.features import export_features
        from milopyp_training.loop.machine import device_of, use_threads
        from milopyp_training.pretraining.pretrain import pretrain as run
        from milopyp_training.pretraining.settings import PretrainingSettings
        from milopyp_training.pretraining.ship import ship
    except ImportError as error:
        raise MissingDependency(
            f"the package {error.name} cannot be loaded ({error})", where="milopyp pretrain",
            remedy="Run: pip install 'milopyp[export,cpu]'.",
        ) from error  # fmt: skip
    from milopyp_shared.system import allowed_threads

    console = Console()
    use_threads(threads)
    given: dict[str, Any] = {name: value for name, value in numbers.items() if value is not None}
    settings = PretrainingSettings(**given)
    network = run(folder, settings, device_of(gpus), workers=workers or allowed_threads(), console=console)
    ship(network, settings, folder)
    difference = export_features(folder)
    console.say(f"wrote features.npz, .onnx and .json in {folder}; the graph differs by {difference:.1g} at most")
