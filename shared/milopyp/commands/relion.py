"""``milopyp relion``: picking as a job of RELION's type External."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from milopyp_shared.commandline import command, option
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError
from milopyp_shared.names import listed
from milopyp_shared.wording import counted

OURS = ("--out", "--exp-id", "--out-id", "--test-img-txt", "--shard", "--dry-run")  # of milopyp-infer


@command("relion", "Continue! in RELION goes on where it stopped")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION OF milopyp-infer]...")
@option("--o", "out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="The job's, from RELION.")
@option(
    "--in-mics", "--tomograms", "tomograms", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="tomograms.star: RELION's Input micrographs, or a parameter tomograms.",
)  # fmt: skip
@option("--model", type=click.Path(path_type=Path), required=True, help="ONNX file of milopyp-export or learn.")
@option(
    "--column", metavar="LABEL",
    help="Of tomograms.star, with the files to pick.  [default: the first of rlnTomoReconstructedTomogramDenoised, "
    "rlnTomoReconstructedTomogram and rlnTomoReconstructedTomogramHalf1 that names some]",
)  # fmt: skip
@option("--j", "threads", type=click.IntRange(min=1), help="Threads, from RELION.")
@option("--pipeline-control", hidden=True, help="The job's folder once more; RELION gives it to its own programs.")
@click.version_option(package_name="milopyp")
def relion(
    more: tuple[str, ...], *, out: Path, tomograms: Path, model: Path, column: str | None, threads: int | None,
    pipeline_control: str | None,
) -> int:  # fmt: skip
    """Pick all tomograms of a RELION 5 project.

    This is for a job of RELION's type External, which gives --o, --in_mics and --j; the other options are parameters of
    the job, without their dashes. What milopyp relion does not know goes to milopyp-infer. Paths count from RELION's
    project folder, where it must be started. The job's folder then holds the run in picks/, particles.star and
    optimisation_set.star for the next job, and RELION's files about jobs. How to set the job up is in
    docs/pipelines.md.

    \b
    Examples:
      milopyp relion --o External/job006/ --in_mics Denoise/job005/tomograms.star --model ribosome.onnx --j 2
      milopyp relion --o External/job007/ --in_mics Denoise/job005/tomograms.star --model ribosome.onnx --out-thresh 0.2
    """
    from milopyp_inference.cli import infer_command
    from milopyp_shared.lists import write_image_list

    from ..relion_job import job, reconstructed, write_nodes
    from .collect import collect

    console = Console()
    with job(out):
        _refuse_ours(more)
        label, images, without = reconstructed(tomograms, column)
        console.say(f"{counted(len(images), 'tomogram')} of {tomograms}, {label}")
        if without:
            console.warn(f"{tomograms} names no file in {label} of {listed(without)}: left out")
        write_image_list(out / "tomograms.tsv", images)
        words = [str(out / "tomograms.tsv"), "--model", str(model), "--out", str(out / "picks"), *more]
        try:
            code: int = _call(infer_command, [*words, *(["--threads", str(threads)] if threads else [])])
            _call(collect, [str(out / "picks"), "--to", "relion5", "--tomograms", str(tomograms), "-o", str(out),
                            "--overwrite"])  # fmt: skip
        except click.Abort as interrupt:  # as click calls it
            raise KeyboardInterrupt from interrupt
        write_nodes(out, tomograms)
    return code


relion.context_settings["ignore_unknown_options"] = True


def _refuse_ours(words: Sequence[str]) -> None:
    """Refuse options of ``milopyp-infer`` that say where a run is, or which part of it."""
    for word in words:
        name = word.split("=")[0].replace("_", "-")
        if name in OURS:
            raise UsageError(
                f"{name} of milopyp-infer", where="parameters", expected="none that the job itself decides",
                remedy="Leave it out.",
            )  # fmt: skip


def _call(program: click.Command, words: Sequence[str]) -> int:
    code = program.main(args=list(words), prog_name=program.name, standalone_mode=False)
    return code if isinstance(code, int) else 0
