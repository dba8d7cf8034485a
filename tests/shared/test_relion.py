"""`milopyp relion` in a small project as RELION keeps it: what its next job reads, and what it knows jobs by."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import starfile

from milopyp import relion_job
from running import Outcome, run_line, tree, wait_for
from toys import TOY, clean_phantom, write_tomogram

LABELS = "TomoName TomoTiltSeriesPixelSize TomoSizeX TomoSizeY TomoSizeZ TomoTomogramBinning"
SCRIPT = Path(__file__).parents[2] / "examples/relion/milopyp_external.sh"
JOB = Path("External/job006")
LIST = "Denoise/job005/tomograms.star"


def project(files: dict[str, str], kind: str = "", shape: tuple[int, int, int] = (24, 48, 64)) -> None:
    """RELION's list, which says of each tomogram where it lies, and those that are no words for nothing."""
    for seed, file in enumerate(files.values(), 1):
        if file != "None":
            write_tomogram(Path(file), clean_phantom(seed, shape, 3).volume, voxel_size=10.0)
    z, y, x = (4 * size for size in shape)
    head = "".join(f"_rln{label}\n" for label in [*LABELS.split(), f"TomoReconstructedTomogram{kind}"])
    rows = "".join(f"{name} 2.5 {x} {y} {z} 4 {file}\n" for name, file in files.items())
    Path(LIST).parent.mkdir(parents=True, exist_ok=True)
    Path(LIST).write_text(f"\n# version 50001\n\ndata_global\n\nloop_\n{head}{rows}\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def job(*more: str) -> Outcome:
    """As RELION gives it: the job's folder with a slash, its input, parameters, threads."""
    return run_line(f"milopyp relion --o {JOB}/ --in_mics {LIST} --model {TOY} --out-thresh 0.2", *more, "--j", "1")


def ends() -> list[str]:
    return sorted(path.name for path in JOB.glob("RELION_JOB_*"))


def test_a_job_of_a_project() -> None:
    project({"TS_01": "Tomograms/rec_TS_01.mrc", "TS_02": "Tomograms/rec_TS_02.mrc", "TS_03": "None"})
    JOB.mkdir(parents=True)
    (JOB / "RELION_JOB_EXIT_FAILURE").touch()  # of before
    outcome = job("--margin", "10")
    assert outcome.code == 0, outcome.err
    assert "names no file in rlnTomoReconstructedTomogram of TS_03" in outcome.err
    assert ends() == ["RELION_JOB_EXIT_SUCCESS"]
    particles = starfile.read(JOB / "particles.star", always_dict=True)["particles"]
    assert set(particles["rlnTomoName"]) == {"TS_01", "TS_02"}
    [one] = starfile.read(JOB / "optimisation_set.star", always_dict=True)["optimisation_set"].to_dict("records")
    assert one == {"rlnTomoParticlesFile": f"{JOB}/particles.star", "rlnTomoTomogramsFile": LIST}
    nodes = starfile.read(JOB / "RELION_OUTPUT_NODES.star", always_dict=True)["output_nodes"]
    for path, kind in zip(nodes["rlnPipeLineNodeName"], nodes["rlnPipeLineNodeTypeLabel"], strict=True):
        assert Path(path).is_file() and kind.startswith(("ParticleGroupMetadata.star.", "TomoOptimisationSet.star."))
    coordinates = starfile.read(JOB / "import.star", always_dict=True)["coordinate_files"]
    assert all(Path(path).is_file() for path in coordinates["rlnTomoImportParticleFile"])
    before = tree(JOB)
    assert job("--margin", "10").code == 0  # Continue!
    assert {name for name, content in tree(JOB).items() if before[name] != content} <= {"picks/status.json"}


def test_denoised_tomograms_come_first() -> None:
    project({"TS_01": "Denoise/job005/rec_TS_01.mrc"}, "Denoised")
    assert "1 tomogram of Denoise/job005/tomograms.star, rlnTomoReconstructedTomogramDenoised" in job().out
    refused = job("--column", "rlnTomoReconstructedTomogram")
    assert refused.code == 2 and ends() == ["RELION_JOB_EXIT_FAILURE"]


def test_a_tomogram_that_cannot_be_picked_leaves_the_others() -> None:
    project({"TS_01": "rec_TS_01.mrc", "TS_02": "rec_TS_02.mrc"})
    Path("rec_TS_02.mrc").write_bytes(Path("rec_TS_02.mrc").read_bytes()[:3000])
    outcome = job()
    assert outcome.code == 1 and "failed: TS_02" in outcome.err
    assert ends() == ["RELION_JOB_EXIT_SUCCESS"]
    assert set(starfile.read(JOB / "particles.star")["rlnTomoName"]) == {"TS_01"}


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning")
def test_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    """The button writes a file: the job ends as by Ctrl-C, and goes on where it stopped.

    The signal may come while a file is being opened: Python closes that one itself, and warns of it.
    """
    monkeypatch.setattr(relion_job, "_LOOKS_EVERY", 0.01)
    project({f"TS_{number:02d}": f"TS_{number:02d}.mrc" for number in range(12)}, shape=(40, 96, 96))

    def abort() -> None:
        wait_for(lambda: list(JOB.glob("picks/records/*.json")))
        (JOB / "RELION_JOB_ABORT_NOW").touch()

    person = threading.Thread(target=abort)
    person.start()
    stopped = job()
    person.join()
    gc.collect()  # warnings of what was cut off belong to this test
    assert stopped.code == 130 and "Continue! in RELION goes on where it stopped" in stopped.err
    assert ends() == ["RELION_JOB_EXIT_ABORTED"] and not (JOB / "particles.star").exists()
    assert job().out.count("is already done") >= 1
    assert ends() == ["RELION_JOB_EXIT_SUCCESS"]


def test_the_script_gives_everything_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    words = [str(SCRIPT), "--o", f"{JOB}/", "--in_mics", "gone.star", "--model", str(TOY)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: gone.star: "), done.stderr
    assert ends() == ["RELION_JOB_EXIT_FAILURE"]
