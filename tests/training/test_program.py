"""``milopyp-train`` from the command line to every file the manual names, on two small phantoms."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from formula_weights import fill_by_formula
from milopyp_inference.model import read_recipe
from milopyp_shared import axes
from milopyp_shared.grey import grey_levels, published
from milopyp_shared.lists import (
    ImageEntry,
    read_coordinate_list,
    read_image_list,
    write_coordinate_list,
    write_image_list,
)
from milopyp_shared.peaks import find_candidates, suppress
from milopyp_shared.phantom import PhantomSettings, write_phantoms
from milopyp_shared.recipe import Recipe
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.checkpoint import load_initial_weights
from milopyp_training.data import load_volumes
from milopyp_training.networks import build_network, picking_logits
from milopyp_training.targets import published_grid_centres, published_targets
from milopyp_training.unet2d import SectionUNet
from running import Outcome, run_line, tree

DIAMETER = 8
HERE = "--threads 1 --gpus -1 --no-export"
# The manual's sample command with fewer epochs and the smaller network.
MANUAL = (
    "milopyp-train semi --down_ratio 2 --num_epochs 1 --bbox 16 --exp_id sample_refinement --dataset semi "
    "--arch unet_4 --save_all --debug 4 --val_interval 1 --thresh 0.85 --cr_weight 0.1 --temp 0.07 --tau 0.01 "
    "--lr 5e-4 --train_img_txt sample_train_explore_img.txt --train_coord_txt training_coordinates.txt "
    "--val_img_txt sample_val_img.txt --val_coord_txt val_coordinates.txt --K 900 --compress --order xzy --gauss 0.8 "
    "--contrastive --last_k 3"
)
PUBLISHED_LISTS = "--train-img-txt sample_train_explore_img.txt --train-coord-txt training_coordinates.txt --bbox 16"
SMALL = (
    "milopyp-train --train-img-txt small/train_img.txt --train-coord-txt small/train_coord.txt "
    f"--bbox {DIAMETER} --batch-size 2 {HERE}"
)
VALIDATED = f"{SMALL} --val-img-txt small/val_img.txt --val-coord-txt small/val_coord.txt"
LAST, BEST = "model_last_contrastive.pth", "model_best_contrastive.pth"
# Steps too small to be seen in a weight: what training leaves is what it began with.
STANDSTILL = "--num-epochs 1 --lr 1e-30"


@dataclass(frozen=True)
class Experiment:
    """A finished run and the files it left."""

    outcome: Outcome
    folder: Path

    @cached_property
    def names(self) -> set[str]:
        """Files and folders directly in it, the folder of logs aside."""
        return {path.name for path in self.folder.iterdir()} - {self.logs.name}

    @cached_property
    def logs(self) -> Path:
        [logs] = self.folder.glob("logs_*")
        return logs

    def table(self, name: str) -> list[dict[str, float]]:
        with (self.logs / name).open() as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    def events(self) -> dict[str, list[tuple[int, float]]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.logs))
        events.Reload()
        return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    def options(self) -> dict[str, tuple[str, str]]:
        """Value and source of every line of ``opt.txt``."""
        lines = (self.folder / "opt.txt").read_text().splitlines()[1:]
        found = [re.fullmatch(r"  (\S+): (.*)  # (given|preset|default)", line) for line in lines]
        assert all(found)
        return {match[1]: (match[2], match[3]) for match in found if match}

    def checkpoint(self, name: str = LAST) -> dict[str, Any]:
        stored: dict[str, Any] = torch.load(self.folder / name, weights_only=True)
        return stored

    def recipe(self, name: str = LAST) -> Recipe:
        return Recipe.from_json(self.checkpoint(name)["recipe"], name)


def trained(line: str) -> Experiment:
    """Run a command line that must succeed without a word on standard error."""
    outcome = run_line(line)
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    match = re.search(r"--exp[_-]id (\S+)", line)
    assert match
    folder = Path("exp/semi") / match[1]
    assert not list(folder.rglob("*.part"))
    return Experiment(outcome, folder)


def lists(folder: Path, phantoms: Any, names: tuple[str, str, str, str]) -> None:
    """Training on the first tomogram, validation on the second: image and coordinate list of each."""
    truth = read_coordinate_list(phantoms.coordinates)
    for path, image_list, coordinate_list in zip(phantoms.tomograms, names[::2], names[1::2], strict=True):
        write_image_list(folder / image_list, [ImageEntry(path.stem, path)])
        write_coordinate_list(folder / coordinate_list, {path.stem: truth[path.stem]})


@pytest.fixture(scope="module", autouse=True)
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: ``data/`` as the manual lays it out, and smaller tomograms in ``small/``."""
    threads = torch.get_num_threads()
    common: dict[str, Any] = {"n_distractors": 0, "diameter": DIAMETER, "noise": 0.3, "background": 0.0}
    with contextlib.chdir(tmp_path_factory.mktemp("program")):
        wide = write_phantoms("data", 2, PhantomSettings((14, 68, 72), n_particles=4, **common), order="xzy")
        small = write_phantoms("small", 2, PhantomSettings((12, 48, 52), n_particles=5, **common))
        lists(
            Path("data"),
            wide,
            ("sample_train_explore_img.txt", "training_coordinates.txt", "sample_val_img.txt", "val_coordinates.txt"),
        )
        lists(Path("small"), small, ("train_img.txt", "train_coord.txt", "val_img.txt", "val_coord.txt"))
        yield Path.cwd()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def manual() -> Experiment:
    return trained(f"{MANUAL} --threads 1 --gpus -1")


@pytest.fixture(scope="module")
def default() -> Experiment:
    """Three epochs, the second and the last validated."""
    return trained(f"{VALIDATED} --exp-id default --num-epochs 3 --val-interval 2 --save-all --debug 4 --K 2")


def heat_of(experiment: Experiment, name: str, tomogram: Path, order: str) -> np.ndarray:
    """Heat map of a whole tomogram by the network in a checkpoint, in one piece."""
    recipe = experiment.recipe(name)
    network = build_network(recipe)
    network.load_state_dict(experiment.checkpoint(name)["state_dict"])
    network.eval()
    volume = grey_levels(open_tomogram(tomogram, order), recipe.grey, recipe.contrast)
    low, high = volume.levels
    levels = torch.from_numpy(volume.sections(0, volume.shape[0]).astype(np.float32))[None]
    with torch.inference_mode():
        return torch.sigmoid(picking_logits(network, (levels - low) / (high - low)))[0].numpy()


# ---------------------------------------------------------------- the manual's command


def test_the_manuals_command_leaves_what_the_manual_names(manual: Experiment) -> None:
    assert "published preset, selected by its options" in manual.outcome.out
    exported = LAST.replace(".pth", ".onnx")
    assert f"next: milopyp-infer TOMOGRAM... --model exp/semi/sample_refinement/{exported}" in manual.outcome.out
    made_from = read_recipe(manual.folder / exported).checkpoint_sha256
    assert made_from == hashlib.sha256((manual.folder / LAST).read_bytes()).hexdigest()
    models = {"model_1.pth", BEST, LAST}
    assert manual.names == models | {exported, "opt.txt", "debug", "summary.png", "model_selection.md"}
    assert {path.name.split(".")[0] for path in manual.logs.iterdir()} == {"events", "losses", "validation", "log"}
    # one epoch: all three are the same network
    weights = [manual.checkpoint(name)["state_dict"] for name in sorted(models)]
    assert all(torch.equal(value, other[name]) for other in weights[1:] for name, value in weights[0].items())
    assert {manual.checkpoint(name)["epoch"] for name in models} == {1}


def test_opt_txt_holds_every_option_and_its_source(manual: Experiment) -> None:
    words = MANUAL.split("semi", 1)[1].split()
    given: dict[str, str] = {}
    for index, word in enumerate(words):
        if word.startswith("--"):
            flag = index + 1 == len(words) or words[index + 1].startswith("--")
            given[word[2:]] = "True" if flag else words[index + 1]
    assert len(given) == 24
    options = manual.options()
    for name, value in given.items():
        found, source = options[name]
        assert source == "given", name
        assert found == value or float(found) == float(value), name
    assert options["seed"] == ("317", "default") and options["contrast"] == ("dark", "default")
    # numbers that no option names
    assert options["preset.name"] == ("published", "preset") and options["preset.lr_step"][1] == "preset"


def test_the_recipe_is_the_published_one(manual: Experiment) -> None:
    recipe = manual.recipe()
    assert (recipe.architecture, recipe.architecture_options) == ("unet_4", {"last_k": 3})
    assert recipe.grey == published(0.8, compress=True)
    assert (recipe.diameter, recipe.voxel_size, recipe.labels) == (16.0, 10.0, {"phantom_1": 4})
    assert "validation" in recipe.threshold.method and not recipe.threshold.calibrated


def test_every_loss_term_is_logged_as_table_text_and_events(manual: Experiment) -> None:
    [row] = manual.table("losses.csv")
    assert row.keys() == {"epoch", "loss", "heat_map", "contrastive", "consistency"}
    assert row["loss"] == pytest.approx(row["heat_map"] + 0.1 * row["contrastive"] + row["consistency"])
    [judged] = manual.table("validation.csv")
    assert judged.keys() == {"epoch", "loss", "labels", "auprc", "f1"}
    assert math.isnan(judged["auprc"]) and math.isnan(judged["f1"])  # nobody said that all particles are labelled
    events = manual.events()
    logged = {name: row[name] for name in row} | {f"validation/{name}": judged[name] for name in judged}
    expected = {name: value for name, value in logged.items() if "epoch" not in name}
    assert events.keys() == expected.keys()
    for name, value in expected.items():
        assert events[name] == [(1, pytest.approx(value, rel=1e-6, nan_ok=True))]
    text = (manual.logs / "log.txt").read_text()
    for name, value in expected.items():
        assert f"{name.replace('/', ' ')} {value:.5g}" in text


def test_the_validation_loss_is_that_of_the_saved_network(manual: Experiment) -> None:
    """Recomputed from the checkpoint, on the whole tomogram at once, by the loss's formula."""
    tomogram = Path("data/phantom_2.mrc")
    p = heat_of(manual, "model_1.pth", tomogram, "xzy").astype(np.float64).clip(1e-4, 1 - 1e-4)
    xyz = read_coordinate_list("data/val_coordinates.txt")["phantom_2"]
    t = published_targets(published_grid_centres(xyz, compress=True), p.shape, 16, unlabelled=0.0)
    hit, rest = t == 1, t < 1
    loss = -((1 - p[hit]) ** 2 * np.log(p[hit])).sum() - ((1 - t[rest]) ** 4 * p[rest] ** 2 * np.log(1 - p[rest])).sum()
    assert manual.table("validation.csv")[0]["loss"] == pytest.approx(loss / hit.sum(), rel=1e-4)


def test_debug_holds_a_picture_of_every_section_a_sheet_and_the_picks(manual: Experiment) -> None:
    debug = manual.folder / "debug"
    sections = {f"1_phantom_2_pred_{kind}{section}.png" for kind in ("hm", "out") for section in range(7)}
    assert {path.name for path in debug.iterdir()} == sections | {"1_phantom_2.png", "1_phantom_2.txt"}
    pictures = {path.name: imread(path) for path in debug.glob("*.png")}
    for picture in pictures.values():
        assert picture.std() > 0.05 and min(picture.shape[:2]) > 300
    # every section has a picture of its own
    assert len({picture.tobytes() for picture in pictures.values()}) == len(pictures)
    assert imread(manual.folder / "summary.png").std() > 0.05


def test_which_model_to_use(manual: Experiment) -> None:
    text = (manual.folder / "model_selection.md").read_text()
    assert f"Use `{BEST}` (epoch 1)." in text
    assert "how early the validation labels come" in text and "| 1 | 1 | - | - |" in text


# ---------------------------------------------------------------- the default preset


def test_the_default_preset_leaves_the_same_files(default: Experiment) -> None:
    models = {BEST, LAST, "model_2.pth", "model_3.pth"}  # the validated epochs
    assert default.names == models | {"opt.txt", "debug", "summary.png", "model_selection.md"}
    assert [row["epoch"] for row in default.table("losses.csv")] == [1, 2, 3]
    assert [row["epoch"] for row in default.table("validation.csv")] == [2, 3]
    assert default.events().keys() == {"loss", *(f"validation/{name}" for name in ("loss", "labels", "auprc", "f1"))}
    assert [step for step, _ in default.events()["loss"]] == [1, 2, 3]
    assert {name: default.checkpoint(name)["epoch"] for name in models - {BEST}} == {
        LAST: 3, "model_2.pth": 2, "model_3.pth": 3,
    }  # fmt: skip
    options = default.options()
    assert options["preset.name"] == ("default", "preset")
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
    picks = suppress(find_candidates(heat, recipe.voxel_per_output), recipe.suppression_distance)
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
    outcome = run_line(line)
    assert (outcome.code, outcome.err) == (0, "")
    assert "going on after epoch 3" in outcome.out
    after = tree(default.folder)
    same = ["model_2.pth", "model_3.pth", "model_selection.md", "summary.png"]
    assert [after[name] for name in same] == [before[name] for name in same]
    for name, state in weights.items():
        assert all(torch.equal(value, state[key]) for key, value in default.checkpoint(name)["state_dict"].items())
    for logs in default.folder.glob("logs_*"):  # leave the folder as the other tests expect it
        if logs.name not in before:
            for path in logs.iterdir():
                path.unlink()
            logs.rmdir()


# ---------------------------------------------------------------- without validation, fully labelled, quiet


def test_without_validation(work: Path) -> None:
    run = trained(f"{SMALL} --exp-id alone --num-epochs 1 --debug 4 --quiet")
    assert run.outcome.out == ""
    assert run.names == {BEST, LAST, "opt.txt", "debug", "summary.png", "model_selection.md"}
    assert not (run.logs / "validation.csv").exists() and run.events().keys() == {"loss"}
    text = (run.folder / "model_selection.md").read_text()
    assert f"Use `{LAST}` (epoch 1)." in text and "no validation tomograms" in text
    assert "training" in run.recipe().threshold.method
    assert run.recipe(BEST) == run.recipe(LAST)
    # pictures show what there is: the training tomogram
    names = {path.name for path in (run.folder / "debug").iterdir()}
    assert {"1_phantom_1.png", "1_phantom_1.txt", "1_phantom_1_pred_hm0.png", "1_phantom_1_pred_out5.png"} <= names
    assert len(names) == 2 + 2 * 6


def test_fully_labelled_validation_is_judged_by_precision_and_recall(work: Path) -> None:
    run = trained(
        f"{VALIDATED} --exp-id full --num-epochs 1 --val-fully-labelled --metric f1 --print-iter 20 --num-workers 0"
    )
    [row] = run.table("validation.csv")
    heat = heat_of(run, LAST, Path("small/phantom_2.mrc"), "xyz")
    recipe = run.recipe()
    picks = suppress(find_candidates(heat, recipe.voxel_per_output), recipe.suppression_distance)
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
        f"--exp-id continued --load_model {published_weights}"
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
    assert "entries of the network that --arch names" in error
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
