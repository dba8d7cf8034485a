"""Where picks land: without noise there is no half-voxel bias and no floor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milopyp_inference.batch.reader import read_run
from milopyp_inference.cli import infer_command
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.matching import evaluate_many
from milopyp_shared.peaks import above_threshold, nms
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from milopyp_training.cli import train_command

DIAMETER = 18
EXPORTED = "exp/semi/sub/model_last_contrastive.onnx"


def test_picks_of_a_noise_free_phantom_land_on_the_centres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of the design: mean signed offset below 0.1, mean absolute error below 0.4 voxel per axis."""
    monkeypatch.chdir(tmp_path)
    files = write_phantoms("phantoms", 4, PhantomSettings(noise=0, diameter=DIAMETER, seed=11))
    truth = read_coordinate_list(files.coordinates)
    train, test = files.tomograms[:2], files.tomograms[2:]
    write_image_list("images.txt", [ImageEntry(path.stem, path) for path in train])
    write_coordinate_list("coords.txt", {path.stem: truth[path.stem] for path in train})
    lists = ["--train-img-txt", "images.txt", "--train-coord-txt", "coords.txt"]
    # a fifth of the usual training: without noise it is enough
    short = ["--num-epochs", "8", "--batch-size", "4", "--quick"]
    train_command.main([*lists, "--bbox", str(DIAMETER), "--exp-id", "sub", "-q", *short], standalone_mode=False)
    infer_command.main([*map(str, test), "--model", EXPORTED, "--out", "picks", "-q"], standalone_mode=False)

    found, distance = read_run(Path("picks"))
    assert distance is not None
    pairs = [(nms(found[path.stem], distance), truth[path.stem]) for path in test]
    score = evaluate_many(pairs, DIAMETER / 2).best.threshold
    kept = evaluate_many([(above_threshold(picks, score - 1e-6), xyz) for picks, xyz in pairs], DIAMETER / 2)
    assert kept.n_hits >= 0.95 * kept.n_truth
    assert np.abs(kept.mean_offset).max() < 0.1
    assert kept.mean_absolute_error.max() < 0.4
