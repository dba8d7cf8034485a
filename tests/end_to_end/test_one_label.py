"""One click is enough to begin with: the default training, with the shipped weights, finds the other particles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from running import Outcome, run_line

DIAMETER = 18


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


def test_one_label_finds_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done(f"milopyp phantom --realistic --out p --count 2 --diameter {DIAMETER} --size 64,160,160 --particles 12")
    truth = read_coordinate_list("p/coords.txt")
    write_coordinate_list(Path("one.txt"), {"phantom_1": truth["phantom_1"][:1]})
    write_coordinate_list(Path("truth.txt"), {"phantom_2": truth["phantom_2"]})
    threads = torch.get_num_threads()
    outcome = done(
        f"milopyp-train --train-img-txt p/images.txt --train-coord-txt one.txt --bbox {DIAMETER} --exp-id one "
        "--num-epochs 2 --batch-size 2 --threads 1 --gpus -1"
    )
    torch.set_num_threads(threads)
    assert "1 label: too few to leave some out" in outcome.out
    model = "exp/semi/one/model_last_contrastive.onnx"
    assert json.loads(done(f"milopyp show --json {model}").out)["preset"] == "pretrained"
    done(f"milopyp-infer p/phantom_2.mrc --model {model} --out picks")
    done(f"milopyp evaluate picks --truth truth.txt --radius {DIAMETER / 2:g} --json figures.json")
    figures = json.loads(Path("figures.json").read_text())
    assert figures["auprc"] > 0.9, figures
