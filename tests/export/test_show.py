"""``milopyp show``: a model file's recipe for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from milopyp.commands.show import describe
from milopyp_inference.engine.model import open_model
from milopyp_shared.calibration import Threshold
from milopyp_shared.recipe import SCHEMA, Recipe
from published_checkpoints import OPT_TXT, save_published, state_dict
from running import run_line
from toys import TOY, TOY_OF_TWO


def rows(text: str) -> dict[str, str]:
    """Title and text of each line."""
    return {line[:12].strip(): line[12:] for line in text.splitlines()}


def test_an_onnx_file(tmp_path: Path) -> None:
    outcome = run_line("milopyp show", TOY)
    assert (outcome.code, outcome.err) == (0, "")
    shown = rows(outcome.out)
    assert list(shown) == [
        *(
            "file",
            "network",
            "particles",
            "grey levels",
            "threshold",
            "expected",
            "picking",
            "tiles",
            "trained on",
            "made with",
        ),
        *("checkpoint", "comparison"),
    ]
    assert shown["network"] == "unet3d (channels 2, levels 2), default preset, fp32"
    assert shown["particles"] == "dark, 10 voxels across: 100 Angstrom at 10 per voxel"
    assert shown["grey levels"].startswith("two sections averaged to one; Gaussian filter 0.4 0.8 0.8 (z y x)")
    assert shown["threshold"] == "0.5 (chosen by hand, uncalibrated)"
    assert shown["expected"] == "not known: how many picks are right was not estimated"
    assert "2 2 2 voxels (z y x) per heat-map voxel" in shown["picking"]
    assert shown["trained on"] == "unknown tomograms"
    assert "(limit 0.0001)" in shown["comparison"] and "operator set 20" in shown["comparison"]


def test_json_is_the_recipe_in_the_file() -> None:
    recipe = open_model(TOY).recipe
    for file in (TOY,):
        outcome = run_line("milopyp show --json", file)
        assert outcome.code == 0
        assert Recipe.from_json(outcome.out, file) == recipe


def test_a_checkpoint_of_ours(detector: Path) -> None:
    shown = rows(run_line("milopyp show", detector).out)
    assert shown["network"].startswith("unet3d (channels 2, levels 2)")
    assert (shown["checkpoint"], shown["comparison"]) == ("this file", "none: a checkpoint")
    shown_json = json.loads(run_line("milopyp show --json", detector).out)
    assert (shown_json["architecture"], shown_json["schema"]) == ("unet3d", SCHEMA)


def test_a_published_checkpoint_with_and_without_its_options(tmp_path: Path) -> None:
    path = save_published(tmp_path / "model_4.pth", state_dict(4), "module.")
    shown = rows(run_line("milopyp show", path).out)
    assert shown["network"] == "unet_4 (last_k 3) of the published program, epoch 5"
    assert shown["known"] == "nothing else: there is no opt.txt beside it"
    assert shown["unknown"].startswith("gauss, compress, order, bbox;")
    facts = json.loads(run_line("milopyp show --json", path).out)
    assert facts == {"architecture": "unet_4", "last_k": 3, "epoch": 5}

    path.with_name("opt.txt").write_text(OPT_TXT.replace("  bbox: 24\n", ""))
    shown = rows(run_line("milopyp show", path).out)
    assert shown["known"] == "gauss 0.8, compress True, order xyz"
    assert shown["unknown"].startswith("bbox;")

    path.with_name("opt.txt").write_text(OPT_TXT)
    shown = rows(run_line("milopyp show", path).out)
    assert shown["network"] == "unet_4 (last_k 3), published preset, fp32"
    assert shown["particles"] == "dark, 24 voxels across; voxel size unknown"
    assert shown["trained on"] == "unknown tomograms; file order xyz"


def test_other_recipes_for_people() -> None:
    recipe = replace(
        open_model(TOY).recipe,
        precision="int8",
        contrast="bright",
        flips=4,
        labels={"a": 12, "b": 3},
        order="xzy",
        threshold=Threshold(0.31, "finds 90% of the validation labels", calibrated=True),
        parity={
            "fp32_max_difference": 1e-7, "tomograms": 2.0, "tomogram_max_difference": 0.01,
            "tomogram_mean_difference": 1e-4, "picks": 60.0, "pick_agreement": 0.983, "pick_agreement_limit": 0.9,
            "opset": 20.0, "reduced_range": 1.0, "of_a_later_version": 3.0,
        },
    )  # fmt: skip
    shown = rows(describe(recipe, TOY))
    assert shown["network"].endswith("int8, for CPUs only")
    assert shown["threshold"] == "0.31 (finds 90% of the validation labels)"
    assert shown["picking"].startswith("mean over 4 mirrored copies; picks at least 6 voxels apart")
    assert shown["trained on"] == "15 labels in 2 tomograms (a 12, b 3); file order xzy"
    assert shown["comparison"] == (
        "differed from PyTorch by 1e-07 at most before quantisation; on 2 tomograms by 0.01 at most, 0.0001 on "
        "average; 98.3% of 60 picks agree, at least 90% wanted; operator set 20; weights of 7 bits; "
        "of_a_later_version 3"
    )


def test_a_model_of_several_classes_says_all_of_each() -> None:
    first, second = open_model(TOY_OF_TWO).recipe.classes
    shown = run_line("milopyp show", TOY_OF_TWO).out
    for title in ("particles", "threshold", "expected", "picking", "trained on"):
        told = [line for line in shown.splitlines() if line.startswith(title)]
        assert [line.removeprefix(title).split(":")[0].strip() for line in told] == [first.particle, second.particle]
    for one in (first, second):
        assert f"{one.particle}: {one.contrast}, {one.diameter:g} voxels across" in shown
        assert f"{one.particle}: {one.threshold.score:.3g} ({one.threshold.basis})" in shown


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"not a model", "onnxruntime cannot read it"), (None, "no such file")],
)
def test_no_model(content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    outcome = run_line("milopyp show", tmp_path / "a.onnx")
    assert outcome.code == 2
    assert words in outcome.err


def test_an_onnx_file_needs_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['milopyp', 'show', {str(TOY)!r}]\n"
        "try:\n    runpy.run_module('milopyp.cli', run_name='__main__')\n"
        "except SystemExit as leave:\n    assert not leave.code\n"
        "assert not {'torch', 'onnx'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "unet3d" in done.stdout


def test_a_checkpoint_without_pytorch_says_what_to_install(detector: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from milopyp.cli import milopyp\n"
        "from milopyp_shared.commandline import run\n"
        f"run(milopyp, ['show', {str(detector)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'milopyp[train]'" in done.stderr
