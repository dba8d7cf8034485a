"""What the processes of gpu_check.py do, one piece of work each: `python benchmarks/gpu_work.py WORK.json`.

What was found stands in facts.json beside it, a heat map and its picks in arrays.npz.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from milopyp_inference.engine.machine import Machine
from milopyp_inference.engine.model import Model, open_model
from milopyp_inference.engine.planning import parse_memory, plan_for_gpu
from milopyp_inference.engine.providers.base import Engine
from milopyp_inference.engine.providers.registry import PROVIDERS
from milopyp_inference.pipeline import prepare, run_network
from milopyp_shared.coordinate_lists import read_coordinate_list
from milopyp_shared.errors import MilopypError
from milopyp_shared.lists import ImageEntry, read_image_list
from milopyp_shared.peaks import above_threshold, nms
from milopyp_shared.tiles import Piece, Read, Shape, Tiling, iter_heat_map
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms

if TYPE_CHECKING:  # picking is timed without PyTorch
    from milopyp_training.methods.base import Method

TOMOGRAM, TRAINING, PHANTOM, NETWORK = "tomogram", "training", "phantom_1.mrc", "network.pth"
#: Files that are made, with what `milopyp-export` is asked for.
FILES: dict[str, dict[str, str]] = {
    "fp32.onnx": {"precision": "fp32"},
    "fp32_gpu.onnx": {"precision": "fp32", "target": "gpu"},
    "fp16.onnx": {"precision": "fp16"},
    "int8.onnx": {"precision": "int8"},
}
DIAMETER = 18.0
_WARM_UP = 3  # steps of a training


class Enough(Exception):
    """So many steps were wanted."""


def main() -> None:
    path = Path(sys.argv[1])
    work = json.loads(path.read_text())
    kinds: dict[str, Callable[[Path, dict[str, Any]], dict[str, Any]]] = {
        "make": make, "pick": pick, "train": train, "peer": peer,
    }  # fmt: skip
    try:
        facts = kinds[work.pop("kind")](path.parent, work)
    except MilopypError as error:
        facts = {"refused": error.found}
    except ImportError as error:
        facts = {"refused": f"{error.name or error} is not installed"}
    (path.parent / "facts.json").write_text(json.dumps(facts))


def make(folder: Path, work: dict[str, Any]) -> dict[str, Any]:
    """What is missing of `work["wanted"]`: tomograms, a network with a head that was fitted to labels, its files."""
    material, wanted = Path(work["material"]), work["wanted"]
    x, y, z = work["size"]
    for name, shape in ((TOMOGRAM, (z, y, x)), (TRAINING, tuple(work["training"]))):
        if name in wanted and not (material / name / "coords.txt").is_file():
            count = max(int(np.prod(shape) * 40 / (64 * 192 * 192)), 3)  # as dense as phantoms are by default
            few = PhantomSettings(shape, n_particles=count, n_distractors=count // 2, diameter=DIAMETER)
            write_phantoms(material / name, 1, few)
    network = material / NETWORK
    if NETWORK in wanted and not network.is_file():
        from milopyp_training.loop import checkpoint
        from milopyp_training.loop.state import new_state

        method, recipe = begun(material, "cpu")
        checkpoint.save(network, new_state(method, 1), recipe, checkpoint.Provenance(1))
    for name in FILES:
        if name in wanted and not (material / name).is_file():
            write_file(network, material / name, material / TRAINING)
    return {}


def write_file(network: Path, path: Path, training: Path) -> None:
    """One of `FILES`."""
    from milopyp_export.convert import ExportOptions, export

    wanted = FILES[path.name]
    calibration = [ImageEntry("phantom_1", training / PHANTOM)] if wanted["precision"] == "int8" else ()
    export(network, path, ExportOptions(**wanted, calibration=calibration))  # type: ignore[arg-type]


def begun(material: Path, device: str) -> tuple[Method, Any]:
    """The shipped preset before its first step, with its head fitted, on the labels of the material; and its recipe."""
    import torch

    from milopyp_shared.calibration import Threshold
    from milopyp_training.data.dataset import TrainingSet
    from milopyp_training.data.loading import load_volumes
    from milopyp_training.methods.presets import pretrained
    from milopyp_training.methods.recipe import recipe_of
    from milopyp_training.methods.registry import make_method

    torch.manual_seed(1)
    preset = pretrained()
    lists = material / TRAINING
    images, coordinates = read_image_list(lists / "images.txt"), read_coordinate_list(lists / "coords.txt")
    volumes = load_volumes(images, coordinates, preset.grey, diameter=DIAMETER)
    method = make_method(preset, volumes, [DIAMETER], torch.device(device))
    recipe = recipe_of(method, TrainingSet(volumes, [], DIAMETER, "dark"))
    return method, replace(recipe, flips=1, threshold=Threshold(0.5, "by hand, for timing"))


def pick(folder: Path, work: dict[str, Any]) -> dict[str, Any]:
    """Pick the tomogram several times with `work["file"]` on `work["provider"]`."""
    memory = parse_memory(work["memory"]) if work["memory"] else None
    machine = Machine(work["provider"], work["device"], work["threads"], memory)
    return timed(folder, work, lambda: open_model(work["file"], machine))


def peer(folder: Path, work: dict[str, Any]) -> dict[str, Any]:
    """The same by PyTorch."""
    import torch

    torch.set_num_threads(work["threads"])
    return timed(folder, work, lambda: torch_model(work))


def timed(folder: Path, work: dict[str, Any], opened: Callable[[], Model]) -> dict[str, Any]:
    """Seconds per tomogram and in the network; medians without the first one, as many as `work` has time for."""
    totals: list[float] = []
    networks: list[float] = []
    begin = start = time.perf_counter()
    window = [0.0, 0.0]
    model = opened()
    while len(totals) <= work["rounds"] and (len(totals) < 2 or time.perf_counter() - begin < work["seconds"]):
        [result] = run_network(prepare(open_tomogram(work["tomogram"], work["order"]), model.recipe), model, flips=1)
        totals.append(time.perf_counter() - start)
        networks.append(result.seconds["network"])
        window = [window[0] or time.time(), time.time()]
        start = time.perf_counter()
    picks = above_threshold(nms(result.candidates, model.recipe.suppression_distance), model.recipe.threshold.score)
    np.savez(folder / "arrays.npz", heat=result.heat, xyz=picks.xyz, score=picks.score)
    return {
        "seconds": statistics.median(totals[1:]), "network": statistics.median(networks[1:]), "first": totals[0],
        "rounds": len(totals) - 1, "radius": model.recipe.diameter / 4, "window": window,
    }  # fmt: skip


def torch_model(work: dict[str, Any]) -> Model:
    """The network of a checkpoint in PyTorch, on the tiles that a GPU gets."""
    import torch

    from milopyp_export.load import load_model

    device = torch.device(work["on"])
    network, recipe = load_model(Path(work["file"]))
    arithmetic = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[work["precision"]]
    network = network.to(device, arithmetic)
    logits = torch.compile(network.picking_logits) if work["compiled"] else network.picking_logits
    memory = parse_memory(work["memory"]) if work["memory"] else None

    class TorchEngine(Engine):
        def __init__(self) -> None:
            pass

        def plan(self, shape: Shape) -> Tiling:
            return plan_for_gpu(shape, recipe, memory)

        def iter_heat_map(self, tiling: Tiling, read: Read, input_range: NDArray[np.float32]) -> Iterator[Piece]:
            low, high = map(float, input_range)

            def run(block: NDArray[np.uint8]) -> NDArray[np.float32]:
                with torch.inference_mode():
                    grey = (torch.from_numpy(block[None]).to(device).float() - low) / (high - low)
                    heat = torch.sigmoid(logits(grey.to(arithmetic)).float())[0].cpu()
                found: NDArray[np.float32] = heat.numpy()
                return found

            return iter_heat_map(tiling, read, run, recipe.geometry)

    return Model(Path(work["file"]), "", recipe, PROVIDERS["cpu"], TorchEngine())


def train(folder: Path, work: dict[str, Any]) -> dict[str, Any]:
    """Seconds per step of the shipped preset: medians of so many steps after a few."""
    import torch

    from milopyp_training.loop.machine import Machine as TrainingMachine
    from milopyp_training.loop.machine import use_threads
    from milopyp_training.loop.state import Losses, new_state
    from milopyp_training.loop.trainer import train_epoch

    use_threads(work["threads"])
    device = torch.device(work["on"])
    method, _ = begun(Path(work["material"]), work["on"])
    moments = [time.perf_counter()]
    window = [0.0, 0.0]

    def step(number: int, losses: Losses) -> None:
        moments.append(time.perf_counter())
        window[:] = [window[0] if number > _WARM_UP else time.time(), time.time()]
        if number >= _WARM_UP + work["steps"] or (number > _WARM_UP and moments[-1] - moments[0] > work["seconds"]):
            raise Enough

    machine = TrainingMachine(device, mixed_precision=work["amp"], ahead=2)
    with contextlib.suppress(Enough):
        train_epoch(method, new_state(method, method.preset.epochs), 1, machine, step)
    taken = np.diff(moments)[_WARM_UP:]
    seconds = float(np.median(taken))
    epoch = seconds * method.steps_per_epoch
    return {"step": seconds, "epoch": epoch, "epochs": method.preset.epochs, "steps": len(taken), "window": window}


if __name__ == "__main__":
    main()
