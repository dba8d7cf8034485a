"""``milopyp-train`` from the command line to every file it leaves, on small phantoms."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import (
    BEST,
    DIAMETER,
    HERE,
    LAST,
    PUBLISHED_LISTS,
    SMALL,
    STANDSTILL,
    THICK,
    VALIDATED,
    Experiment,
    heat_of,
    trained,
)
from formula_weights import fill_by_formula
from milopyp_shared import axes
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.lists import read_image_list
from milopyp_shared.peaks import find_candidates, nms
from milopyp_shared.preprocessing import published
from milopyp_training.data.loading import load_volumes
from milopyp_training.loop.checkpoint import load_initial_weights
from milopyp_training.networks.registry import build_network
from milopyp_training.networks.section_unet import SectionUNet
from running import run_line, tree

pytestmark = pytest.mark.usefixtures("work")


@pytest.fixture(scope="module")
def default() -> Experiment:
    """Three epochs, the second and the last validated."""
    return trained(f"{VALIDATED} --exp-id default --num-epochs 3 --val-interval 2 --save-all --debug 4 --K 2")


# ---------------------------------------------------------------- the default preset


def test_the_default_preset_leaves_the_same_files(default: Experiment) -> None:
    models = {BEST, LAST, "model_2.pth", "model_3.pth"}  # the validated epochs
    assert default.names == models | {"opt.txt", "status.json", "debug", "summary.png", "model_selection.md"}
    assert [row["epoch"] for row in default.table("losses.csv")] == [1, 2, 3]
    assert [row["epoch"] for row in default.table("validation.csv")] == [2, 3]
    assert default.events().keys() == {"loss", *(f"validation/{name}" for name in ("loss", "labels", "auprc", "f1"))}
    assert [step for step, _ in default.events()["loss"]] == [1, 2, 3]
    assert {name: default.checkpoint(name)["epoch"] for name in models - {BEST}} == {
        LAST: 3, "model_2.pth": 2, "model_3.pth": 3,
    }  # fmt: skip
    options = default.options()
    assert options["preset.name"] == ("scratch", "preset")
    assert options["batch_size"] == ("2", "given") and options["preset.steps"] == ("50", "preset")
    assert "published" not in default.outcome.out


def test_it_learns(default: Experiment) -> None:
    losses = [row["loss"] for row in default.table("losses.csv")]
    assert losses[-1] < losses[0] / 3
    assert default.table("validation.csv")[-1]["labels"] > 0.9


def test_best_is_the_epoch_that_the_report_names(default: Experiment) -> None:
    rows = {row["epoch"]: row for row in default.table("validation.csv")}
    best = max(rows, key=lambda epoch: (rows[epoch]["labels"], epoch))
    assert default.checkpoint(BEST)["epoch"] == best
    assert f"Use `{BEST}` (epoch {best:g})." in (default.folder / "model_selection.md").read_text()
    pictured = {int(path.name.split("_")[0]) for path in (default.folder / "debug").glob("*_pred_*.png")}
    assert pictured == {best, 3}
    sheets = {path.name for path in (default.folder / "debug").glob("*_phantom_2.png")}
    assert sheets == {"2_phantom_2.png", "3_phantom_2.png"}


def test_picks_in_debug_are_the_best_of_the_saved_network(default: Experiment) -> None:
    """``--K 2``: of the five particles the two that score highest, x, y, z in voxels and the score."""
    heat = heat_of(default, "model_3.pth", Path("small/phantom_2.mrc"), "xyz")
    recipe = default.recipe("model_3.pth")
    picks = nms(find_candidates(heat, recipe.voxel_per_output), recipe.suppression_distance)
    found = np.loadtxt(default.folder / "debug/3_phantom_2.txt", ndmin=2)
    assert len(found) == 2 < len(picks)
    np.testing.assert_allclose(found[:, :3], picks.xyz[:2], atol=0.02)
    np.testing.assert_allclose(found[:, 3], picks.score[:2], atol=1e-4)
    truth = read_coordinate_list("small/val_coord.txt")["phantom_2"]
    assert (np.linalg.norm(truth[None] - found[:, None, :3], axis=2).min(axis=1) < DIAMETER / 2).all()


def test_a_finished_run_that_is_resumed_says_the_same_again(default: Experiment) -> None:
    line = f"{VALIDATED} --exp-id default --num-epochs 3 --val-interval 2 --save-all --debug 4 --K 2 --resume"
    before = tree(default.folder)
    weights = {name: default.checkpoint(name)["state_dict"] for name in (BEST, LAST)}
    losses = (default.logs / "losses.csv").read_text()
    outcome = run_line(line)
    assert (outcome.code, outcome.doubts) == (0, [])
    assert "going on after epoch 3" in outcome.out
    after = tree(default.folder)
    same = ["model_2.pth", "model_3.pth", "model_selection.md", "summary.png"]
    assert [after[name] for name in same] == [before[name] for name in same]
    for name, state in weights.items():
        assert all(torch.equal(value, state[key]) for key, value in default.checkpoint(name)["state_dict"].items())
    for logs in default.folder.glob("logs_*"):  # leave the folder as the other tests expect it
        if logs.name not in before:
            assert (logs / "losses.csv").read_text() == losses
            for path in logs.iterdir():
                path.unlink()
            logs.rmdir()


def test_resuming_with_other_labels_or_options_is_refused(default: Experiment, work: Path) -> None:
    line = f"{VALIDATED} --exp-id default --num-epochs 3 --val-interval 2 --save-all --debug 4 --K 2 --resume"
    before = tree(default.folder)
    name, *moved = (work / "small/train_coord.txt").read_text().splitlines()[1].split()
    header, _, *rest = (work / "small/train_coord.txt").read_text().splitlines(keepends=True)
    row = "\t".join([name, str(float(moved[0]) + 1), *moved[1:]]) + "\n"
    (work / "small/moved.txt").write_text("".join([header, row, *rest]))
    for other, word in (
        (line.replace("small/train_coord.txt", "small/moved.txt"), "phantom_1 5 labels ("),
        (f"{line} --seed 5", "--seed 317, now 5"),
        (f"{line} --lr 0.001", "lr 0.003, now 0.001"),
    ):
        outcome = run_line(other)
        assert outcome.code == 2
        assert f"is a run with other options ({word}" in outcome.err
    assert tree(default.folder) == before


def test_a_run_may_be_resumed_by_a_command_that_means_the_same() -> None:
    trained(f"{SMALL} --exp-id same --num-epochs 1 --quick")
    again = trained(f"{SMALL} --exp-id same --num-epochs 1 --quick --preset default --arch unet3d --resume")
    assert "going on after epoch 1" in again.outcome.out


# ---------------------------------------------------------------- without validation, fully labelled, quiet


def test_without_validation(work: Path) -> None:
    run = trained(f"{SMALL} --exp-id alone --num-epochs 1 --debug 4 --quiet")
    assert run.outcome.out == ""
    assert run.names == {BEST, LAST, "opt.txt", "status.json", "debug", "summary.png", "model_selection.md"}
    assert not (run.logs / "validation.csv").exists() and run.events().keys() == {"loss"}
    text = (run.folder / "model_selection.md").read_text()
    assert f"Use `{LAST}` (epoch 1)." in text and "no validation tomograms" in text
    assert "training" in run.recipe().threshold.method
    assert run.recipe(BEST) == run.recipe(LAST)
    # pictures show what there is: the training tomogram
    names = {path.name for path in (run.folder / "debug").iterdir()}
    assert {"1_phantom_1.png", "1_phantom_1.txt", "1_phantom_1_pred_hm0.png", "1_phantom_1_pred_out7.png"} <= names
    assert len(names) == 2 + 2 * 8


def test_fully_labelled_validation_is_judged_by_precision_and_recall(work: Path) -> None:
    run = trained(
        f"{VALIDATED} --exp-id full --num-epochs 1 --val-fully-labelled --metric f1 --print-iter 20 --num-workers 0"
    )
    [row] = run.table("validation.csv")
    heat = heat_of(run, LAST, Path("small/phantom_2.mrc"), "xyz")
    recipe = run.recipe()
    picks = nms(find_candidates(heat, recipe.voxel_per_output), recipe.suppression_distance)
    truth = read_coordinate_list("small/val_coord.txt")["phantom_2"]
    hit = np.linalg.norm(truth[None] - picks.xyz[:, None], axis=2).min(axis=1) <= DIAMETER / 2
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    recall = np.cumsum(hit) / len(truth)
    assert len(hit) and recall[-1] <= 1  # no particle has two picks, so plain counting is enough
    assert row["auprc"] == pytest.approx((precision * hit).sum() / len(truth), abs=1e-6)
    assert row["f1"] == pytest.approx((2 * precision * recall / np.maximum(precision + recall, 1e-9)).max(), abs=1e-6)
    text = (run.folder / "model_selection.md").read_text()
    assert "Criterion: best F1" in text and f"| {row['auprc']:.3f} | {row['f1']:.3f} |" in text
    assert "need a validation tomogram in which every particle" not in text
    # --print-iter 20: two lines of the fifty steps, printed and logged
    for told in (run.outcome.out, (run.logs / "log.txt").read_text()):
        assert re.findall(r"step (\d+): loss \d", told) == ["20", "40"]
    assert "debug" not in run.names


def test_a_run_that_breaks_says_so_in_its_log(work: Path) -> None:
    outcome = run_line(f"{SMALL} --exp-id broken --num-epochs 1 --lr 1e30")
    assert outcome.code == 3
    [error] = outcome.errors
    assert re.match(r"error: training loss: the term 'loss' is nan at step \d+ of epoch 1; expected finite", error)
    [log] = Path("exp/semi/broken").glob("logs_*/log.txt")
    assert f"stopped: {error.removeprefix('error: ')}" in log.read_text()
    assert not list(Path("exp/semi/broken").glob("*.pth"))


# ---------------------------------------------------------------- beginning with weights


def parameters(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The entries that are trained; running statistics of batches move however small the rate is."""
    return {name: weights[name] for name, _ in network.named_parameters()}


def test_load_model_begins_with_the_weights_of_an_earlier_run(default: Experiment) -> None:
    run = trained(f"{SMALL} {STANDSTILL} --exp-id onward --seed 4 --load-model {default.folder / LAST}")
    network = build_network(run.recipe())
    ours = parameters(network, run.checkpoint()["training_state_dict"])
    theirs = default.checkpoint()["training_state_dict"]
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=0, atol=1e-7)
    [row] = run.table("losses.csv")
    assert row["loss"] < 2 * default.table("losses.csv")[-1]["loss"]


@pytest.fixture(scope="module")
def published_weights(work: Path) -> Path:
    """A checkpoint in the form of the published program, of a model trained on several GPUs."""
    network = SectionUNet(4)
    fill_by_formula(network)
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 5, "state_dict": weights, "optimizer": {"state": {}, "param_groups": []}}, "published.pth")
    return Path("published.pth")


def test_load_model_reads_a_checkpoint_of_the_published_program(published_weights: Path) -> None:
    run = trained(
        f"milopyp-train {PUBLISHED_LISTS} {HERE} {STANDSTILL} --preset published --no-contrastive "
        f"--exp-id continued --load_model {published_weights}",
        THICK.format("phantom_1"),
    )
    network = SectionUNet(4)
    fill_by_formula(network)
    found = parameters(network, run.checkpoint()["state_dict"])
    for name, value in network.named_parameters():
        torch.testing.assert_close(found[name], value.detach(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("line", ["--arch unet_5", "--preset default", "--arch unet_4 --last-k 5"])
def test_weights_of_another_network_are_refused(line: str, published_weights: Path) -> None:
    outcome = run_line(f"milopyp-train {PUBLISHED_LISTS} {HERE} {line} --load-model published.pth --exp-id never")
    assert outcome.code == 2
    [error] = outcome.errors
    assert error.startswith("error: published.pth: does not fit the network (")
    assert "entries of the network that --preset and --arch name" in error
    assert not Path("exp/semi/never").exists()


# ---------------------------------------------------------------- with the reference data


def test_the_published_model_of_the_reference_data_loads(reference: Path) -> None:
    network = SectionUNet(4)
    path = reference / "golden" / "published_unet_4.pth"
    load_initial_weights(network, path)
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("species", ["ribosome70S", "proteasome26S", "thyroglobulin"])
def test_lists_of_the_reference_data_load_without_a_warning(reference: Path, species: str) -> None:
    diameter = {"ribosome70S": 24, "proteasome26S": 16, "thyroglobulin": 14}[species]
    lists = reference / "data" / "dev" / "lists" / species
    warned: list[str] = []
    volumes = load_volumes(
        read_image_list(lists / "images_train.tsv"),
        read_coordinate_list(lists / "coords_train_15.tsv"),
        published(),
        diameter=diameter,
        order="xzy",
        warn=warned.append,
    )
    assert warned == []
    assert sum(len(volume.xyz) for volume in volumes) == 15
    assert {volume.grey.shape for volume in volumes} == {(48, 256, 256)}
    for volume in volumes:
        assert axes.inside(volume.xyz, (96, 256, 256)).all()


def test_resuming_what_has_not_finished_an_epoch_begins_anew() -> None:
    """So that a job script can always say --resume."""
    experiment = trained(f"{SMALL} --exp-id died --num-epochs 1 --quick --resume")
    assert "nothing to resume in exp/semi/died: this run begins anew" in experiment.outcome.out
    assert experiment.checkpoint()["epoch"] == 1


def test_a_gpu_on_a_machine_without_one_is_refused(work: Path) -> None:
    """In words that name the remedy, before anything is read or written; ``auto`` takes the CPU."""
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    for words, code in (("--gpus 0", 2), ("--gpus auto", 0)):
        line = f"{SMALL} --num-epochs 1 --quick {words} --exp-id gpu"
        line = line.replace("milopyp-train", f"{sys.executable} -m milopyp_training.cli")
        done = subprocess.run(line.split(), capture_output=True, text=True, env=hidden, check=False)
        assert done.returncode == code, done.stderr
        if words == "--gpus 0":
            assert done.stderr == (
                "error: --gpus: GPU 0 is not there (0 found); expected a GPU that PyTorch sees. "
                "Give --gpus -1 for the CPU.\n"
            )
            assert not Path("exp/semi/gpu").exists()
    assert Path("exp/semi/gpu", LAST).is_file()
