"""Checkpoints of the published program: read, refused, exported, and run as the published network runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import onnx
import pytest
import torch

from milopyp_export.convert import ExportOptions, export
from milopyp_export.load import load_model
from milopyp_export.published_checkpoint import read_network
from milopyp_export.published_options import TrainingFacts, read_options
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_shared import preprocessing
from milopyp_shared.errors import ContradictionError, InputError
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import Span, Tiling, box_of, cut, cut_stream
from milopyp_training.networks.section_unet import SectionUNet
from published_checkpoints import OPT_TXT, OPTIONS, save_published, state_dict
from running import run_line

TRAINED = TrainingFacts(gauss=0.8, compress=True, order="xzy", bbox=24.0)
LEVELS = np.array([0.0, 255.0], np.float32)


@pytest.fixture(scope="module", params=[4, 5], ids=["unet_4", "unet_5"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """A published checkpoint with the formula's weights, exported; one with prefix and optimizer, one without."""
    levels: int = request.param
    folder = tmp_path_factory.mktemp(f"unet_{levels}")
    more: dict[str, Any] = {"optimizer": {"state": {}, "param_groups": []}} if levels == 4 else {}
    prefix = "module." if levels == 4 else ""
    save_published(folder / "model.pth", state_dict(levels), prefix, **more)
    recipe = export(folder / "model.pth", folder / "model.onnx", ExportOptions(facts=TRAINED))
    assert recipe.architecture == f"unet_{levels}"
    return levels, folder / "model.onnx"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Entries of a unet_4."""
    return state_dict(4)


def golden_case(golden: Path, levels: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels ``(b, z, y, x)`` and the clamped sigmoid of the golden logits."""
    inputs = np.load(golden / "network_unet_4.npz")[f"in_{name}"]
    logits = np.load(golden / f"network_unet_{levels}.npz")[f"logits_{name}"].astype(np.float64)
    sections = np.rint(inputs * 255).astype(np.uint8)
    return sections, np.clip(1 / (1 + np.exp(-logits[:, 0])), 1e-4, 1 - 1e-4)


@pytest.mark.parametrize("name", "abcd")
def test_golden_heat_maps_for_any_split(exported: tuple[int, Path], golden: Path, name: str) -> None:
    """In tiles of any depth, and in chunks of any length, each computed once."""
    levels, path = exported
    model = open_model(path, Machine("cpu", threads=2))
    geometry = model.recipe.geometry
    for sections, wanted in zip(*golden_case(golden, levels, name), strict=True):
        depth, rows, columns = sections.shape
        y, x = (Span(0, rows, 0, rows),), (Span(0, columns, 0, columns),)
        for count in (1, 2, 3, depth):
            tiles = Tiling(cut(depth, count, geometry.halo[0], geometry.alignment[0]), y, x)
            streamed = Tiling(cut_stream(depth, count, model.recipe.chunks.delay), y, x, streaming=True)
            for tiling in (tiles, streamed):
                found = np.full(wanted.shape, np.nan, np.float32)
                for place, piece in model.engine.iter_heat_map(tiling, box_of(sections), LEVELS):
                    found[place] = piece
                assert np.abs(found - wanted).max() < 1e-4


def test_the_file_is_one_file_of_plain_operators(exported: tuple[int, Path]) -> None:
    _, path = exported
    model = onnx.load(str(path), load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [path.name for path in path.parent.glob("*.onnx*")] == ["model.onnx"]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert not {node.op_type for node in model.graph.node} & {"BatchNormalization", "If", "Loop", "Scan"}
    assert not [tensor.name for tensor in model.graph.initializer if "proj" in tensor.name]
    sizes = [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["", "z", "y", "x"]


def test_the_recipe_says_how_it_was_trained(exported: tuple[int, Path]) -> None:
    levels, path = exported
    recipe = open_model(path).recipe
    network = SectionUNet(levels)
    assert recipe.preset == "published"
    assert recipe.architecture_options == {"last_k": 3}
    assert recipe.grey == preprocessing.published(0.8, compress=True)
    assert recipe.geometry == network.geometry()
    assert (recipe.diameter, recipe.order, recipe.voxel_size, recipe.flips) == (24.0, "xzy", None, 1)
    assert (recipe.threshold.score, recipe.threshold.calibrated) == (0.25, False)
    assert "not determined" in recipe.threshold.method
    assert recipe.precision == "fp32"
    assert recipe.parity["opset"] == 20
    assert recipe.parity["max_difference"] <= recipe.parity["limit"] == 1e-4


def test_picking_refuses_another_filter(
    exported: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_line("milopyp-infer gone.mrc --gauss 1.0 --model", exported[1])
    assert outcome.code == 2
    assert "--gauss 0.8" in outcome.err and "--gauss 1" in outcome.err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what the weights say


@pytest.mark.parametrize("last_k", [1, 3, 7])
def test_the_last_kernel_is_seen_from_the_weights(last_k: int, tmp_path: Path) -> None:
    path = save_published(tmp_path / "a.pth", SectionUNet(4, last_k).state_dict())
    network, recipe = load_model(path, TRAINED)
    assert recipe.architecture_options == {"last_k": last_k}
    assert recipe.geometry == SectionUNet(4, last_k).geometry()
    assert not network.training


def test_what_picking_never_reads_may_be_missing(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    kept = {k: v for k, v in weights.items() if not k.startswith("proj.") and not k.endswith("num_batches_tracked")}
    network = read_network({"state_dict": kept}, tmp_path)
    torch.testing.assert_close(network.hm.weight.detach(), weights["hm.weight"])


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: {name: value for name, value in weights.items() if name not in names}


def changed(**entries: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda weights: weights | {name.replace("__", "."): value for name, value in entries.items()}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (without("hm.weight"), ("lacks hm.weight", "117 entries of unet_4")),
        (without("unet.up_convs.1.conv1.weight", "bn1.bias"), ("bn1.bias, unet.up_convs.1.conv1.weight",)),
        (changed(hm2__weight=torch.zeros(3)), ("has unexpected hm2.weight", "unet_4")),
        (changed(hm__weight=torch.zeros(2, 32, 3, 1, 1)), ("hm.weight is 2 x 32 x 3 x 1 x 1", "1 x 32 x 3 x 1 x 1")),
        (changed(feature_head__2__weight=torch.zeros(32, 32, 3, 4, 4)), ("feature_head.2.weight is", "3 x 3 x 3")),
        (changed(conv1__weight=torch.full((16, 1, 7, 7), torch.nan)), ("conv1.weight holds NaN", "finite")),
        (changed(conv1__weight=[1.0, 2.0]), ("'conv1.weight' is a list", "tensors")),
        (changed(**{"unet.down_convs.5.conv1.weight": torch.zeros(1)}), ("a U-Net of 6 levels", "unet_4 or unet_5")),
        (lambda weights: {"layer1.weight": torch.zeros(3)}, ("entries of another network (layer1.weight",)),
        (lambda weights: {}, ("is no checkpoint: it holds epoch, state_dict", "milopyp-train")),
    ],
)
def test_weights_that_do_not_fit(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    parts: tuple[str, ...],
    weights: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError) as error:
        read_network({"epoch": 1, "state_dict": change(weights)}, tmp_path / "a.pth")
    for part in ("a.pth", *parts):
        assert part in str(error.value)


# ---------------------------------------------------------------- what the weights do not say


@pytest.fixture
def checkpoint(weights: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    """A published checkpoint in a folder of its own."""
    return save_published(tmp_path / "run" / "model_4.pth", weights)


def recipe_of(path: Path, facts: TrainingFacts | None = None) -> Recipe:
    return load_model(path, facts)[1]


@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        (TrainingFacts(), "--gauss, --compress, --order, --bbox unknown"),
        (replace(TRAINED, gauss=None), "--gauss unknown"),
        (replace(TRAINED, compress=None), "--compress unknown"),
        (replace(TRAINED, order=None, bbox=None), "--order, --bbox unknown"),
    ],
)
def test_what_is_missing_is_named(checkpoint: Path, facts: TrainingFacts, missing: str) -> None:
    with pytest.raises(InputError, match=missing) as error:
        recipe_of(checkpoint, facts)
    assert "opt.txt" in str(error.value)


def test_options_and_no_options_file(checkpoint: Path) -> None:
    facts = TrainingFacts(gauss=0.0, compress=False, order="auto", bbox=17.0, voxel_size=13.48)
    recipe = recipe_of(checkpoint, facts)
    assert recipe.grey == preprocessing.published(0.0, compress=False)
    assert (recipe.order, recipe.diameter, recipe.voxel_size) == (None, 17.0, 13.48)


def test_the_options_file_of_the_published_program(checkpoint: Path) -> None:
    """Its order words are translated: what it calls zxy is xyz here."""
    (checkpoint.parent / "opt.txt").write_text(OPT_TXT)
    recipe = recipe_of(checkpoint)
    assert recipe.grey == preprocessing.published(0.8, compress=True)
    assert (recipe.order, recipe.diameter) == ("xyz", 24.0)
    same = TrainingFacts(gauss=0.8, compress=True, order="xyz", bbox=24.0, voxel_size=10.0)
    assert recipe_of(checkpoint, same) == replace(recipe, voxel_size=10.0)
    assert recipe_of(checkpoint, TrainingFacts(order="auto")) == recipe


@pytest.mark.parametrize("word", ["xzy", "zxy", "xyz", "yxz"])
def test_order_words_of_the_published_program(checkpoint: Path, word: str) -> None:
    (checkpoint.parent / "opt.txt").write_text(OPT_TXT.replace("order: zxy", f"order: {word}"))
    assert recipe_of(checkpoint).order == {"xzy": "xzy", "zxy": "xyz", "xyz": "zxy", "yxz": "zyx"}[word]


def test_our_own_options_file(checkpoint: Path) -> None:
    """Every line says where its value comes from; order words are ours."""
    lines = ["arch: unet_4  # given", "bbox: 24.0  # given", "compress: True  # given", "gauss: 0.8  # default"]
    text = "==> options\n" + "".join(f"  {line}\n" for line in [*lines, "order: zxy  # given"])
    (checkpoint.parent / "opt.txt").write_text(text)
    assert read_options(checkpoint.parent / "opt.txt")[1]
    assert (recipe_of(checkpoint).order, recipe_of(checkpoint).diameter) == ("zxy", 24.0)


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        (TrainingFacts(gauss=1.0), ("--gauss 0.8", "--gauss 1")),
        (TrainingFacts(compress=False), ("says --compress", "--no-compress")),
        (TrainingFacts(order="zxy"), ("--order xyz (order zxy in its own words)", "says --order zxy")),
        (TrainingFacts(bbox=16.0), ("--bbox 24", "--bbox 16")),
    ],
)
def test_options_against_the_options_file(checkpoint: Path, facts: TrainingFacts, parts: tuple[str, str]) -> None:
    (checkpoint.parent / "opt.txt").write_text(OPT_TXT)
    with pytest.raises(ContradictionError) as error:
        recipe_of(checkpoint, facts)
    for part in ("opt.txt", *parts):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("gauss: wide", ("gauss is 'wide'", "a number from 0")),
        ("gauss: nan", ("gauss is 'nan'",)),
        ("bbox: 1", ("bbox is '1'", "from 2 to 1000")),
        ("compress: maybe", ("compress is 'maybe'", "True or False")),
        ("order: up", ("order word 'up'", "published meaning")),
    ],
)
def test_nonsense_in_the_options_file(checkpoint: Path, line: str, parts: tuple[str, ...]) -> None:
    name = line.split(":")[0]
    lines = [line if text.startswith(f"  {name}:") else text.strip() for text in OPT_TXT.splitlines()]
    (checkpoint.parent / "opt.txt").write_text("".join(f"  {text}\n" for text in lines))
    with pytest.raises(InputError) as error:
        recipe_of(checkpoint)
    for part in ("opt.txt", *parts):
        assert part in str(error.value)


def test_the_options_file_of_another_network(checkpoint: Path) -> None:
    (checkpoint.parent / "opt.txt").write_text(OPT_TXT.replace("arch: unet_4", "arch: unet_5"))
    with pytest.raises(ContradictionError, match=r"says arch unet_5, but model_4\.pth is a unet_4"):
        recipe_of(checkpoint)


# ---------------------------------------------------------------- the published model


def test_the_published_model_picks_as_published(reference: Path, tmp_path: Path) -> None:
    """The whole chain, against a run of the published program on a whole tomogram."""
    model, tomogram = tmp_path / "model.onnx", reference / "data/dev/dev04.rec"
    outcome = run_line(f"milopyp-export {reference / 'golden/published_unet_4.pth'} {OPTIONS} -o", model)
    assert outcome.code == 0, outcome.err
    line = f"milopyp-infer {tomogram} --model {model} --published --K 900 --out-thresh 0.2 --with-score --out"
    outcome = run_line(line, tmp_path / "picks")
    assert outcome.code == 0, outcome.err
    with mrcfile.open(tmp_path / "picks/dev04_hm.mrc") as mrc:
        heat = mrc.data.swapaxes(0, 1)
    wanted = np.load(reference / "golden/published_dev04_hm.npz")["hm_zyx"].astype(np.float32)
    assert heat.shape == wanted.shape
    assert np.abs(heat - wanted).max() < 1e-3
    found = np.loadtxt(tmp_path / "picks/dev04.txt")
    expected = np.loadtxt(reference / "golden/published_dev04_picks.txt")
    assert {tuple(row) for row in found[:, :3]} == {tuple(row) for row in expected[:, :3]}
    assert len(found) == len(expected)
