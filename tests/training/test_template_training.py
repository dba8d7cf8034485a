"""`milopyp-train --template`: from a density map to picks, without a label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from milopyp_shared.calibration import Threshold
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.mrc import write_mrc
from milopyp_shared.picks import Picks
from milopyp_simulation import among_others
from milopyp_simulation.random_shapes import random_density
from milopyp_training import from_template, train
from milopyp_training.cli import options_of, train_command
from milopyp_training.evaluation.carried_threshold import threshold_of_count
from milopyp_training.loop import checkpoint
from milopyp_training.methods.presets import pretrained
from milopyp_training.run import TrainingRun
from running import Outcome, run_line
from toys import noise, write_tomogram

VOXEL_SIZE, DIAMETER = 10.0, 16.0
TRAIN = "milopyp-train --train-img-txt toy/images.txt --template molecule.mrc --exp-id EXP --threads 1 --gpus -1"
LAST = "exp/semi/t/model_last_contrastive.pth"


@pytest.fixture(scope="module")
def small() -> Iterator[pytest.MonkeyPatch]:
    """Simulated fields of a quarter of the area, one to learn from, and few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(among_others, "FIELD", 128)
        patch.setattr(from_template, "LEARNED", 1)
        preset = replace(pretrained(), steps=2, epochs=2, flips=1)
        patch.setattr(train, "choose_preset", lambda options: replace(preset, epochs=options.num_epochs or 2))
        yield patch


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, small: pytest.MonkeyPatch) -> Path:
    """A map, phantoms that hold it, and labels of other places."""
    folder = tmp_path_factory.mktemp("template")
    small.chdir(folder)
    density = random_density(np.random.default_rng(5), (DIAMETER / 2, DIAMETER / 2))
    write_mrc(Path("molecule.mrc"), density.array, VOXEL_SIZE)
    made = run_line("milopyp phantom --out toy --template molecule.mrc --count 1 --size 32,128,128 --particles 6")
    assert made.code == 0, made.err
    write_coordinate_list(Path("nowhere.txt"), {"phantom_1": np.array([[4.0, 4.0, 2.0], [124.0, 124.0, 29.0]])})
    return folder


@pytest.fixture(scope="module")
def trained(work: Path, small: pytest.MonkeyPatch) -> Outcome:
    outcome = run_line(f"{TRAIN.replace('EXP', 't')} --train-coord-txt nowhere.txt --export")
    assert outcome.code == 0, outcome.err
    return outcome


def test_what_is_learned_from_is_said(trained: Outcome, work: Path) -> None:
    """Simulated tomograms and no labels; the threshold is one of them that was not learned from."""
    assert "degrees about y, as far as the missing wedge of phantom_1.mrc shows" in trained.out
    assert "without a label" not in trained.out
    shown = json.loads(run_line(f"milopyp show --json {work}/exp/semi/t/model_last_contrastive.onnx").out)
    assert set(shown["labels"]) == {"simulated_1"}
    threshold = Threshold(**shown["threshold"])
    assert not threshold.calibrated
    [count] = re.findall(r"^finds (\d+) picks in phantom_1, as many as before all of the network", threshold.method)
    picks = run_line(
        f"milopyp-infer {work}/toy/phantom_1.mrc --model {work / LAST.replace('.pth', '.onnx')} --out {work}/c"
    )
    assert f"{count} picks" in picks.out  # which the model finds, too
    assert f"suggested threshold {threshold.score:.2f} ({threshold.method}, uncalibrated)" in trained.out
    assert shown["calibration"] is None
    assert shown["diameter"] == pytest.approx(DIAMETER, rel=0.15)
    assert "(--val-fully-labelled, or simulated)" in (work / "exp/semi/t/model_selection.md").read_text()
    assert checkpoint.load(work / LAST).stored["cross_validated"] is None


def test_labels_are_only_compared(trained: Outcome) -> None:
    assert "found at the suggested threshold: 0 of 2 labels, not learned from" in trained.out
    assert "W14 template and labels disagree: 0 of 2" in trained.err


def test_right_labels_agree(trained: Outcome, work: Path, small: pytest.MonkeyPatch) -> None:
    """Those of the phantom, which scale, contrast and threshold of the comparison have to fit."""
    small.chdir(work)
    outcome = run_line(f"{TRAIN.replace('EXP', 'right')} --train-coord-txt toy/coords.txt --no-export")
    assert outcome.code == 0, outcome.err
    assert "W14" not in outcome.err
    [(found, count)] = re.findall(r"found at the suggested threshold: (\d+) of (\d+) labels", outcome.out)
    assert int(found) > int(count) / 2


def test_it_finds_the_particles(trained: Outcome, work: Path) -> None:
    """Those of the phantom, of which nothing but its header and its missing wedge was seen."""
    model = work / "exp/semi/t/model_last_contrastive.onnx"
    outcome = run_line(f"milopyp-infer {work}/toy/phantom_1.mrc --model {model} --out {work}/picks --threads 1")
    assert outcome.code == 0, outcome.err
    line = f"milopyp evaluate {work}/picks --truth {work}/toy/coords.txt --radius {DIAMETER / 2} --json {work}/f.json"
    assert run_line(line).code == 0
    assert json.loads((work / "f.json").read_text())["auprc"] > 0.5


def test_a_stopped_run_goes_on(trained: Outcome, work: Path, small: pytest.MonkeyPatch) -> None:
    """From tomograms that are simulated again, to the same weights."""
    small.chdir(work)
    line = TRAIN.replace("EXP", "again")
    last = Path("exp/semi/again/model_last_contrastive.pth")

    def stop(run: TrainingRun) -> None:
        save(run)
        raise KeyboardInterrupt

    save = TrainingRun._save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingRun, "_save", stop)
        assert run_line(f"{line} --no-export").code != 0
    outcome = run_line(f"{line} --resume --no-export")
    assert outcome.code == 0, outcome.err
    assert f"going on after epoch 1 of {last}" in outcome.out
    weights = [checkpoint.load(path).state_dict for path in (Path(LAST), last)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    other = run_line(f"{line} --resume --no-export --mass 900")
    assert other.code == 2
    assert "--template molecule.mrc" in other.err and "mass 900" in other.err


def test_the_score_of_a_number_of_picks() -> None:
    """Between that of the last one that counts and the next; none where there are no such two."""
    picks = Picks(np.arange(9.0).reshape(3, 3), np.array([0.9, 0.5, 0.3]))
    threshold = threshold_of_count(picks, 2, "a")
    assert threshold is not None
    assert threshold.score == pytest.approx(0.4)
    assert not threshold.calibrated
    assert "finds 2 picks in a" in threshold.method
    assert threshold_of_count(picks, 0, "a") is None
    assert threshold_of_count(picks, 3, "a") is None


def test_the_first_tomogram_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is labelled: it is the one whose like is simulated."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("a", 12.0), ("b", 10.0)):
        write_tomogram(tmp_path / f"{name}.mrc", noise((32, 64, 64)), voxel_size=size)
    write_image_list(Path("images.txt"), [ImageEntry(name, Path(f"{name}.mrc")) for name in ("a", "b")])
    write_coordinate_list(Path("coords.txt"), {"b": np.array([[30.0, 30.0, 15.0]])})
    write_mrc(Path("molecule.mrc"), random_density(np.random.default_rng(5), (8.0, 8.0)).array, VOXEL_SIZE)
    line = "--train-img-txt images.txt --train-coord-txt coords.txt --template molecule.mrc"

    def diameter(words: str) -> float:
        return options_of(train_command.make_context("milopyp-train", f"{line} {words}".split())).bbox

    assert diameter("--bbox 210A") == pytest.approx(210 / 12)
    assert diameter("") == pytest.approx(diameter("--voxel-size 10") * 10 / 12)
