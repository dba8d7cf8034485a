"""fp16 and int8 files: what is in them, what they find, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from milopyp_export import parity
from milopyp_export.convert import ExportOptions, export
from milopyp_export.graph import PickingGraph, make_graph
from milopyp_export.precision import calibration_slabs, kept_in_fp32, layout_for, quantise
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import open_model
from milopyp_inference.engine.model_file import read_model_file
from milopyp_inference.engine.openvino_runtime import obstacle_to_bf16
from milopyp_inference.pipeline import prepare, run_network
from milopyp_shared.errors import CheckError, UsageError
from milopyp_shared.lists import read_image_list
from milopyp_shared.peaks import above_threshold, nms
from milopyp_shared.picks import Picks
from milopyp_shared.recipe import Recipe
from milopyp_shared.tomogram import open_tomogram
from milopyp_training.networks.base import PickingNetwork
from milopyp_training.networks.section_unet import SectionUNet
from milopyp_training.networks.unet3d import UNet3d
from running import run_line
from toy_network import ToyNetwork
from toys import TOY, clean_phantom

# Operators that TensorRT takes with floating-point (or index) tensors, as far as our graphs use them. Source: the
# support matrix of onnx-tensorrt, https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md; convolutions and
# pooling "2D or 3D only", Resize nearest with asymmetric coordinates and floor, ConstantOfShape FP32 and FP16.
TENSORRT = {
    *("Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose", "Div", "Expand"),
    *("Gather", "Identity", "Max", "MaxPool", "Min", "Mul", "Pad", "Range", "Relu", "Reshape", "Resize", "Shape"),
    *("Sigmoid", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
}


@pytest.fixture(scope="module")
def files(detector: Path, tomograms: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Recipe]]:
    """The toy detector in half precision and in integers."""
    folder = tmp_path_factory.mktemp("precision")
    images = read_image_list(tomograms)
    made = {}
    for precision, options in (
        ("fp16", ExportOptions(precision="fp16")),
        ("int8", ExportOptions(precision="int8", calibration=images, reduce_range=False)),
    ):
        path = folder / f"{precision}.onnx"
        made[precision] = (path, export(detector, path, options))
    return made


def picks_of(path: Path, tomogram: Path) -> Picks:
    model = open_model(path, Machine(threads=1))
    [result] = run_network(prepare(open_tomogram(tomogram), model.recipe), model)
    candidates = result.candidates
    return above_threshold(nms(candidates, model.recipe.suppression_distance), model.recipe.threshold.score)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_it_finds_what_the_fp32_file_finds(
    precision: str, files: dict[str, tuple[Path, Recipe]], tomograms: Path
) -> None:
    path, recipe = files[precision]
    assert open_model(path).recipe == recipe
    assert recipe.precision == precision
    for seed in (1, 2):
        tomogram = tomograms.with_name(f"p{seed}.mrc")
        found, wanted = picks_of(path, tomogram), picks_of(TOY, tomogram)
        assert len(found) == len(wanted) == len(clean_phantom(seed).particles_xyz)
        assert parity.count_partners(wanted, found, 1.0) == len(wanted)
        assert np.abs(np.sort(found.score) - np.sort(wanted.score)).max() < 0.02


def test_what_a_half_precision_file_holds(files: dict[str, tuple[Path, Recipe]]) -> None:
    path, recipe = files["fp16"]
    model = onnx.load(str(path))
    kinds = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    assert kinds == [TensorProto.UINT8, TensorProto.FLOAT, TensorProto.FLOAT]
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer if "weight" in tensor.name}
    assert weights and set(weights.values()) == {TensorProto.FLOAT16}
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert len(casts) == 3  # of the sections, into half precision, and out of it before the sigmoid
    assert 0 < recipe.parity["max_difference"] < recipe.parity["limit"] == 2e-2


def test_what_an_integer_file_holds(files: dict[str, tuple[Path, Recipe]]) -> None:
    path, recipe = files["int8"]
    model = onnx.load(str(path))
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    first, *inner, last = [node for node in model.graph.node if node.op_type == "Conv"]
    assert inner
    for node in (first, last):
        assert tensors[node.input[1]].dtype == np.float32
    # an input that passes through integers would make onnxruntime quantise the first convolution on its own
    assert makers[first.input[0]].op_type != "DequantizeLinear"
    for node in inner:
        weights, scales, _ = makers[node.input[1]].input
        assert tensors[weights].dtype == np.int8
        assert len(tensors[scales]) == len(tensors[weights])  # per output channel
        _, _, zero = makers[node.input[0]].input
        assert tensors[zero].dtype == np.uint8
    figures = recipe.parity
    assert figures["fp32_max_difference"] < 1e-4
    assert figures["pick_agreement"] >= figures["pick_agreement_limit"] == parity.AGREEMENT
    assert (figures["tomograms"], figures["picks"], figures["reduced_range"]) == (2, 20, 0)
    assert 0 < figures["tomogram_max_difference"] < 0.05
    assert figures["chunks_max_difference"] < 0.05
    assert "max_difference" not in figures
    file = read_model_file(files["int8"][0])
    assert file.aligned_graph == b""  # nothing of the fp32 file that it was made of
    for graph in (file.graph, file.streaming_graph, file.volume_graph):
        onnx.checker.check_model(onnx.load_from_string(graph))
        assert "QuantizeLinear" in {node.op_type for node in onnx.load_from_string(graph).graph.node}


def test_reduced_range_is_seven_bits(
    detector: Path, tomograms: Path, files: dict[str, tuple[Path, Recipe]], tmp_path: Path
) -> None:
    recipe = files["int8"][1]
    slabs = calibration_slabs(read_image_list(tomograms), recipe)
    onnx.save(quantise(onnx.load(str(TOY)), slabs, reduce_range=True), str(tmp_path / "seven.onnx"))
    largest = {}
    for name, path in (("seven", tmp_path / "seven.onnx"), ("eight", files["int8"][0])):
        kernels = [numpy_helper.to_array(t) for t in onnx.load(str(path)).graph.initializer if t.data_type == 3]
        largest[name] = max(int(np.abs(kernel.astype(int)).max()) for kernel in kernels)
    assert largest["seven"] <= 64 < largest["eight"] <= 128


def test_calibration_sees_every_depth_and_no_more_than_it_needs(tomograms: Path) -> None:
    recipe = open_model(TOY).recipe
    slabs = list(calibration_slabs(read_image_list(tomograms), recipe))
    assert [slab["sections"].shape for slab in slabs] == [(1, 12, 64, 80)] * 6  # 16 paired sections: three slabs each
    assert all(slab["sections"].dtype == np.uint8 and slab["levels"].tolist() == [0, 255] for slab in slabs)


@pytest.mark.parametrize("limit", [1.01, -1.0], ids=["too few in common", "none at all"])
def test_integers_are_judged_by_their_picks(
    limit: float, files: dict[str, tuple[Path, Recipe]], tomograms: Path, monkeypatch: pytest.MonkeyPatch, toy_maker
) -> None:
    path, recipe = files["int8"]
    monkeypatch.setattr(parity, "AGREEMENT", limit)
    if limit < 0:
        monkeypatch.setattr(parity, "_picks", lambda heat, recipe: Picks(np.empty((0, 3)), np.empty(0)))
    graph = PickingGraph(toy_maker.toy_network(), 0.0).eval()
    words = "of the picks agree with PyTorch's; expected at least 101%" if limit > 0 else "there are no picks"
    with pytest.raises(CheckError, match=words):
        parity.check_on(graph, path, recipe, read_image_list(tomograms))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--precision int8", "int8 needs tomograms"),
        ("--precision int8 --for gpu --calibration {list}", "int8 files are for CPUs"),
        ("--calibration {list}", "--calibration: has no effect on fp32"),
        ("--precision fp16 --reduce-range", "--reduce-range: has no effect on fp16"),
        ("--precision int8 --calibration gone.txt", "gone.txt: no such file"),
        ("--precision bf16", "bf16 needs tomograms to be judged by"),
        ("--precision bf16 --for gpu --verify-on {list}", "bf16 files are for CPUs"),
    ],
)
def test_refusals(
    options: str, words: str, detector: Path, tomograms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_line(f"milopyp-export {detector} -o a.onnx {options.format(list=tomograms)}")
    assert outcome.code == 2
    [line] = outcome.errors
    assert words in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(obstacle_to_bf16() is not None, reason=f"bf16: {obstacle_to_bf16()}")
def test_bf16_is_the_graphs_of_fp32_judged_as_openvino_runs_them(
    detector: Path, tomograms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_line(f"milopyp-export {detector} -o a.onnx --precision bf16 --verify-on {tomograms}")
    assert outcome.code == 0, outcome.err
    assert "p1 in OpenVINO: heat maps differ by " in outcome.out
    file, exact = read_model_file("a.onnx"), read_model_file(TOY)
    figures = file.recipe.parity
    assert (file.recipe.precision, figures["pick_agreement"], figures["picks"]) == ("bf16", 1.0, 20)
    assert figures["max_difference"] < 1e-5 < figures["tomogram_max_difference"] < 0.05
    assert (file.volume_graph, file.aligned_graph) == (exact.volume_graph, exact.aligned_graph)
    for provider, words, operators in (
        ("auto", "running on openvino", "OpenVINO, bf16"),
        ("cpu", "a.onnx was judged in bf16, which cpu does not have: it runs in fp32", "CPUExecutionProvider"),
    ):
        tomogram = tomograms.with_name("p1.mrc")
        line = f"milopyp-infer {tomogram} --model a.onnx --out {provider} --provider {provider} --threads 1"
        outcome = run_line(line)
        assert outcome.code == 0, outcome.err
        assert words in outcome.out
        record = json.loads(Path(provider, "records/p1.json").read_text())
        assert (list(record["operators"]), record["picks"]) == ([operators], 10)
    assert "bf16 in OpenVINO, else fp32" in run_line("milopyp show a.onnx").out


def test_options_that_fit() -> None:
    ExportOptions(precision="fp16", target="cpu")
    with pytest.raises(UsageError):
        ExportOptions(precision="int8", target="gpu")


def test_layouts_by_network_precision_and_target() -> None:
    network = UNet3d(2, 2)
    assert layout_for(network, "fp32", "cpu") == "conv2d_sum"
    assert layout_for(network, "int8", "cpu") == "conv2d_stack"
    assert layout_for(network, "fp16", "gpu") == layout_for(network, "fp32", "gpu") == "conv3d"
    assert layout_for(ToyNetwork(), "fp32", "cpu") == layout_for(ToyNetwork(), "int8", "cpu") == "conv3d"


@pytest.mark.parametrize("half", [False, True], ids=["fp32 for CPUs", "fp16 for GPUs"])
@pytest.mark.parametrize("network", [UNet3d(2, 2), SectionUNet(2)], ids=["unet3d", "sections"])
def test_tensorrt_takes_every_operator(network: PickingNetwork, half: bool) -> None:
    graph = PickingGraph(network.eval(), 1e-4 if isinstance(network, SectionUNet) else 0.0)
    model = make_graph(graph, "conv3d" if half else "conv2d_sum", half)
    assert {node.op_type for node in model.graph.node} <= TENSORRT
    assert {value.type.tensor_type.elem_type for value in model.graph.input} == {TensorProto.UINT8, TensorProto.FLOAT}
    shapes = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in shapes.graph.value_info}
    convolutions = [node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "MaxPool")]
    assert {ranks[node.output[0]] for node in convolutions} <= {4, 5}
    kernels = {tensor.name for tensor in model.graph.initializer}
    assert not any("proj" in name for name in kernels)  # what only training needs
    assert all(node.input[1] in kernels for node in convolutions if node.op_type != "MaxPool")
    for node in model.graph.node:
        if node.op_type == "Resize":
            words = {a.name: a.s for a in node.attribute}
            assert words["mode"] == b"nearest" and words["nearest_mode"] == b"floor"
            assert words["coordinate_transformation_mode"] == b"asymmetric"
    assert len(kept_in_fp32(model)) > 2
