"""``milopyp-infer --slurm`` on a real cluster of one node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from milopyp_inference.launch import shards
from running import outputs, wait_for
from toys import write_batch

COUNT = 12
PROGRAM = str(Path(sys.executable).with_name("milopyp-infer"))
PICK = [PROGRAM, "tomograms.txt", "--model", "toy.onnx", "--with-score"]
ARRAY = ["--slurm", "--slurm-jobs", "4", "--slurm-cpus", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tomograms, and what one local process makes of them in ``local``."""
    folder = tmp_path_factory.mktemp("array")
    write_batch(folder, COUNT, (48, 96, 96), particles=8)
    subprocess.run([*PICK, "--out", "local", "--threads", "1"], cwd=folder, check=True)
    return folder


@pytest.fixture(autouse=True)
def here(cluster: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def submitted(out: str, *more: str) -> subprocess.Popen[str]:
    words = [*PICK, "--out", out, *ARRAY, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def leases(out: str) -> list[Path]:
    return list((Path(out) / "records").glob("*.claim"))


def once_each(out: str) -> None:
    """Every tomogram was picked exactly once, says what the jobs have said."""
    said = "".join(path.read_text() for path in (Path(out) / "slurm").glob("*.out"))
    picked = [line.split()[2] for line in said.splitlines() if " picks in " in line and line.startswith("tomogram ")]
    assert sorted(picked) == [f"t{number:02d}" for number in range(COUNT)]


def test_an_array_with_a_killed_task_and_a_killed_leader() -> None:
    """A task dies by SIGKILL in the middle, and so does the process that follows the array; giving it again ends it."""
    leader = submitted("picks")
    wait_for(lambda: leases("picks"))
    victim = int(json.loads(leases("picks")[0].read_text())["pid"])
    os.kill(victim, signal.SIGKILL)
    leader.kill()
    leader.communicate()
    again = submitted("picks")
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert "following job" in said or "submitted job" in said
    assert outputs(Path("picks")) == outputs(Path("local"))
    once_each("picks")
    summary = json.loads(Path("picks/run.json").read_text())
    assert summary["done"] == COUNT and not summary["failed"]
    assert [record["name"] for record in summary["tomograms"]] == [f"t{number:02d}" for number in range(COUNT)]
    assert not list(Path("picks").rglob("*.part")) and not leases("picks")
    finished = submitted("picks")
    said, _ = finished.communicate(timeout=60)
    assert finished.returncode == 0 and "done already: 12 of 12 tomograms" in said and "submitted" not in said


def test_a_tomogram_that_cannot_be_picked() -> None:
    """It has a job of its own, which refuses nothing: the whole list was looked at before."""
    text = Path("tomograms.txt").read_text()
    Path("bad.mrc").write_bytes(Path("tomograms/t00.mrc").read_bytes()[:5000])
    Path("few.txt").write_text("\n".join([*text.splitlines()[:3], "bad bad.mrc"]) + "\n")
    words = [PROGRAM, "few.txt", *PICK[2:], "--out", "few", "--slurm", "--slurm-jobs", "3"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("submitted job") == 2 and "once more: bad" in done.stdout
    assert "failed: bad: " in done.stderr and "the file has 5000 bytes" in done.stderr


def test_a_cancelled_array_is_not_submitted_again() -> None:
    leader = submitted("cancelled")
    wait_for(lambda: leases("cancelled"))
    subprocess.run(["scancel", "--user", "root"], check=True)
    said, _ = leader.communicate(timeout=120)
    assert leader.returncode in (1, 3) and said.count("submitted job") == 1, said
    again = submitted("cancelled")
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert outputs(Path("cancelled")) == outputs(Path("local"))


def test_what_slurm_refuses_is_said() -> None:
    done = subprocess.run(
        [*PICK, "--out", "refused", *ARRAY, "--slurm-partition", "gone"], capture_output=True, text=True
    )
    assert done.returncode == 3 and "sbatch refuses it: " in done.stderr and "partition" in done.stderr


def test_the_documented_script_by_hand() -> None:
    """The batch script of the documentation, with this environment's program in it."""
    page = Path(__file__).parents[2] / "docs/cluster.md"
    script = page.read_text().split("```bash\n", 1)[1].split("```", 1)[0]
    script = script.replace("\nmilopyp-infer", f"\n{PROGRAM}").replace("tomograms/*.rec", "tomograms.txt")
    script = script.replace("ribosome.onnx", "toy.onnx --with-score").replace("--gres=gpu:1", "--mem=1000M")
    script = script.replace("--out picks", "--out by_hand")
    Path("array.sh").write_text(script)
    done = subprocess.run(["sbatch", "--wait", "array.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in Path().glob("picking_*.out"))
    assert outputs(Path("by_hand")) == outputs(Path("local"))
    assert json.loads(Path("by_hand/run.json").read_text())["done"] == COUNT


def test_a_template_of_one_s_own_on_the_cluster() -> None:
    """What it says before the command is done by every job, and its own options of sbatch count."""
    printed = subprocess.run([PROGRAM, "--slurm-template", "print"], capture_output=True, text=True, check=True).stdout
    more = "scontrol show job $SLURM_JOB_ID | grep Comment\nOURS=1; echo OURS=$OURS\n"
    ours = printed.replace("{{options}}", "#SBATCH --comment=facility\n{{options}}")
    Path("ours.sbatch").write_text(ours.replace("\nexec ", f"\n{more}exec "))
    Path("four.txt").write_text("".join(Path("tomograms.txt").read_text().splitlines(keepends=True)[:5]))
    words = [PROGRAM, "four.txt", *PICK[2:], "--out", "templated", "--slurm", "--slurm-jobs", "2", "--slurm-template"]
    subprocess.run([*words, "ours.sbatch"], check=True, timeout=300)
    assert outputs(Path("templated")).items() <= outputs(Path("local")).items()
    jobs = [path.read_text() for path in Path("templated/slurm").glob("*.out")]
    assert len(jobs) == 2 and all("OURS=1" in text and "Comment=facility" in text for text in jobs)
    status = json.loads(Path("templated/status.json").read_text())
    assert (status["state"], status["total"], status["done"]) == ("finished", 4, 4)
    parts = [json.loads(path.read_text()) for path in Path("templated").glob("status.*-of-2.json")]
    assert [(part["state"], part["total"]) for part in parts] == [("finished", 2)] * 2


def test_names_of_slurm_s_variables_are_those_that_shards_read() -> None:
    Path("env.sh").write_text("#!/bin/bash\n#SBATCH --array=3-4\n#SBATCH --output=env_%a.txt\nenv\n")
    subprocess.run(["sbatch", "--wait", "env.sh"], check=True, capture_output=True)
    values = dict(line.split("=", 1) for line in Path("env_4.txt").read_text().splitlines() if "=" in line)
    assert [values[name] for name in shards.ARRAY] == ["4", "2", "3", "4"]
