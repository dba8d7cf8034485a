"""Options for several processes, and who does the work then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from milopyp_shared.commandline import explicit_args, option
from milopyp_shared.console import Console
from milopyp_shared.errors import UsageError

if TYPE_CHECKING:  # the help must not pay for what these modules load
    from .local import LocalWorkers
    from .slurm import SlurmArray, SlurmResources

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

GROUP = "Several processes"
SLURM = ("jobs", "at_once", "cpus", "gpus", "time", "memory", "partition", "more")
SPELLED = {"more": "--slurm-option"}  # the one that is not called as its option
LEADERS = {"shard", "slurm", "dry_run", "overwrite", "quiet", "led", "test_img_txt"}  # not for those that are led
OWN = {"provider", "gpus", "threads", "workers"}  # each worker has its own

_OPTIONS = (
    option("--workers", type=click.IntRange(min=1), group=GROUP, help="Processes on the CPU of this machine."),
    option(
        "--shard", metavar="I/N", group=GROUP,
        help="Pick the I-th of N parts of the list; auto: the part of a task of a SLURM array.",
    ),
    option("--led", is_flag=True, hidden=True, help="Called by a milopyp-infer that has checked the whole list."),
    option("--slurm", is_flag=True, group=GROUP, help="Submit a SLURM job array and follow it."),
    option("--dry-run", is_flag=True, group=GROUP, help="With --slurm: only write the batch script."),
    option("--slurm-jobs", type=click.IntRange(min=1), group=GROUP, help="Jobs.  [default: 20 at most]"),
    option("--slurm-at-once", type=click.IntRange(min=1), group=GROUP, help="Jobs that may run at the same time."),
    option("--slurm-cpus", type=click.IntRange(min=1), group=GROUP, help="CPUs of a job."),
    option("--slurm-gpus", type=click.IntRange(min=1), group=GROUP, help="GPUs of a job."),
    option("--slurm-time", metavar="TIME", group=GROUP, help="Of a job, as sbatch takes it: 2:00:00."),
    option("--slurm-memory", metavar="SIZE", group=GROUP, help="Of a job, as sbatch takes it: 8G."),
    option("--slurm-partition", metavar="NAME", group=GROUP, help="Partition."),
    option(
        "--slurm-option", "slurm_more", multiple=True, metavar="OPTION", group=GROUP,
        help="Another option of sbatch, such as --account=NAME; may be given several times.",
    ),
)  # fmt: skip


def options(function: Decorated) -> Decorated:
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


def worker_args(options: Mapping[str, Any]) -> list[list[str]]:
    """Per process of several on this machine, the options that are its own; nothing when one process does it all.

    Raises
    ------
    UsageError
        ``--workers`` beside GPUs, or a bad ``--gpus``.
    """
    from milopyp_shared.cpu import allowed_threads

    several, workers = devices(options["gpus"]), options["workers"]
    if several and options["provider"] == "cpu":
        raise UsageError(f"{options['gpus']!r} beside --provider cpu", where="--gpus", expected="one of them")
    if not workers and not several:
        return []
    if workers and (several or options["gpus"] not in (None, "-1") or options["provider"] not in ("auto", "cpu")):
        raise UsageError(
            "given beside GPUs", where="--workers",
            expected="one of them: with several --gpus there is one process for each", remedy="Leave --workers out.",
        )  # fmt: skip
    count = workers or len(several)
    threads = ["--threads", str(max((options["threads"] or allowed_threads()) // count, 1))]
    if workers:
        return [["--provider", "cpu", *threads]] * workers
    return [["--gpus", str(device), *threads] for device in several]


def cluster(options: Mapping[str, Any]) -> SlurmResources | None:
    """What ``--slurm`` asks for; None without it.

    Raises
    ------
    UsageError
        An option of SLURM without it, or ``--shard`` beside it.
    """
    from .slurm import SlurmResources

    values = {name: options[f"slurm_{name}"] for name in SLURM}
    if not options["slurm"]:
        given = [SPELLED.get(name, f"--slurm-{name.replace('_', '-')}") for name, value in values.items() if value]
        given += ["--dry-run"] * options["dry_run"]
        if given:
            raise UsageError("has no effect", where=", ".join(given), expected="it beside --slurm only")
        return None
    if options["shard"] is not None:
        raise UsageError("given beside --slurm", where="--shard", expected="one of them: the jobs get a part each")
    if options["dry_run"] and options["overwrite"]:
        raise UsageError(
            "given beside --dry-run", where="--overwrite", expected="one of them: the script picks what is not done"
        )
    if options["gpus"] is not None and (options["slurm_gpus"] or 0) > 1:
        raise UsageError(
            "given beside --slurm-gpus", where="--gpus", expected="one of them: jobs use the GPUs that they get"
        )
    return SlurmResources(**values)


def fleet(options: Mapping[str, Any], out: Path, console: Console) -> SlurmArray | LocalWorkers | None:
    """Those that do the work, called as this process was but for what is each one's own; None: this process does.

    Raises
    ------
    UsageError
        Options that do not go together.
    """
    asked, own = cluster(options), worker_args(options)
    if asked is None and not own:
        return None
    installed = Path(sys.executable).with_name("milopyp-infer")
    program = [str(installed)] if installed.exists() else [sys.executable, "-m", "milopyp_inference.cli"]
    context = click.get_current_context()
    if asked is not None:
        from .slurm import SlurmArray

        return SlurmArray(
            asked, program, explicit_args(context, LEADERS | {f"slurm_{name}" for name in SLURM}), out, console
        )
    from .local import LocalWorkers

    return LocalWorkers(program, explicit_args(context, LEADERS | OWN), own)
