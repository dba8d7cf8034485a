"""Numbers that do not depend on luck: the same picks whenever, with any number of threads and in slabs of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from milopyp_export.convert import build
from milopyp_export.graph import PickingGraph
from milopyp_shared.calibration import Threshold
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import Recipe
from milopyp_training.networks.unet3d import UNet3d
from running import run_line, tree
from toys import noise, write_tomogram

SHAPE = (45, 98, 122)  # sections, rows, columns: nothing that divides evenly
THRESHOLD, FLIPS = 0.9, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tomogram of noise, the default network with random weights, and what it picks: ``first``."""
    folder = tmp_path_factory.mktemp("same")
    write_tomogram(folder / "a.mrc", noise(SHAPE))
    torch.manual_seed(1)
    network = UNet3d().eval()
    with torch.inference_mode():  # scores from 0 to 1
        logits = network.picking_logits(torch.rand(1, 12, 128, 128))
        network.head.weight *= 3 / logits.std()
        network.head.bias.copy_((network.head.bias - logits.mean()) * 3 / logits.std())
    recipe = Recipe(
        "unet3d", "default", Preprocessing(), network.geometry(), 12.0, Threshold(THRESHOLD, "none"), flips=FLIPS
    )
    build(PickingGraph(network, 0.0), recipe).save(folder / "random.onnx")
    pick(folder, "first", "--threads 1")
    return folder


def pick(folder: Path, out: str, more: str) -> Picks:
    outcome = run_line(f"milopyp-infer --out-thresh {THRESHOLD} {more}", folder / "a.mrc", "--model",
                       folder / "random.onnx", "--out", folder / out)  # fmt: skip
    assert outcome.code == 0, outcome.err
    return read_candidates(folder / out / "a.candidates.csv")


def test_the_same_command_twice(folder: Path) -> None:
    pick(folder, "second", "--threads 1")
    first, second = ({name: hash_ for name, hash_ in tree(folder / out).items() if not name.endswith(".json")}
                     for out in ("first", "second"))  # fmt: skip
    assert first == second
    assert {"a.txt", "a.mod", "a_hm.mrc", "a.candidates.csv"} <= set(first)


@pytest.mark.parametrize("more", ["--threads 2", "--threads 1 --memory 400MB", "--threads 2 --memory 330MB"])
def test_other_threads_and_slabs(folder: Path, more: str) -> None:
    wanted = read_candidates(folder / "first" / "a.candidates.csv")
    found = pick(folder, more.replace(" ", ""), more)
    sure = wanted.score > THRESHOLD + 1e-4  # where it could not fall below the threshold
    assert sure.sum() > 100
    # in units of what is allowed; in noise, two maxima may lie at the same place with different scores
    places, others = (np.column_stack([picks.xyz / 0.01, picks.score / 1e-4]) for picks in (wanted, found))
    distance, _ = cKDTree(others).query(places[sure], p=np.inf)
    assert distance.max() < 1
    assert abs(len(found) - len(wanted)) < 0.001 * len(wanted)
