"""The batch script of ``milopyp-infer --slurm``, read as a shell and as sbatch read it. On a cluster: tests/cluster."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from milopyp_inference.launch.slurm import SlurmResources, script_of
from milopyp_inference.launch.slurm_template import BUILT_IN, read_template
from milopyp_shared.lists import read_image_list
from running import run_line
from toys import TOY, noise, write_tomogram

ODD = "a model with 'quotes' & $(touch hacked).onnx"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    for name in "abc":
        write_tomogram(Path(f"{name}.mrc"), noise())
    return tmp_path


def script(words: str, out: str = "picks") -> tuple[dict[str, str], list[str]]:
    """Options for sbatch, and the words of the command, of a dry run."""
    line = f"milopyp-infer a.mrc b.mrc c.mrc --model toy.onnx --slurm --dry-run {words}"
    outcome = run_line(line, "--out", out)
    assert outcome.code == 0, outcome.err
    path = Path(out) / "slurm/milopyp-infer.sbatch"
    assert f"wrote {path.resolve()}; submit it with sbatch" in outcome.out
    text = path.read_text()
    return options_in(text), shlex.split(text[text.index("\nexec ") :].replace("\\\n", " "))


def options_in(text: str) -> dict[str, str]:
    """What a script says to sbatch."""
    return dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.M))


def test_what_the_jobs_ask_for(folder: Path) -> None:
    options, words = script("--slurm-jobs 2 --slurm-at-once 1 --slurm-cpus 3 --slurm-gpus 2 --slurm-time 1:00:00 "
                            "--slurm-memory 8G --slurm-partition gpu --slurm-option --account=me")  # fmt: skip
    name = options.pop("job-name")
    assert re.fullmatch("milopyp-[0-9a-f]{10}", name)
    assert options == {
        "array": "1-2%1", "chdir": str(folder), "output": f"{folder}/picks/slurm/%A_%a.out", "cpus-per-task": "3",
        "gres": "gpu:2", "time": "1:00:00", "mem": "8G", "partition": "gpu", "account": "me",
    }  # fmt: skip
    assert words[0] == "exec" and words[1].endswith("milopyp-infer")
    assert words[-7:] == ["--shard", "auto", "--as-worker", "--threads", "3", "--gpus", "0,1"]
    assert [image.path.resolve() for image in read_image_list(words[2])] == [folder / f"{name}.mrc" for name in "abc"]
    assert script("")[0]["job-name"] == name  # found again by a later call
    assert script("", "elsewhere")[0]["job-name"] != name


def test_options_of_picking_reach_the_jobs() -> None:
    _, words = script("--out-thresh 0.25 --with-score --format csv,tbl --margin 30 --order xyz --workers 2")
    assert words[3:] == [
        "--model", "toy.onnx", "--out", "picks", "--with-score", "--format", "csv,tbl", "--out-thresh", "0.25",
        "--order", "xyz", "--margin", "30.0", "--workers", "2", "--shard", "auto", "--as-worker",
    ]  # fmt: skip


def test_no_more_jobs_than_tomograms() -> None:
    assert script("")[0]["array"] == "1-3"


def test_names_are_quoted_for_the_shell(folder: Path) -> None:
    """The script is run with a program that prints its words in place of milopyp-infer."""
    shutil.copy("toy.onnx", ODD)
    outcome = run_line("milopyp-infer a.mrc --slurm --dry-run --out picks --model", ODD)
    assert outcome.code == 0, outcome.err
    text = Path("picks/slurm/milopyp-infer.sbatch").read_text()
    printing = re.sub(r"^exec \S+", "exec printf '%s\\\\n'", text, flags=re.M)
    said = subprocess.run(["bash", "-c", printing], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[1:3] == ["--model", ODD]
    assert not Path("hacked").exists()


@pytest.mark.parametrize("name", ["two words", "50%", "two\nlines"])
def test_folders_that_sbatch_cannot_name(name: str) -> None:
    outcome = run_line("milopyp-infer a.mrc --model toy.onnx --slurm --dry-run", "--out", name)
    assert outcome.code == 2 and "folders without spaces and %" in outcome.err
    assert not Path(name).exists()


@pytest.mark.parametrize("option", ["--job-name=mine", "-Jmine", "--array=1-2", "--clusters=other"])
def test_options_by_which_the_array_would_be_lost(option: str) -> None:
    outcome = run_line(f"milopyp-infer a.mrc --model toy.onnx --out picks --slurm --dry-run --slurm-option {option}")
    assert outcome.code == 2 and "none by which the array is found again" in outcome.err


def test_a_script_in_whole() -> None:
    command = ["/env/bin/milopyp-infer", "list.tsv", "--model", "m.onnx", "--flips", "1"]
    text = script_of(
        SlurmResources(read_template(BUILT_IN), jobs=4, cpus=2), command, 12, Path("/run/slurm"), "milopyp-1"
    )
    assert text.splitlines()[0] == "#!/bin/bash"
    assert text.endswith(
        "exec /env/bin/milopyp-infer \\\n    list.tsv \\\n    --model m.onnx \\\n    --flips 1 \\\n"
        "    --shard auto \\\n    --as-worker \\\n    --threads 2\n"
    )


OWN = """#!/bin/bash -l
#SBATCH --mail-type=FAIL
{{options}}
#SBATCH --qos=low
module load milopyp  # ${USER} and {this} are the shell's
cd {{out}} && cp {{out}}/slurm/tomograms.tsv "$TMPDIR"  # {{work}}
srun {{command}}
"""


def test_a_template_of_one_s_own() -> None:
    """What it says stands in the script, and the gaps are filled."""
    Path("ours.sbatch").write_text(OWN)
    line = "milopyp-infer a.mrc b.mrc c.mrc --model toy.onnx --slurm --dry-run --slurm-template ours.sbatch"
    assert run_line(line, "--out", "picks", "--slurm-jobs", "2", "--slurm-time", "1:00:00").code == 0
    options = options_in(Path("picks/slurm/milopyp-infer.sbatch").read_text())
    assert (options["mail-type"], options["qos"], options["time"], options["array"]) == (
        "FAIL",
        "low",
        "1:00:00",
        "1-2",
    )
    text = Path("picks/slurm/milopyp-infer.sbatch").read_text()
    assert "module load milopyp  # ${USER} and {this} are the shell's\n" in text and "{{" not in text
    assert f"cd {Path('picks').resolve()} && " in text and "# 3 tomograms in 2 jobs\nsrun " in text


def test_the_printed_template_is_the_built_in_one(folder: Path) -> None:
    """It needs neither tomograms nor a model, and gives the same script."""
    printed = run_line("milopyp-infer --slurm-template print")
    assert printed.code == 0 and printed.out == BUILT_IN.read_text()
    Path("same.sbatch").write_text(printed.out)
    script("--slurm-cpus 2")
    built_in = Path("picks/slurm/milopyp-infer.sbatch").read_text()
    script("--slurm-cpus 2 --slurm-template same.sbatch")
    assert Path("picks/slurm/milopyp-infer.sbatch").read_text() == built_in


def test_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    outcome = run_line("milopyp-infer a.mrc --model toy.onnx --out picks --slurm")
    assert outcome.code == 2
    assert outcome.err == "error: --slurm: squeue is not here. Run this where jobs are submitted, or use --dry-run.\n"
