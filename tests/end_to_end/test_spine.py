"""From clicks to picks with the real commands: prepare, train, export, infer, evaluate; and training cut short."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.formats.mod import write_mod
from milopyp_shared.recipe import Recipe
from milopyp_training import run as training_run
from milopyp_training.loop import trainer
from running import Outcome, run_line
from toys import placed

DIAMETER = 8
TRAIN = (
    "milopyp-train --train-img-txt phantoms/toy_train_imgs.txt --train-coord-txt phantoms/toy_train_coords.txt "
    f"--bbox {DIAMETER} --preset scratch --num-epochs 2 --batch-size 2 --threads 1 --gpus -1 --no-export --quick"
)
LAST = "model_last_contrastive.pth"
TENSORS = ("state_dict", "training_state_dict")


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def checkpoint(experiment: str, name: str = LAST) -> dict[str, Any]:
    stored: dict[str, Any] = torch.load(Path("exp/semi") / experiment / name, weights_only=True)
    return stored


def assert_same_training(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Two checkpoints of the same state of the same run, bit for bit."""
    assert ours["epoch"] == theirs["epoch"]
    assert ours["history"] == theirs["history"]
    for part in TENSORS:
        assert ours[part].keys() == theirs[part].keys()
        assert all(torch.equal(value, theirs[part][name]) for name, value in ours[part].items())
    assert ours["scheduler"] == theirs["scheduler"]
    assert ours["averaged_steps"] == theirs["averaged_steps"]
    for number, values in ours["optimizer"]["state"].items():
        assert all(torch.equal(value, theirs["optimizer"]["state"][number][name]) for name, value in values.items())


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of the module: three phantoms, clicks of two of them, and one trained model."""
    threads = torch.get_num_threads()
    with contextlib.chdir(tmp_path_factory.mktemp("spine")):
        size = "--size 24,48,48 --particles 4 --distractors 0"
        done(f"milopyp phantom --out phantoms --count 3 --diameter {DIAMETER} --noise 0 {size}")
        truth = read_coordinate_list("phantoms/coords.txt")
        np.savetxt("phantoms/phantom_1_coord.txt", truth["phantom_1"] + (0.5, 0.5, 0.0))
        write_mod(
            Path("phantoms/phantom_2.mod"),
            truth["phantom_2"],
            size_xyz=(48, 48, 24),
            radius=4.0,
            placement=placed(10.0),
        )
        prepared = done("milopyp prepare -d phantoms -e .mrc -o toy")
        assert "8 labels in 2 tomograms" in prepared.out
        done(f"{TRAIN} --exp-id whole --save-all")
        yield Path.cwd()
    torch.set_num_threads(threads)


def test_what_training_leaves() -> None:
    experiment = Path("exp/semi/whole")
    names = {path.name for path in experiment.iterdir() if not path.name.startswith("logs_")}
    assert {LAST, "model_best_contrastive.pth", "model_1.pth", "model_2.pth", "opt.txt"} <= names
    assert not list(experiment.rglob("*.part"))
    [logs] = experiment.glob("logs_*")
    assert list(logs.glob("events.out.tfevents.*"))
    with (logs / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    stored = checkpoint("whole")
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert [float(row["loss"]) for row in rows] == [losses["loss"] for losses in stored["history"]]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"]) / 2
    options = (experiment / "opt.txt").read_text()
    assert f"bbox: {DIAMETER}.0  # given" in options
    assert "contrast: dark  # default" in options
    assert "# preset" in options
    recipe = Recipe.from_json(stored["recipe"], LAST)
    assert recipe.labels == {"phantom_1": 4, "phantom_2": 4}
    assert (recipe.diameter, recipe.voxel_size, recipe.contrast) == (DIAMETER, 10.0, "dark")
    assert 0 < recipe.threshold.score < 1
    assert not recipe.threshold.calibrated


def test_a_run_that_is_stopped_goes_on_as_if_nothing_had_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which shows, too, that equal seeds give equal models."""
    with monkeypatch.context() as patch:
        whole = trainer.train_epoch
        epochs: list[int] = []

        def stopped(*arguments: Any, **options: Any) -> Any:
            epochs.append(len(epochs) + 1)
            if len(epochs) == 2:
                raise KeyboardInterrupt
            return whole(*arguments, **options)

        patch.setattr(training_run, "train_epoch", stopped)
        outcome = run_line(f"{TRAIN} --exp-id stopped")
    assert outcome.code == 130
    assert outcome.err.strip() == "interrupted; the same command with --resume goes on after the last finished epoch"
    assert_same_training(checkpoint("stopped"), checkpoint("whole", "model_1.pth"))

    # in Angstrom it is the same run: the phantoms have voxels of 10 A
    in_angstrom = TRAIN.replace(f"--bbox {DIAMETER}", f"--bbox {10 * DIAMETER}A")
    resumed = done(f"{in_angstrom} --exp-id stopped --resume")
    assert "going on after epoch 1" in resumed.out and "--bbox is 8 voxels" in resumed.out
    ours, theirs = checkpoint("stopped"), checkpoint("whole")
    assert_same_training(ours, theirs)
    assert ours["recipe"] == theirs["recipe"]
    # the log of the second part begins with the first
    logs = max(Path("exp/semi/stopped").glob("logs_*/losses.csv"), key=lambda path: path.stat().st_mtime_ns)
    [expected] = Path("exp/semi/whole").glob("logs_*/losses.csv")
    assert logs.read_text() == expected.read_text()


def test_a_finished_run_has_nothing_left_to_do() -> None:
    before = checkpoint("whole")
    outcome = done(f"{TRAIN} --exp-id whole --resume")
    threshold = Recipe.from_json(before["recipe"], LAST).threshold.score
    assert f"suggested threshold {threshold:.2f} (finds 90% of the training labels" in outcome.out
    assert_same_training(checkpoint("whole"), before)
    assert checkpoint("whole")["recipe"] == before["recipe"]


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_goes_on_only_to_the_end_it_was_planned_for(epochs: int) -> None:
    """The learning rates of the one-cycle schedule depend on the number of epochs."""
    before = checkpoint("whole")
    outcome = run_line(f"{TRAIN} --exp-id whole --resume --num-epochs {epochs}")
    assert outcome.code == 2
    assert f"is a run with other options (epochs 2, now {epochs})" in outcome.err
    assert_same_training(checkpoint("whole"), before)


def test_another_seed_gives_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by the first batch: drawing it decides everything that follows."""
    first: dict[int, float] = {}

    def one_step(method: Any, state: Any, seed: int, *_: Any, **__: Any) -> Any:
        batch = next(iter(method.batches(np.random.default_rng([seed, 0, 0]))))
        first[seed] = float(method.loss_terms(state.network, batch)["loss"].detach())
        raise KeyboardInterrupt

    monkeypatch.setattr(training_run, "train_epoch", one_step)
    for seed in (317, 318):
        assert run_line(f"{TRAIN} --exp-id seed --seed {seed}").code == 130
    assert first[317] != first[318]


def test_from_checkpoint_to_judged_picks() -> None:
    exported = done(f"milopyp-export exp/semi/whole/{LAST} -o models/toy.onnx")
    assert "unet3d, fp32, differs from PyTorch by" in exported.out
    picked = done("milopyp-infer 'phantoms/*.mrc' --model models/toy.onnx --out picks --threads 1")
    assert "finds 90% of the training labels, uncalibrated" in picked.out
    run = json.loads(Path("picks/run.json").read_text())
    assert (run["done"], run["failed"]) == (3, {})
    threshold = Recipe.from_json(checkpoint("whole")["recipe"], LAST).threshold.score
    assert run["options"]["selection"]["threshold"] == threshold
    for name in ("phantom_1", "phantom_2", "phantom_3"):
        for ending in (".txt", ".mod", "_hm.mrc", ".candidates.csv"):
            assert (Path("picks") / f"{name}{ending}").stat().st_size > 0
        record = json.loads(Path(f"picks/records/{name}.json").read_text())
        assert record["status"] == "done"
        assert record["model_sha256"] == run["model_sha256"]
        assert len(Path(f"picks/{name}.txt").read_text().splitlines()) == record["picks"]

    judged = done(f"milopyp evaluate picks --truth phantoms/coords.txt --radius {DIAMETER / 2} --json figures.json")
    assert "phantom_1, phantom_2, phantom_3" in judged.out
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["n_truth"], figures["distance"]) == (12, 0.6 * DIAMETER)

    # the threshold that was found with PyTorch finds the labels through the exported file, too
    labels = read_coordinate_list("phantoms/toy_train_coords.txt")
    found = 0
    for name, xyz in labels.items():
        picks = np.loadtxt(f"picks/{name}.txt", ndmin=2) - (0.5, 0.5, 0.0)
        distance = np.linalg.norm(picks[None] - xyz[:, None], axis=2)
        found += int((distance.min(axis=1) <= DIAMETER / 2 + 0.01).sum())
    assert found >= 0.9 * 8


def test_an_export_that_exists_is_kept() -> None:
    models = Path("kept.onnx")
    models.write_text("precious")
    outcome = run_line(f"milopyp-export exp/semi/whole/{LAST} -o kept.onnx")
    assert outcome.code == 2
    assert models.read_text() == "precious"
