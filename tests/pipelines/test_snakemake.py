"""The workflow of examples/snakemake, with the real Snakemake: from clicks to a page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import starfile

from milopyp_shared.coordinate_lists import read_coordinate_list
from running import run_line

EXAMPLE = Path(__file__).parents[2] / "examples/snakemake"
SNAKEMAKE = os.environ.get("MILOPYP_SNAKEMAKE", "")


def workflow(*more: str) -> subprocess.CompletedProcess[str]:
    words = [SNAKEMAKE, "--cores", "2", "--configfile", "config.yaml", "--nocolor", *more]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PATH": path})


def set_to(**values: object) -> None:
    """Change lines of the configuration, as a person would."""
    lines = Path("config.yaml").read_text().splitlines()
    for name, value in values.items():
        [number] = [index for index, line in enumerate(lines) if line.startswith(f"{name}:")]
        lines[number] = f"{name}: {value}"
    Path("config.yaml").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tomograms with clicks, two to pick, and the example's files."""
    if not SNAKEMAKE:
        why = "no Snakemake: make test-pipelines installs it where it may"
        pytest.fail(why) if os.environ.get("MILOPYP_NO_SKIP") else pytest.skip(why)
    monkeypatch.chdir(tmp_path)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(EXAMPLE / name, name)
    made = run_line("milopyp phantom --out labelled --count 2 --size 48,96,96 --particles 6 --distractors 0")
    assert made.code == 0, made.err
    for name, xyz in read_coordinate_list("labelled/coords.txt").items():
        np.savetxt("clicks.txt", xyz, fmt="%.2f")
        line = f"milopyp convert clicks.txt labelled/{name}.mod --tomogram labelled/{name}.mrc --coords voxel"
        assert (done := run_line(line)).code == 0, done.err
    shutil.copytree("labelled", "tomograms", ignore=shutil.ignore_patterns("*.mod", "*.txt"))
    set_to(bbox="18", threads=1, picking='"--provider cpu --out-thresh 0.3"')


def test_from_clicks_to_a_page(folder: None) -> None:
    Path("tomograms/broken.mrc").write_bytes(b"short")  # must not stop the others
    done = workflow()
    assert done.returncode == 0, done.stderr
    particles = starfile.read("for_relion5/particles.star", always_dict=True)["particles"]
    assert set(particles["rlnTomoName"]) == {"phantom_1", "phantom_2"} and len(particles) >= 6
    assert Path("picks/report.html").is_file()
    rows = [line for number in (1, 2) for line in Path(f"parts/{number}.csv").read_text().splitlines()[1:]]
    assert {line.split(",")[0]: line.split(",")[1] for line in rows} == {
        "broken": "failed", "phantom_1": "done", "phantom_2": "done"
    }  # fmt: skip
    again = workflow()
    assert again.returncode == 0 and "Nothing to be done" in again.stderr + again.stdout
    assert workflow("--lint").returncode == 0
    set_to(method="train", name="other")
    planned = workflow("--dry-run")
    assert planned.returncode == 0 and "rule train" in planned.stdout and "rule export" in planned.stdout
    set_to(tomograms="nowhere/*.mrc")
    refused = workflow("--dry-run")
    assert refused.returncode == 1 and "no tomogram fits 'nowhere/*.mrc'" in refused.stdout + refused.stderr
