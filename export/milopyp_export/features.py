"""From shipped arrays to the shipped graph: the same network as ONNX, proven equal, beside them."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import onnx

from milopyp_inference.engine.features import FeatureFile
from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model_file import further_graphs
from milopyp_inference.engine.providers.cpu import CpuEngine
from milopyp_shared.graph_names import FEATURES, SECTION_FEATURES
from milopyp_shared.pretrained_weights import (
    FEATURE_BYTES,
    GRAPH,
    GraphFacts,
    PretrainedWeights,
    read_pretrained,
    write_graph,
)
from milopyp_shared.recipe import CHUNKS_KEY
from milopyp_training.networks.pretrained import build_pretrained
from milopyp_training.networks.registry import NETWORKS

from . import parity
from .embedding import embed
from .graph import FeatureGraph, LoweredFeatures, volume_graphs, whole_graph
from .half_weights import scales_of, store_half
from .streaming_graph import make_streaming_graph


def export_features(folder: Path) -> float:
    """Write the graph of the arrays in `folder` beside them, and its facts into their description.

    Returns
    -------
    The largest difference from PyTorch's features on random volumes.

    Raises
    ------
    InputError
        The arrays are missing or altered, or the folder cannot be written.
    CheckError
        The graph does not do what the PyTorch network does; nothing is written.
    """
    weights = read_pretrained(folder)
    graph = FeatureGraph(build_pretrained(weights)).eval()
    model, facts = make_feature_graph(graph, weights)
    with tempfile.TemporaryDirectory(prefix="milopyp-") as temporary:
        path = Path(temporary, GRAPH)
        content = model.SerializeToString(deterministic=True)
        path.write_bytes(content)
        difference = parity.check(graph, path, facts.geometry)["max_difference"]
        entries = {entry.key: entry.value for entry in model.metadata_props}
        file = FeatureFile(path, facts, content, *further_graphs(content, entries, streams=True))
        parity.check_chunks(CpuEngine(file, Machine(), lambda text: None, FEATURES), path, facts, FEATURES)
        parity.check_volumes(file, FEATURES)
    write_graph(folder, content, facts)
    return difference


def make_feature_graph(graph: FeatureGraph, weights: PretrainedWeights) -> tuple[onnx.ModelProto, GraphFacts]:
    """`graph` as ONNX, its further graphs inside, and what an engine must know of it but the hash."""
    lowered = LoweredFeatures(graph).eval()
    whole = whole_graph(lowered)
    streaming, chunks = make_streaming_graph(lowered)
    volumes = volume_graphs(LoweredFeatures(graph, "volume").eval())
    for model in (whole, streaming, *volumes.values()):
        store_half(model, scales_of(lowered))
    for model in (whole, streaming):
        _name_section_features(model)
    for key, further in ({CHUNKS_KEY: streaming} | volumes).items():
        embed(whole, further, key)
    onnx.checker.check_model(whole)
    described = weights.description
    spec, options = NETWORKS[described.architecture], asdict(described.options)
    assert spec.tile_bytes is not None
    working, tiles = (
        of(options) + FEATURE_BYTES * described.options.features for of in (spec.working_bytes, spec.tile_bytes)
    )
    return whole, GraphFacts(graph.network.geometry(), chunks, working, sha256="", tile_bytes=tiles)


def _name_section_features(model: onnx.ModelProto) -> None:
    """Give the features their name where they are not yet transposed for the output."""
    makers = {name: node for node in model.graph.node for name in node.output}
    transpose = makers[FEATURES]
    unsqueeze = makers[transpose.input[0]]
    assert (transpose.op_type, unsqueeze.op_type) == ("Transpose", "Unsqueeze")
    old = unsqueeze.input[0]
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [SECTION_FEATURES if name == old else name for name in names]
