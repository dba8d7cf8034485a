"""`milopyp learn`, as a person gives it: clicks in, model out, in an environment without PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import milopyp
from milopyp_export.convert import build, picking_graph
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.onnx_head import HEAD_BIAS, HEAD_WEIGHT
from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.head import Head
from milopyp_shared.lists import ImageEntry
from milopyp_shared.mrc import write_mrc
from milopyp_shared.pretrained_weights import read_pretrained
from milopyp_shared.recipe import Recipe
from milopyp_training.data.loading import load_volumes
from milopyp_training.evaluation.validation import predict
from milopyp_training.networks.pretrained import build_pretrained, set_head
from running import Outcome, run_line, tree

DIAMETER = 16
LEARN = f"milopyp learn p/images.txt labels.txt --bbox {DIAMETER} -o m.onnx --threads 1"
# what the installation for picking does not have; an import fails as it does there
BLOCKED = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "onnx", "matplotlib"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Gone())
from milopyp.cli import main
main()
"""


def done(line: str) -> Outcome:
    outcome = run_line(line)
    assert outcome.code == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two realistic phantoms; labels of the first."""
    folder = tmp_path_factory.mktemp("scene")
    before = Path.cwd()
    os.chdir(folder)
    done(f"milopyp phantom --realistic --out p --count 2 --diameter {DIAMETER} --size 48,128,128 --particles 14")
    os.chdir(before)
    truth = read_coordinate_list(folder / "p/coords.txt")
    write_coordinate_list(folder / "labels.txt", {"phantom_1": truth["phantom_1"][:10]})
    write_coordinate_list(folder / "one.txt", {"phantom_1": truth["phantom_1"][:1]})
    write_coordinate_list(folder / "truth.txt", {"phantom_2": truth["phantom_2"]})
    return folder


@pytest.fixture(autouse=True)
def folder(scene: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(scene)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield scene
    torch.set_num_threads(threads)


def judged(model: str) -> dict[str, float]:
    """How well a model picks the second phantom."""
    done(f"milopyp-infer p/phantom_2.mrc --model {model} --out picks_{Path(model).stem} --threads 1 --overwrite")
    done(f"milopyp evaluate picks_{Path(model).stem} --truth truth.txt --radius {DIAMETER / 2:g} --json figures.json")
    figures: dict[str, float] = json.loads(Path("figures.json").read_text())
    return figures


def test_ten_labels_find_the_others_without_pytorch(folder: Path) -> None:
    words = [sys.executable, "-c", BLOCKED, *LEARN.split()[1:], "--overwrite"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "next: milopyp-infer TOMOGRAM... --model m.onnx" in ended.stdout
    assert judged("m.onnx")["auprc"] > 0.9
    shown = json.loads(done("milopyp show --json m.onnx").out)
    said = done("milopyp show m.onnx").out
    assert "differs from its head by" in said and "none: a head learned on the pre-trained network" in said
    assert (shown["preset"], shown["labels"], shown["diameter"]) == ("learn", {"phantom_1": 10}, DIAMETER)


def test_equal_labels_give_equal_files_with_kept_features_or_without(folder: Path) -> None:
    files = []
    for more in ("", "--keep-features kept", "--keep-features kept"):
        done(f"{LEARN} --overwrite {more}")
        files.append((folder / "m.onnx").read_bytes())
    assert files[0] == files[1] == files[2]


def test_the_model_is_that_of_pytorch_with_the_same_head(folder: Path) -> None:
    """The file of `learn` and the export of the same network and head: one heat map, one recipe."""
    done(f"{LEARN} --overwrite")
    model = open_model("m.onnx", Machine(threads=1))
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load("m.onnx").graph.initializer}
    network = build_pretrained(read_pretrained())
    set_head(network.head, [Head(np.array(weights[HEAD_WEIGHT]).reshape(-1), float(weights[HEAD_BIAS][0]))])
    labels = read_coordinate_list("labels.txt")
    [volume] = load_volumes(
        [ImageEntry("phantom_1", Path("p/phantom_1.mrc"))], labels, model.recipe.grey, diameter=DIAMETER
    )
    wanted = predict(network, volume)
    found = np.empty_like(wanted)
    for place, piece in model.iter_heat_map(volume.grey.box, volume.grey.shape, volume.grey.input_range):
        found[place] = piece
    assert np.abs(found - wanted).max() < 1e-4
    exported = build(picking_graph(network, replace(model.recipe, chunks=None)), replace(model.recipe, chunks=None))
    assert exported.recipe == model.recipe  # memory and chunks, too
    exported.save(Path("exported.onnx"))
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load("exported.onnx").graph.initializer}
    np.testing.assert_array_equal(stored[HEAD_WEIGHT], weights[HEAD_WEIGHT])


def test_one_label_is_enough_to_begin_with(folder: Path) -> None:
    outcome = done(LEARN.replace("labels.txt", "one.txt").replace("m.onnx", "one.onnx") + " --overwrite")
    assert "uncalibrated" in outcome.out
    assert judged("one.onnx")["auprc"] > 0.6


def test_a_failed_run_leaves_what_was_there(folder: Path) -> None:
    done(f"{LEARN} --overwrite")
    before = tree(folder)
    assert run_line(LEARN).code == 2
    assert tree(folder) == before


def test_angstrom_bright_particles_and_masks(folder: Path) -> None:
    """What `milopyp-train` takes: a diameter in Angstrom, the other contrast, a mask with labels outside."""
    tomogram = milopyp.open_tomogram("p/phantom_1.mrc")
    size = tomogram.voxel_size
    assert size
    values = np.zeros(tomogram.shape, np.int8)
    values[:, :, :70] = 1
    write_mrc(Path("mask.mrc"), values, size)
    write_mrc(Path("bright.mrc"), -np.asarray(tomogram.zyx, np.float32), size)
    Path("bright.txt").write_text("image_name rec_path\nphantom_1 bright.mrc\n")
    outcome = done(
        f"milopyp learn bright.txt labels.txt --bbox {DIAMETER * size:g}A --contrast bright --mask mask.mrc -o b.onnx "
        "--threads 1 --overwrite"
    )
    assert f"--bbox is {DIAMETER} voxels" in outcome.out
    assert "outside the mask are left out" in outcome.err
    recipe = open_model("b.onnx", Machine(threads=1)).recipe
    assert isinstance(recipe, Recipe)
    assert (recipe.contrast, recipe.diameter) == ("bright", pytest.approx(DIAMETER))


def test_large_particles_are_seen_smaller(folder: Path) -> None:
    outcome = done(f"{LEARN.replace(f'--bbox {DIAMETER}', '--bbox 30').replace('m.onnx', 'large.onnx')} --overwrite")
    assert "tomograms are seen at half their size" in outcome.out
    assert open_model("large.onnx", Machine(threads=1)).recipe.scale == 0.5
