"""``milopyp-infer --slurm``: a job array that picks a list, written, submitted and followed.

SLURM's own commands do it all. The jobs are ordinary calls of ``milopyp-infer --shard auto``; the script that is
submitted can be read, changed and submitted by hand.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.console import Console
from milopyp_shared.errors import CheckError, MissingDependency, UsageError
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.overwrite import keep_as_before
from milopyp_shared.wording import counted

from .slurm_template import COMMAND, OPTIONS, fill, refuse_ours

FOLDER, SCRIPT, LIST = "slurm", "milopyp-infer.sbatch", "tomograms.tsv"
MOST_JOBS = 20
ASK_EVERY = 10.0  # seconds between questions to SLURM
PATIENCE = 300.0  # seconds that SLURM may be out of reach


@dataclass(frozen=True)
class SlurmResources:
    """What the jobs ask for; None: the cluster's default.

    Attributes
    ----------
    jobs
        Tasks of the array.
    at_once
        That may run at the same time.
    cpus, gpus
        Per task.
    time, memory, partition
        As sbatch takes them.
    more
        Further options of sbatch.
    template
        Text of the script, see `slurm_template`.
    """

    template: str

    jobs: int | None = None
    at_once: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    time: str | None = None
    memory: str | None = None
    partition: str | None = None
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would be more than the value of its option.

        Raises
        ------
        UsageError
            A line break or a space, or a further option that is none.
        """
        words = [("time", self.time), ("memory", self.memory), ("partition", self.partition)]
        for name, value in [*words, *(("option", option) for option in self.more)]:
            if value is not None and (not value.isprintable() or not value or " " in value):
                raise UsageError(
                    f"{value!r}", where=f"--slurm-{name}", expected="one word",
                    remedy="Give one --slurm-option for each.",
                )  # fmt: skip
        for option in self.more:
            if not option.startswith("-"):
                raise UsageError(
                    f"{option!r}", where="--slurm-option", expected="an option of sbatch such as --account=NAME"
                )
            refuse_ours(option, "--slurm-option")


def script_of(cluster: SlurmResources, command: Sequence[str], count: int, folder: Path, name: str) -> str:
    """The batch script for `count` tomograms.

    Parameters
    ----------
    command
        Words that pick the whole list, without ``--shard``.
    folder
        Where the script, the list and what the jobs say lie.
    name
        Of the job.
    """
    tasks = min(cluster.jobs or MOST_JOBS, count)
    limit = f"%{cluster.at_once}" if cluster.at_once else ""
    asked = {
        "job-name": name,
        "array": f"1-{tasks}{limit}",
        "chdir": Path.cwd(),
        "output": folder / "%A_%a.out",
        "cpus-per-task": cluster.cpus,
        "gres": f"gpu:{cluster.gpus}" if cluster.gpus else None,
        "time": cluster.time,
        "mem": cluster.memory,
        "partition": cluster.partition,
    }
    options = [f"--{option}={value}" for option, value in asked.items() if value is not None]
    words = [*command, "--shard", "auto", "--as-worker"]
    if cluster.cpus and "--threads" not in words and "--workers" not in words:
        words += ["--threads", str(cluster.cpus)]
    if cluster.gpus and cluster.gpus > 1:
        words += ["--gpus", ",".join(map(str, range(cluster.gpus)))]
    values = {
        OPTIONS: "\n".join(f"#SBATCH {option}" for option in (*options, *cluster.more)),
        COMMAND: " \\\n    ".join(_in_lines(words)),
        "work": f"{counted(count, 'tomogram')} in {counted(tasks, 'job')}",
        "out": shlex.quote(str(folder.parent)),
    }
    return fill(cluster.template, values)


@dataclass
class SlurmArray:
    """Jobs on a cluster.

    Attributes
    ----------
    cluster
        What they ask for.
    program, words
        Words that start ``milopyp-infer``, and its options.
    out
        Output folder of the run, on a file system that the jobs see.
    console
        Where it speaks.
    """

    cluster: SlurmResources
    program: Sequence[str]
    words: Sequence[str]
    out: Path
    console: Console
    interval: float = 2.0
    number: str = ""
    _asked: tuple[float, list[str]] = (0.0, [])

    @property
    def folder(self) -> Path:
        """Of script, list and what the jobs say."""
        return self.out.resolve() / FOLDER

    @property
    def name(self) -> str:
        """Of the job; the same for the same output folder, so that a later call finds it again."""
        return f"milopyp-{hashlib.sha256(str(self.out.resolve()).encode()).hexdigest()[:10]}"

    def write(self, images: Sequence[ImageEntry]) -> Path:
        """Write the list and the script; returns the latter."""
        for path in (self.folder, Path.cwd()):
            if " " in str(path) or "%" in str(path) or not str(path).isprintable():
                raise UsageError(
                    f"{str(path)!r}",
                    where="--slurm",
                    expected="folders without spaces and %, which scripts for sbatch cannot name",
                    remedy="Use another folder.",
                )
        make_folder(self.folder)
        images_file, script = self.folder / LIST, self.folder / SCRIPT
        write_image_list(images_file, images)
        command = [*self.program, str(images_file), *self.words]
        text = script_of(self.cluster, command, len(images), self.folder, self.name)
        if (kept := keep_as_before(script, text)) is not None:
            self.console.say(f"{script} said otherwise: kept as {kept.name}")
        write_text(script, text)
        return script

    def start(self, images: Sequence[ImageEntry]) -> bool:
        """Submit the array; False when that of an earlier call is still there.

        Raises
        ------
        MissingDependency
            SLURM's commands are not here.
        CheckError
            SLURM refuses the job.
        """
        if jobs := self._jobs():
            self.number = jobs[-1]
            self.console.say(f"following job {self.number}, which is at it")
            return False
        said = _call(["sbatch", "--parsable", str(self.write(images))])
        if said.returncode:
            raise CheckError(
                f"sbatch refuses it: {said.stderr.strip() or said.stdout.strip()}", where=self.folder / SCRIPT,
                remedy="Change the --slurm options, or the script and submit it by hand.",
            )  # fmt: skip
        self.number, self._asked = said.stdout.strip().split(";")[0], (0.0, [])
        self.console.say(f"submitted job {self.number}; stop this command and give it again as you like")
        return True

    def running(self) -> bool:
        """Whether tasks wait or run; SLURM is asked now and then only."""
        if time.monotonic() - self._asked[0] > ASK_EVERY:
            self._asked = (time.monotonic(), self._jobs())
        return bool(self._asked[1])

    def should_stop(self) -> bool:
        """Whether the job was cancelled."""
        line = ["squeue", "--noheader", "--states", "all", "--jobs", self.number, "--format", "%T"]
        return bool(self.number) and "CANCELLED" in _call(line).stdout.split()

    def failure_reason(self) -> str:
        """Where the jobs' own words are."""
        return f"was not picked: its job ended without finishing it; see {self.folder}/*.out"

    def shutdown(self) -> None:
        """The jobs go on."""

    def _jobs(self) -> list[str]:
        """Numbers of this run's jobs that wait or run.

        Raises
        ------
        CheckError
            SLURM has not answered for minutes.
        """
        line = ["squeue", "--noheader", "--name", self.name, "--user", str(os.getuid()), "--format", "%F"]
        end = time.monotonic() + PATIENCE
        while (said := _call(line)).returncode:
            if time.monotonic() > end:
                raise CheckError(
                    f"squeue does not answer: {said.stderr.strip()}", where=self.folder,
                    remedy="The jobs go on; give the same command again to follow them.",
                )  # fmt: skip
            time.sleep(5.0)
        return sorted(set(said.stdout.split()))


def _call(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    if shutil.which(words[0]) is None:
        raise MissingDependency(
            f"{words[0]} is not here", where="--slurm", remedy="Run this where jobs are submitted, or use --dry-run."
        )
    # a person's own settings of these commands would change what they say
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SBATCH_", "SQUEUE_"))}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=plain)


def _in_lines(words: Sequence[str]) -> list[str]:
    """Quoted for the shell, an option and its value together."""
    lines: list[str] = []
    for word in words:
        follows = bool(lines) and lines[-1].startswith("-") and " " not in lines[-1] and not word.startswith("--")
        if follows:
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return lines
