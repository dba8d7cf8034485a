"""The shipped network as ONNX: PyTorch's features, tile by tile and in chunks, from the same numbers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from milopyp_export import convert, parity
from milopyp_export.features import export_features
from milopyp_export.graph import FeatureGraph, PickingGraph
from milopyp_export.half_weights import replace_weights
from milopyp_export.shipped_graph import picking_graphs
from milopyp_inference.engine.features import FeatureNetwork, open_features, read_feature_file
from milopyp_inference.engine.machine import Machine
from milopyp_shared import pretrained_weights
from milopyp_shared.calibration import Threshold
from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.graph_names import SECTION_FEATURES
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.pretrained_weights import ARRAYS, DESCRIPTION, GRAPH, read_pretrained
from milopyp_shared.recipe import Recipe
from milopyp_shared.tiles import Piece, Tiling, box_of, cut, cut_stream, grid_shape, plan_tiles
from milopyp_training.networks.pretrained import build_pretrained
from milopyp_training.networks.unet3d import UNet3d
from shipped import ship_small, unsettled

LEVELS = (3.0, 251.0)
SHAPES = [(8, 32, 32), (11, 35, 47), (1, 21, 18), (22, 60, 33)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shipped weights, exported."""
    made = ship_small(tmp_path_factory.mktemp("shipped"))
    assert export_features(made) < 1e-4
    return made


@pytest.fixture(scope="module")
def network(folder: Path) -> FeatureNetwork:
    return open_features(folder, Machine("cpu", threads=1))


def levels_of(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).normal(127.5, 40, shape).clip(0, 255).astype(np.uint8)


def pytorch(folder: Path, sections: np.ndarray) -> np.ndarray:
    graph = FeatureGraph(build_pretrained(read_pretrained(folder)))
    with torch.inference_mode():
        found: np.ndarray = graph(torch.from_numpy(sections[None]), torch.tensor(LEVELS)).numpy()[0]
    return found


def joined(pieces: Iterable[Piece], like: np.ndarray) -> np.ndarray:
    whole = np.full_like(like, np.nan)
    for place, piece in pieces:
        assert np.isnan(whole[:, *place]).all()  # nothing comes twice
        whole[:, *place] = piece
    return whole


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_graph_gives_the_features_of_pytorch(
    folder: Path, network: FeatureNetwork, shape: tuple[int, int, int]
) -> None:
    sections = levels_of(shape)
    wanted = pytorch(folder, sections)
    found = joined(network.iter_features(box_of(sections), shape, LEVELS), wanted)
    assert found.dtype == np.float32
    assert found.shape == (4, *grid_shape(shape, network.file.recipe.geometry))
    assert found.min() == 0 < 0.02 < wanted.std()
    assert np.abs(found - wanted).max() < 1e-4


def test_what_is_shipped_is_one_network() -> None:
    """The arrays and the graph that every installation has."""
    shipped, shape = open_features(machine=Machine(threads=1)), (12, 70, 62)
    sections = levels_of(shape)
    wanted = pytorch(pretrained_weights.FOLDER, sections)
    found = joined(shipped.iter_features(box_of(sections), shape, LEVELS), wanted)
    assert np.abs(found - wanted).max() < 1e-4 * wanted.max()
    facts = read_feature_file()[0].recipe
    assert (facts.working_bytes > 0, facts.geometry) == (True, build_pretrained(read_pretrained()).geometry())
    assert sum(path.stat().st_size for path in pretrained_weights.FOLDER.iterdir()) < 7 * 10**6


def test_tiles_and_chunks_give_the_whole(folder: Path, network: FeatureNetwork) -> None:
    shape, facts = (21, 210, 99), network.file.recipe
    sections = levels_of(shape)
    wanted = pytorch(folder, sections)
    ways = [
        plan_tiles(shape, facts.geometry, 300_000),
        Tiling(
            cut_stream(shape[0], 8, facts.chunks.delay),
            cut(shape[1], 3, facts.geometry.halo[1], facts.geometry.alignment[1]),
            cut(shape[2], 1, facts.geometry.halo[2], facts.geometry.alignment[2]),
            streaming=True,
        ),
    ]
    for tiling in ways:
        assert len(tiling) > 1
        pieces = network.engine.iter_heat_map(tiling, box_of(sections), np.array(LEVELS, np.float32))
        assert np.abs(joined(pieces, wanted) - wanted).max() < 1e-4


def test_memory_is_bounded(folder: Path) -> None:
    """Less memory, more pieces, the same features; too little is said as for picking."""
    shape = (12, 400, 300)
    sections = levels_of(shape)
    pieces = {}
    for room in (400, 1000):
        found = open_features(folder, Machine(threads=1, memory=room * 10**6))
        pieces[room] = list(found.iter_features(box_of(sections), shape, LEVELS))
    assert len(pieces[400]) > len(pieces[1000])
    like = np.empty((4, *grid_shape(shape, found.file.recipe.geometry)), np.float32)
    assert np.abs(joined(pieces[400], like) - joined(pieces[1000], like)).max() < 1e-4
    with pytest.raises(UsageError, match="--memory"):
        list(
            open_features(folder, Machine(memory=301 * 10**6)).iter_features(box_of(sections), (900, 9000, 900), LEVELS)
        )


def test_weights_are_stored_in_half_precision_and_once(folder: Path) -> None:
    model = onnx.load(str(folder / GRAPH))
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4 and min(tensor.dims[:2]) > 1]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT16}
    shipped = sum(array.size for array in read_pretrained(folder).arrays.values() if array.ndim > 1)
    stored = sum(np.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == 10)
    assert stored == shipped


def test_a_head_finds_its_place_in_both_graphs(folder: Path) -> None:
    file, description = read_feature_file(folder)
    assert description.options.features == 4
    for graph in (file.graph, file.streaming_graph):
        model = onnx.load_from_string(graph)
        assert [name for node in model.graph.node for name in node.output].count(SECTION_FEATURES) == 1


def test_features_need_neither_torch_nor_onnx(folder: Path) -> None:
    body = f"""
import sys
from pathlib import Path
import numpy as np
from milopyp_inference.engine.features import open_features
from milopyp_shared.tiles import box_of
sections = np.zeros((4, 16, 16), np.uint8)
[(place, piece)] = open_features(Path({str(folder)!r})).iter_features(box_of(sections), sections.shape, (0.0, 255.0))
assert piece.shape == (4, 4, 8, 8)
assert "onnxruntime" in sys.modules and not {{"torch", "onnx"}} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The shipped folder, to be spoiled."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_graph_that_is_missing_or_altered_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray((copy / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / GRAPH).write_bytes(content)
    with pytest.raises(InputError, match=r"features\.onnx: has been altered.*Install milopyp again"):
        open_features(copy)
    monkeypatch.setattr(pretrained_weights, "LARGEST", 1000)
    with pytest.raises(InputError, match="has been altered"):
        open_features(copy)
    (copy / GRAPH).unlink()
    with pytest.raises(InputError, match=r"features\.onnx: no such file"):
        open_features(copy)


def test_arrays_alone_have_no_graph(tmp_path: Path) -> None:
    ship_small(tmp_path)
    with pytest.raises(InputError, match=r"features\.json: says nothing of a graph"):
        open_features(tmp_path)


def test_another_graph_is_refused(copy: Path) -> None:
    """Even when it is the one that was described."""
    model = onnx.load(str(copy / GRAPH))
    model.graph.output[0].name = SECTION_FEATURES
    pretrained_weights.write_graph(copy, model.SerializeToString(), read_feature_file(copy)[0].recipe)
    with pytest.raises(InputError, match="inputs and outputs are called sections, levels, features_of_sections"):
        open_features(copy)


def test_altered_arrays_are_not_exported(copy: Path) -> None:
    before = (copy / DESCRIPTION).read_bytes()
    (copy / ARRAYS).write_bytes((copy / ARRAYS).read_bytes() + b" ")
    with pytest.raises(InputError, match="has been altered"):
        export_features(copy)
    assert (copy / DESCRIPTION).read_bytes() == before


@pytest.mark.parametrize("which", ["begun", "of three classes", "another width", "from scratch"])
def test_what_began_with_the_shipped_network_is_exported_without_tracing(
    folder: Path, tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same heat map as PyTorch's, whole and in chunks; other networks are traced."""
    network = {
        "begun": lambda: UNet3d(2, 3, features=4, projected=1),
        "of three classes": lambda: UNet3d(2, 3, features=4, projected=1, classes=3),
        "another width": lambda: UNet3d(2, 3, features=5, projected=1),
        "from scratch": lambda: UNet3d(2, 3),
    }[which]()
    unsettled(network)
    graph = PickingGraph(network, 0.0).eval()
    made = picking_graphs(graph, folder)
    if which not in ("begun", "of three classes"):
        assert made is None
        return
    monkeypatch.setattr(convert, "picking_graphs", lambda graph: picking_graphs(graph, folder))
    monkeypatch.setattr(convert, "make_graph", None)
    recipe = Recipe(
        "unet3d", "pretrained", Preprocessing(), network.geometry(), 9.0, Threshold(0.5, "none"),
        architecture_options=network.architecture_options,
    )  # fmt: skip
    built = convert.build(graph, recipe)
    built.save(path := tmp_path / "model.onnx")
    assert built.recipe.tile_bytes == 132
    assert parity.check(graph, path, network.geometry())["max_difference"] < 1e-5
    assert parity.check_streaming(path, built.recipe) < 1e-5
    kinds = {t.data_type for t in onnx.load(str(path)).graph.initializer if len(t.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT}


def test_weights_that_are_not_in_the_graph_are_refused(folder: Path) -> None:
    model = onnx.load(str(folder / GRAPH))
    for name, shape in (("network.none.weight", (1,)), ("network.first.flat.weight", (2, 2, 1, 1))):
        with pytest.raises(ValueError, match=f"{name} is not in the graph"):
            replace_weights(model, {name: np.zeros(shape, np.float32)})
