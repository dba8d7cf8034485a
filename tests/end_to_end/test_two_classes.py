"""Two classes of particles from a person's labels to picks, by every way that makes a model of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from milopyp_shared.commandline import INTERRUPTED
from milopyp_shared.coordinate_lists import read_classes, read_coordinate_list, write_classes
from milopyp_shared.formats.mod import write_mod
from milopyp_shared.recipe import Recipe
from milopyp_training import run
from running import Outcome, run_line

SIZE = (80, 80, 32)  # x, y, z
CLASSES = {"a": 8.0, "b": 6.0}
LISTS = "--train-img-txt both_train_imgs.txt --train-coord-txt both_train_coords.txt --bbox a=8,b=6"
HERE = "--threads 1 --gpus -1 --no-export"
TRAIN = f"milopyp-train {LISTS} --exp-id both --preset scratch --quick --batch-size 2 --num-epochs 2 {HERE}"


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two phantoms with a model of labels for each class, and the lists that prepare makes of them."""
    place = tmp_path_factory.mktemp("made")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(place)
        done("milopyp phantom --out data --count 2 --size 32,80,80 --particles 8 --distractors 0 --diameter 8")
        for name, xyz in read_coordinate_list("data/coords.txt").items():
            for number, (kind, diameter) in enumerate(CLASSES.items()):
                path = Path(f"data/{name}_{kind}.mod")
                write_mod(path, xyz[number::2], radius=diameter / 2, size_xyz=SIZE)
        labels = "--labels a=_a.mod --labels b=_b.mod --bbox a=8,b=60A"
        done(f"milopyp prepare -d data -e .mrc -o ./both --no-pictures {labels}")
    yield place
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)


def test_the_list_has_a_column_of_classes() -> None:
    truth = read_coordinate_list("data/coords.txt")
    classes = read_classes("both_train_coords.txt")
    assert list(classes) == list(CLASSES)
    for number, own in enumerate(classes.values()):
        for name, xyz in own.items():
            np.testing.assert_allclose(xyz, truth[name][number::2], atol=0.011)
    assert "class" in Path("both_train_coords.txt").read_text().splitlines()[0].split("\t")


def assert_picks(model: str) -> None:
    """What the classes of a model pick, each in its folder, and are judged by the labels of all."""
    done(f"milopyp-infer data/phantom_1.mrc --model {model} --out {model}_picks --threads 1 --out-thresh 0.01")
    assert json.loads(Path(f"{model}_picks/classes.json").read_text()) == {"classes": list(CLASSES)}
    for kind, diameter in CLASSES.items():
        summary = json.loads(Path(f"{model}_picks/{kind}/run.json").read_text())
        assert (summary["done"], summary["diameter"]) == (1, diameter)
        assert Path(f"{model}_picks/{kind}/phantom_1.mod").is_file()
    done(f"milopyp evaluate {model}_picks --truth both_train_coords.txt --json judged.json")
    judged = json.loads(Path("judged.json").read_text())
    for kind, diameter in CLASSES.items():
        assert judged["classes"][kind]["radius"] == diameter / 2 and judged["classes"][kind]["n_truth"] == 4
        row, own = judged["confusion"]["picks"][kind], judged["classes"][kind]["picks"]
        assert (row["all"], row["on"][kind]) == (own["n_picks"], own["n_hits"])


def test_learned() -> None:
    outcome = done("milopyp learn both_train_imgs.txt both_train_coords.txt --bbox a=8,b=6 -o both.onnx --threads 1")
    assert all(f"{kind}: suggested threshold" in outcome.out for kind in CLASSES)
    assert_picks("both.onnx")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.*")
def test_trained_resumed_and_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, begun = run.train_epoch, []

    def stopped_in_the_second(*words: Any) -> Any:
        begun.append(words)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return whole(*words)

    monkeypatch.setattr(run, "train_epoch", stopped_in_the_second)
    assert run_line(TRAIN).code == INTERRUPTED
    outcome = done(f"{TRAIN} --resume")
    assert "going on after epoch 1" in outcome.out
    assert len(begun) == 3
    last = Path("exp/semi/both/model_last_contrastive.pth")
    recipe = Recipe.from_json(torch.load(last, weights_only=True)["recipe"], last)
    assert [(one.particle, one.diameter) for one in recipe.classes] == list(CLASSES.items())
    done(f"milopyp-export {last} -o trained.onnx")
    assert_picks("trained.onnx")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.*")
def test_a_validation_list_of_the_only_class_needs_no_column() -> None:
    classes = read_classes("both_train_coords.txt")
    write_classes("of_a.txt", {"a": classes["a"]})
    write_classes("plain.txt", {"": classes["a"]})
    lists = "--train-img-txt both_train_imgs.txt --train-coord-txt of_a.txt --bbox a=8"
    validation = "--val-img-txt both_train_imgs.txt --val-coord-txt plain.txt"
    options = f"--preset scratch --quick --batch-size 2 --num-epochs 1 {HERE}"
    done(f"milopyp-train {lists} {validation} --exp-id of_a {options}")
    recipe = Recipe.from_json(
        torch.load("exp/semi/of_a/model_last_contrastive.pth", weights_only=True)["recipe"], Path("of_a")
    )
    assert recipe.particle == "a"
