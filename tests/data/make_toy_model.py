"""Make ``toy.onnx``: a dark-blob detector in the form of the default network, for tests that need some model.

Nothing is trained: the weights are Gaussians written into the convolutions of a `UNet3d` of two channels and two
levels, so every machine gets the same model. Darkness is blurred on the fine level and, wider, on the coarse one;
their mean is highest in the middle of a dark blob of about `DIAMETER` voxels. On a phantom without noise and
background it finds every particle and nothing else.

Run from the repository's root: ``python tests/data/make_toy_model.py``.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from milopyp_export.convert import build
from milopyp_export.graph import OPSET, PickingGraph
from milopyp_export.parity import check, check_streaming, check_volumes
from milopyp_inference.engine.model_file import read_model_file
from milopyp_shared.calibration import Threshold
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.recipe import Recipe
from milopyp_training.networks.unet3d import UNet3d

DIAMETER = 10.0
GAIN, OFFSET = 5.0, -3.0  # of the head: the logit of a blurred darkness in z-scores


def gaussian(size: tuple[int, ...], sigma: float) -> torch.Tensor:
    """A Gaussian of unit sum, sampled symmetrically on `size` points per axis."""
    kernel = np.ones(())
    for n in size:
        line = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / sigma) ** 2)
        kernel = np.multiply.outer(kernel, line / line.sum())
    return torch.from_numpy(kernel.astype(np.float32))


def toy_network() -> UNet3d:
    """The detector, in evaluation mode."""
    network = UNet3d(channels=2, levels=2).eval()
    weights = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name in weights:
        if name.endswith("running_var") or (name.endswith(".weight") and weights[name].ndim == 1):
            weights[name] += 1.0  # batch normalisation that changes nothing
    weights["stem.weight"][0, 0] = -gaussian((3, 6, 6), 1.0)  # dark becomes positive, the rest is cut off
    small = gaussian((3, 3, 3), 0.8)
    for name in ("down.0.0", "down.1.0.0", "down.1.1.0"):
        weights[f"{name}.weight"][0, 0] = small
    weights["up.0.0.weight"][0, 2] = 0.5 * small  # inputs: two channels of the fine level, four of the coarse one
    weights["up.0.0.weight"][0, 0] = 0.5 * small
    weights["head.weight"][0, 0] = GAIN
    weights["head.bias"][0] = OFFSET
    network.load_state_dict(weights)
    return network


def toy_recipe(network: UNet3d) -> Recipe:
    """What the file says of itself; parity is measured later."""
    return Recipe(
        architecture="unet3d",
        architecture_options={"channels": network.channels, "levels": network.levels},
        preset="default",
        grey=Preprocessing(statistics="moments"),  # as the committed file has it
        geometry=network.geometry(),
        diameter=DIAMETER,
        voxel_size=10.0,
        threshold=Threshold(0.5, "chosen by hand"),
        versions={name: version(name) for name in ("torch", "onnx", "onnxscript")},
        checkpoint_sha256=hashlib.sha256(b"").hexdigest(),  # there was no checkpoint
    )


def make(path: Path) -> Recipe:
    """Write the model to `path`; returns the recipe in it."""
    network = toy_network()
    graph, recipe = PickingGraph(network, clamp=0.0).eval(), toy_recipe(network)
    built = build(graph, recipe)
    built.save(path)
    figures = check(graph, path, recipe.geometry) | {
        "chunks_max_difference": check_streaming(path, built.recipe),
        "volume_max_difference": check_volumes(read_model_file(path)),
    }
    recipe = built.save(path, figures | {"opset": float(OPSET)})
    return recipe


if __name__ == "__main__":
    target = Path(__file__).with_name("toy.onnx")
    print(json.dumps(json.loads(make(target).to_json()), indent=1))
    print(f"{target.name}: {target.stat().st_size} bytes")
