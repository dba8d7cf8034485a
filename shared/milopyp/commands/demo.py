"""``milopyp demo``: the whole path on synthetic tomograms, no download."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import MissingDependency

if TYPE_CHECKING:
    from milopyp_simulation.phantom_files import PhantomFiles

CLICKS = (3, 2)  # of the two tomograms to train on
DIAMETER = 18
NAME = "demo"
CHECKPOINT = f"exp/semi/{NAME}/model_last_contrastive.pth"
MODEL = f"{NAME}.onnx"


@command("demo")
@option(
    "--out", type=click.Path(path_type=Path), default=Path("milopyp_demo"), help="Folder for everything that is made."
)
@option("--seed", type=click.IntRange(min=0), default=1, help="Of the tomograms and of the training.")
@option("--num-epochs", type=click.IntRange(min=1), help="Of the training.  [default: the preset's]")
@option("--quick", is_flag=True, help="Train as milopyp-train --quick does, in less time.")
@click.version_option(package_name="milopyp")
def demo(out: Path, seed: int, num_epochs: int | None, quick: bool) -> None:
    """Simulate tomograms, train on five clicks, pick, and judge.

    Of three tomograms two are clicked on and the third is picked; figures and a picture say how well that went.
    Every step is one of the commands that you would use on your own data; each is printed before it runs.

    \b
    Example:
      milopyp demo --quick --out milopyp_demo
    """
    from milopyp_export.cli import export_command
    from milopyp_inference.cli import infer_command
    from milopyp_shared.atomic import make_folder
    from milopyp_shared.exporter import missing_package
    from milopyp_shared.overwrite import refuse_irreplaceable
    from milopyp_training.cli import train_command

    from .evaluate import evaluate
    from .report import report

    if missing := missing_package():  # which would be missed after minutes
        raise MissingDependency(
            f"the package {missing} is not installed", where="milopyp demo",
            remedy="Run: pip install 'milopyp[export,report,cpu]'.",
        )  # fmt: skip
    start = time.monotonic()
    if not (out / CHECKPOINT).exists():  # then the model is not the demo's either
        refuse_irreplaceable(out / MODEL)
    make_folder(out)
    with contextlib.chdir(out):
        files = _phantoms(seed)
        _run(
            "milopyp-train", train_command,
            f"--train-img-txt train_imgs.txt --train-coord-txt train_coords.txt --bbox {DIAMETER} --exp-id {NAME} "
            f"--seed {seed} --no-export" + " --quick" * quick + (f" --num-epochs {num_epochs}" if num_epochs else ""),
        )  # fmt: skip
        _run("milopyp-export", export_command, f"{CHECKPOINT} -o {MODEL} --overwrite")
        _run("milopyp-infer", infer_command, f"{files.tomograms[2]} --model {MODEL} --out picks --overwrite")
        _run(
            "milopyp evaluate", evaluate, f"picks --truth test_coords.txt --radius {DIAMETER / 2:g} --json figures.json"
        )
        if find_spec("jinja2") and find_spec("PIL"):
            _run("milopyp report", report, "picks --truth test_coords.txt --quiet")
        else:
            Console().say("no page to look at picks, which is made by milopyp report: pip install 'milopyp[report]'")
        figures = json.loads(Path("figures.json").read_text(encoding="utf-8"))
        picture = _overview(files.tomograms[2])
    best = figures["best"]
    console = Console()
    console.say("")
    console.say(f"AUPRC {figures['auprc']:.2f}")
    console.say(f"F1 {best['f1']:.2f}")
    console.say(f"localisation error {figures['rmse']:.2f} voxels (RMSE)")
    console.say(f"picture {out / picture}, picks {out / 'picks'}, {time.monotonic() - start:.0f} s in all")


def _phantoms(seed: int) -> PhantomFiles:
    """Three tomograms; the clicks in two of them, the truth of the third."""
    import numpy as np

    from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
    from milopyp_shared.lists import ImageEntry, write_image_list
    from milopyp_simulation.phantom import draw_labels
    from milopyp_simulation.realistic import RealisticSettings
    from milopyp_simulation.realistic_files import write_realistic

    settings = RealisticSettings(diameter=DIAMETER, seed=seed)
    Console().say(
        f"simulating three tomograms, {settings.n_particles} particles and {settings.n_distractors} look-alikes in each"
    )
    files = write_realistic("tomograms", 3, settings)
    truth = read_coordinate_list(files.coordinates)
    rng = np.random.default_rng(seed)
    train, test = files.tomograms[:2], files.tomograms[2].stem
    clicked = {
        path.stem: draw_labels(truth[path.stem], count / len(truth[path.stem]), rng)
        for path, count in zip(train, CLICKS, strict=True)
    }
    write_image_list("train_imgs.txt", [ImageEntry(path.stem, path) for path in train])
    write_coordinate_list("train_coords.txt", clicked)
    write_coordinate_list("test_coords.txt", {test: truth[test]})
    return files


def _run(name: str, program: click.Command, arguments: str) -> None:
    """Print a command line and run it in this process."""
    console = Console()
    console.say("")
    console.say(f"$ {name} {arguments}")
    program.main(args=shlex.split(arguments), standalone_mode=False)


def _overview(tomogram: Path) -> Path:
    """Draw the unseen tomogram, its heat map, and the picks above the suggested threshold beside the truth."""
    from milopyp_inference.batch.reader import read_run
    from milopyp_inference.batch.record_files import read_summary
    from milopyp_shared.coordinate_lists import read_coordinate_list
    from milopyp_shared.peaks import above_threshold, nms
    from milopyp_shared.tomogram import open_tomogram

    from ..plots.demo_overview import draw_overview

    found, distance = read_run(Path("picks"))
    threshold = read_summary(Path("picks")).options.selection.threshold
    picks = above_threshold(nms(found[tomogram.stem], distance or 0.0), threshold)
    truth = read_coordinate_list("test_coords.txt")[tomogram.stem]
    heat = open_tomogram(Path("picks") / f"{tomogram.stem}_hm.mrc", "xyz", shortest=1)
    target = Path("overview.png")
    draw_overview(target, open_tomogram(tomogram), heat, picks_xyz=picks.xyz, truth_xyz=truth, radius=DIAMETER / 2)
    return target
