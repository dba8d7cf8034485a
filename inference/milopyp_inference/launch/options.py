"""Options for several processes, and who does the work then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from milopyp_shared.commandline import explicit_args, option, spelled
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError

from ..engine.machine import AUTO
from ..engine.providers.registry import PROVIDERS

if TYPE_CHECKING:  # the help must not pay for what these modules load
    from ..options import InferOptions
    from .local import LocalWorkers
    from .slurm import SlurmArray, SlurmResources

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

GROUP = "Several processes"
SLURM = tuple(
    f"slurm_{word}" for word in ("jobs", "at_once", "cpus", "gpus", "time", "memory", "partition", "option", "template")
)
LEADER_ONLY = {
    "shard",
    "slurm",
    "dry_run",
    "overwrite",
    "quiet",
    "as_worker",
    "test_img_txt",
    "name_from",
    "names",
    "tomograms",
    "summary",
    "level",
    "copick",
    "tomo_type",
    "voxel_spacing",
    "object",
    "user",
    "session",
}
PRINT = "print"  # a file of that name is ./print
WORKERS_OWN = {"provider", "gpus", "threads", "workers"}  # each has a value of its own


def _print_template(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    """Print the built-in template where that is all that is asked for."""
    if value == PRINT and not context.resilient_parsing:
        from .slurm_template import BUILT_IN

        click.echo(BUILT_IN.read_text(encoding="utf-8"), nl=False)
        context.exit()
    return value


_OPTIONS = (
    option("--workers", type=click.IntRange(min=1), group=GROUP, help="Processes on the CPU of this machine."),
    option(
        "--shard", metavar="I/N", group=GROUP,
        help="Pick the I-th of N parts of the list; auto: the part of a task of a SLURM array.",
    ),
    option("--as-worker", is_flag=True, hidden=True, help="Called by a milopyp-infer that has checked the whole list."),
    option("--slurm", is_flag=True, group=GROUP, help="Submit a SLURM job array and follow it."),
    option(
        "--dry-run", is_flag=True, group=GROUP,
        help="Say what would be done with each tomogram, and why, and pick nothing; with --slurm, write the batch "
        "script, too.",
    ),
    option("--slurm-jobs", type=click.IntRange(min=1), group=GROUP, help="Jobs.  [default: 20 at most]"),
    option("--slurm-at-once", type=click.IntRange(min=1), group=GROUP, help="Jobs that may run at the same time."),
    option("--slurm-cpus", type=click.IntRange(min=1), group=GROUP, help="CPUs of a job."),
    option("--slurm-gpus", type=click.IntRange(min=1), group=GROUP, help="GPUs of a job."),
    option("--slurm-time", metavar="TIME", group=GROUP, help="Of a job, as sbatch takes it: 2:00:00."),
    option("--slurm-memory", metavar="SIZE", group=GROUP, help="Of a job, as sbatch takes it: 8G."),
    option("--slurm-partition", metavar="NAME", group=GROUP, help="Partition."),
    option(
        "--slurm-option", multiple=True, metavar="OPTION", group=GROUP,
        help="Another option of sbatch, such as --account=NAME; may be given several times.",
    ),
    option(
        "--slurm-template", metavar="FILE", group=GROUP, callback=_print_template, is_eager=True,
        help="The batch script to fill in, instead of the built-in one, which the word print prints.",
    ),
)  # fmt: skip


def launch_options(function: Decorated) -> Decorated:
    """Add the options to a command."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


def devices(gpus: str | None) -> list[int]:
    """The GPUs that ``--gpus`` names when there are several; else nothing.

    Raises
    ------
    UsageError
        No list of numbers, or one twice.
    """
    if gpus is None or "," not in gpus:
        return []
    words = [word.strip() for word in gpus.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise UsageError(f"{gpus!r}", where="--gpus", expected="different numbers with commas, such as 0,1")
    return [int(word) for word in words]


def worker_args(options: InferOptions) -> list[list[str]]:
    """Per process of several on this machine, the options that are its own; nothing when one process does it all.

    Raises
    ------
    UsageError
        ``--workers`` beside GPUs, or a bad ``--gpus``.
    """
    from milopyp_shared.system import allowed_threads

    gpus = devices(options.gpus)
    on_cpu = options.provider != AUTO and not PROVIDERS[options.provider].gpu
    if gpus and on_cpu:
        given = f"{options.gpus!r} beside --provider {options.provider}"
        raise UsageError(given, where="--gpus", expected="one of them")
    if options.workers and (options.gpus not in (None, "-1") or not (on_cpu or options.provider == AUTO)):
        raise UsageError(
            "given beside GPUs", where="--workers",
            expected="one of them: with several --gpus there is one process for each", remedy="Leave --workers out.",
        )  # fmt: skip
    count = options.workers or len(gpus)
    if not count:
        return []
    threads = ["--threads", str(max((options.threads or allowed_threads()) // count, 1))]
    if options.workers:
        return [["--provider", options.provider, *([] if on_cpu else ["--gpus", "-1"]), *threads]] * count
    return [["--gpus", str(device), *threads] for device in gpus]


def slurm_resources(options: InferOptions) -> SlurmResources | None:
    """What ``--slurm`` asks for; None without it.

    Raises
    ------
    UsageError
        An option of SLURM without it, or ``--shard`` beside it.
    """
    from .slurm import SlurmResources
    from .slurm_template import BUILT_IN, read_template

    if options.dry_run and options.summary is not None:
        raise UsageError(
            "has no effect", where="--summary", expected="it without --dry-run, which prints what it finds"
        )
    if not options.slurm:
        if given := options.given(*SLURM):
            raise UsageError("has no effect", where=spelled(*given), expected="it beside --slurm only")
        return None
    if options.shard is not None:
        raise UsageError("given beside --slurm", where="--shard", expected="one of them: the jobs get a part each")
    if options.dry_run and options.overwrite:
        raise UsageError(
            "given beside --dry-run", where="--overwrite", expected="one of them: the script picks what is not done"
        )
    if options.gpus is not None and (options.slurm_gpus or 0) > 1:
        raise UsageError(
            "given beside --slurm-gpus", where="--gpus", expected="one of them: jobs use the GPUs that they get"
        )
    return SlurmResources(
        jobs=options.slurm_jobs,
        at_once=options.slurm_at_once,
        cpus=options.slurm_cpus,
        gpus=options.slurm_gpus,
        time=options.slurm_time,
        memory=options.slurm_memory,
        partition=options.slurm_partition,
        more=options.slurm_option,
        template=read_template(BUILT_IN if options.slurm_template is None else Path(options.slurm_template)),
    )


def choose_launcher(options: InferOptions, out: Path, console: Console) -> SlurmArray | LocalWorkers | None:
    """Those that do the work, called as this process was but for what is each one's own; None: this process does.

    Raises
    ------
    UsageError
        Options that do not go together.
    """
    from .local import LocalWorkers
    from .slurm import SlurmArray

    resources, own = slurm_resources(options), worker_args(options)
    installed = Path(sys.executable).with_name("milopyp-infer")
    program = [str(installed)] if installed.exists() else [sys.executable, "-P", "-m", "milopyp_inference.cli"]
    context = click.get_current_context()
    if resources is not None:
        return SlurmArray(resources, program, explicit_args(context, {*LEADER_ONLY, *SLURM}), out, console)
    return LocalWorkers(program, explicit_args(context, LEADER_ONLY | WORKERS_OWN), own) if own else None
