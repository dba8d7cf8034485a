"""A network costs one file and one row: from training through export to picks with nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
import torch

from milopyp_inference.engine.model import open_model
from milopyp_training.networks.registry import NETWORKS
from running import Outcome, run_line
from toy_network import TOY_NETWORK

DIAMETER = 8
PHANTOMS = (
    f"milopyp phantom --out p --count 2 --diameter {DIAMETER} --noise 0 --size 24,48,48 --particles 4 --distractors 0"
)
TRAIN = (
    f"milopyp-train --train-img-txt p/images.txt --train-coord-txt p/coords.txt --bbox {DIAMETER} --exp-id toy "
    "--arch toy --quick --num-epochs 1 --batch-size 2 --threads 1 --gpus -1 --no-export"
)
EXPORT = "milopyp-export exp/semi/toy/model_last_contrastive.pth"


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two phantoms without noise, and the toy network that learned one epoch from them, exported."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("toy"))
        patch.setitem(NETWORKS, "toy", TOY_NETWORK)
        done(PHANTOMS)
        done(TRAIN)
        exported = done(f"{EXPORT} -o fp32.onnx")
        assert "toy has no layout for CPUs" in exported.out
        yield Path.cwd()
    torch.set_num_threads(threads)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_its_picks_are_the_particles(precision: str) -> None:
    model = f"{precision}.onnx"
    if precision == "int8":
        done(f"{EXPORT} -o {model} --precision int8 --calibration p/images.txt")
    recipe = open_model(model).recipe
    assert (recipe.architecture, recipe.architecture_options, recipe.preset) == ("toy", {"channels": 8}, "scratch")
    assert (recipe.working_bytes, recipe.chunks) == (TOY_NETWORK.working_bytes({}), None)
    assert ("pick_agreement" if precision == "int8" else "max_difference") in recipe.parity
    kernels = [tensor for tensor in onnx.load(model).graph.initializer if "weight" in tensor.name]
    assert {len(tensor.dims) for tensor in kernels if len(tensor.dims) > 1} == {5}  # 3D convolutions

    done(f"milopyp-infer p/*.mrc --model {model} --out {precision} --threads 1")
    done(f"milopyp evaluate {precision} --truth p/coords.txt --radius {DIAMETER / 2} --json figures.json")
    figures = json.loads(Path("figures.json").read_text())
    assert (figures["n_truth"], figures["best"]["f1"]) == (8, 1.0)
    assert figures["rmse"] < 1.5


def test_tiles_of_little_memory_give_the_same_heat_map() -> None:
    for memory in ("1GB", "305MB"):
        done(f"milopyp-infer p/phantom_1.mrc --model fp32.onnx --out {memory} --threads 1 --memory {memory}")
    whole, tiles = (Path(memory, "phantom_1.candidates.csv").read_text() for memory in ("1GB", "305MB"))
    assert tiles == whole


def test_without_its_row_it_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(NETWORKS, "toy")
    for line in (TRAIN, f"{EXPORT} -o other.onnx"):
        outcome = run_line(line)
        assert outcome.code == 2
        assert "'toy'" in outcome.err and "unet3d" in outcome.err
    assert not Path("other.onnx").exists()
