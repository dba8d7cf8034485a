"""What a row of the bad-input table is, and the builders of the files it needs."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas

from milopyp_shared.errors import MilopypError
from milopyp_shared.formats.mod import write_mod
from milopyp_shared.recipe import CHUNKS_KEY, METADATA_KEY, Recipe
from toys import TOY, noise, write_tomogram

Build = Callable[[Path], None]

IMAGES = "image_name rec_path\n"
COORDINATES = "image_name x_coord y_coord z_coord\n"
TRAINING_LISTS = "--train-img-txt images.txt --train-coord-txt coords.txt"
TRAIN = f"milopyp-train {TRAINING_LISTS} --bbox 10 --num-epochs 1 --gpus -1 --no-export"
INFER = "milopyp-infer --model toy.onnx --out picks --threads 1"
PREPARE = "milopyp prepare -d data -e .rec -o run"
PUBLISHED = "milopyp-export model.pth --compress --order xyz --bbox 10"
EVALUATE = "milopyp evaluate picks --truth coords.txt --radius 5"


def nothing(folder: Path) -> None:
    """Nothing is needed."""


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    line
        Command line, run in the folder that `build` has filled.
    error
        Class of the error that ends it; the exit code follows from it. Those of click are errors of the option parser.
    where, expected
        What the error's fields are, to the letter; of click's errors `where` is the option.
    facts
        Figures, names and options that standard error must hold, in whatever words.
    leaves
        Files that a command leaves that could not know before it began (exit code 3).
    shipped
        The weights that every installation has are those in the folder ``pretrained``.
    frugal
        The refusal must not cost more memory than the header (files that claim absurd sizes).
    """

    id: str
    line: str
    error: type[MilopypError] | type[click.ClickException]
    where: str
    expected: str = ""
    build: Build = nothing
    facts: tuple[str, ...] = ()
    leaves: frozenset[str] = frozenset()
    shipped: bool = False
    frugal: bool = False


def both(*builds: Build) -> Build:
    """Several builders one after the other."""

    def build(folder: Path) -> None:
        for part in builds:
            part(folder)

    return build


def text(name: str, content: str | bytes) -> Build:
    """A file with this content."""

    def build(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return build


def volume(name: str, zyx: np.ndarray[Any, Any] | None = None, order: str = "xyz") -> Build:
    """A tomogram; noise of 16 x 32 x 32 voxels (z, y, x) when no volume is given."""
    return lambda folder: void(write_tomogram(folder / name, noise() if zyx is None else zyx, order))


def density_map(name: str = "map.mrc", value: float = 1.0) -> Build:
    """A map of 16 x 16 x 16 voxels of 8 Angstrom: a block of one density in solvent."""
    density = np.pad(np.full((8, 8, 8), value, np.float32), 4)
    return lambda folder: void(write_tomogram(folder / name, density, voxel_size=8.0))


def void(_: object) -> None:
    """Forget a result."""


def edited(name: str, edit: Callable[[bytes], bytes]) -> Build:
    """Change the bytes of a file that is there."""

    def build(folder: Path) -> None:
        path = folder / name
        path.write_bytes(edit(path.read_bytes()))

    return build


def sized(nx: int, ny: int, nz: int) -> Build:
    """``a.mrc`` whose header says these sizes."""
    return both(volume("a.mrc"), edited("a.mrc", lambda data: struct.pack("<3i", nx, ny, nz) + data[12:]))


def lists(images: str = "a a.mrc\n", coordinates: str = "a 10 12 8\n") -> Build:
    """Two lists with these rows below good headers, and the tomogram ``a.mrc``."""
    return both(volume("a.mrc"), text("images.txt", IMAGES + images), text("coords.txt", COORDINATES + coordinates))


def model(name: str = "toy.onnx") -> Build:
    """The toy model."""
    return lambda folder: void(shutil.copy(TOY, folder / name))


def picking(*builds: Build) -> Build:
    """The toy model beside what `builds` make."""
    return both(model(), *builds)


def run_summary(**changes: Any) -> Build:
    """``run.json`` of a run over nothing."""
    options = {"selection": {"threshold": 0.5, "distance": 6.0}}
    summary = {
        "model": "m.onnx", "model_sha256": "", "diameter": 10.0, "suppression_distance": 6.0, "options": options,
        "calibration": None, "done": 0, "failed": {}, "picks": 0, "tomograms": [],
    }  # fmt: skip
    return text("picks/run.json", json.dumps(summary | changes))


def calibrated_run(*precision: float) -> Build:
    """A run whose summary holds expectations at two scores."""
    return run_summary(calibration={"particles": 9, "score": [0.2, 0.6], "precision": precision, "recall": [0.9, 0.5]})


def tomograms(*names: str) -> Build:
    """``t.star``, RELION's list of tomograms of these names."""
    return text("t.star", "data_global\nloop_\n_rlnTomoName\n" + "".join(f"{name}\n" for name in names))


def parquet(**columns: list[Any]) -> Build:
    """The table ``p.parquet``."""
    return lambda folder: void(pandas.DataFrame(columns).to_parquet(folder / "p.parquet"))


def record_of(name: str, path: str, shape: Sequence[int], order: str = "xyz") -> dict[str, Any]:
    """The record of a tomogram with one pick, in the file `path`; `shape` as stored, slowest axis first."""
    return {
        "name": name, "input": {"path": path}, "model_sha256": "", "mask": None, "status": "done",
        "options": {"selection": {"threshold": 0.5, "distance": 6.0}, "published": None},
        "shape_zyx": shape, "frame": {"order": order, "stored_shape": shape, "voxel_size": 10.0},
        "diameter": 10.0, "suppression_distance": 6.0, "provider": "CPUExecutionProvider", "operators": {},
        "warnings": [], "candidates": 1, "picks": 1, "seconds": {"total": 1.0}, "peak_memory_mib": 100,
    }  # fmt: skip


def picked(path: str, columns: int = 32, summary: bool = True, name: str = "a") -> Build:
    """A run over the tomogram `name` in the file `path`, of 16 x 32 x `columns` voxels, with one candidate."""
    record = record_of(name, path, [16, 32, columns])
    files = [
        text(f"picks/records/{name}.json", json.dumps(record)),
        text(f"picks/{name}.candidates.csv", "x,y,z,score\n10,10,8,0.9\n"),
    ]
    if summary:
        files.append(run_summary(done=1, picks=1, tomograms=[record]))
    return both(*files)


def recipe_edited(edit: Callable[[Any], None]) -> Build:
    """The toy model with another recipe; `edit` gets the model's protobuf."""

    def build(folder: Path) -> None:
        import onnx

        proto = onnx.load(str(TOY))
        edit(proto)
        onnx.save(proto, str(folder / "toy.onnx"))

    return both(volume("a.mrc"), build)


def recipe_with(old: str, new: str) -> Build:
    """The toy model with other words in its recipe."""
    return recipe_edited(lambda proto: setattr(recipe_in(proto), "value", recipe_in(proto).value.replace(old, new)))


def recipe_in(proto: Any) -> Any:
    """The metadata entry that holds the recipe."""
    return next(entry for entry in proto.metadata_props if entry.key == METADATA_KEY)


def damage_chunks(proto: Any) -> None:
    """Cut the streaming graph short."""
    entry = next(entry for entry in proto.metadata_props if entry.key == CHUNKS_KEY)
    entry.value = entry.value[: len(entry.value) // 8 * 4]


def weights_outside(folder: Path) -> None:
    """``toy.onnx`` with its large weights in ``weights.bin``, where onnxruntime would find them."""
    import onnx

    proto = onnx.load(folder / "toy.onnx")
    onnx.save_model(proto, folder / "toy.onnx", save_as_external_data=True, location="weights.bin", size_threshold=200)


def rename_output(proto: Any) -> None:
    """Call the heat map ``h``."""
    proto.graph.output[0].name = "h"
    next(node for node in proto.graph.node if "heatmap" in node.output).output[0] = "h"


def toy_recipe() -> Recipe:
    """The toy model's own recipe."""
    import onnx

    properties = {entry.key: entry.value for entry in onnx.load(str(TOY)).metadata_props}
    return Recipe.from_json(properties[METADATA_KEY], TOY)


def checkpoint(**changes: Any) -> Build:
    """A checkpoint of the toy's architecture without training, with some entries changed (None: left out)."""

    def build(folder: Path) -> None:
        import torch

        from milopyp_training.networks.unet3d import UNet3d

        recipe = changes.get("recipe", lambda recipe: recipe.to_json())(toy_recipe())
        content = {"format": "milopyp-checkpoint", "schema": 1, "state_dict": UNet3d(2, 2).state_dict()}
        content |= changes | {"recipe": recipe}
        torch.save({key: value for key, value in content.items() if value is not None}, folder / "model.pth")

    return build


def weights(content: Any) -> Build:
    """Good lists beside ``model.pth``, a file of ``torch.save``."""

    def build(folder: Path) -> None:
        import torch

        torch.save(content, folder / "model.pth")

    return both(lists(), build)


def pretrained(edit: Callable[[Path], None]) -> Build:
    """Good lists beside ``pretrained``, the shipped weights of a small network, which `edit` changes."""

    def build(folder: Path) -> None:
        from shipped import ship_small

        (folder / "pretrained").mkdir()
        edit(ship_small(folder / "pretrained"))

    return both(lists(), build)


def description_edited(**changes: Any) -> Callable[[Path], None]:
    """Change entries of the description of shipped weights."""

    def edit(folder: Path) -> None:
        described = json.loads((folder / "features.json").read_text())
        (folder / "features.json").write_text(json.dumps(described | changes))

    return edit


def begun(**changes: Any) -> Build:
    """Good lists beside an experiment whose last checkpoint has these entries changed (None: left out)."""

    def build(folder: Path) -> None:
        experiment = folder / "exp" / "semi" / "default"
        experiment.mkdir(parents=True)
        checkpoint(**changes)(experiment)
        (experiment / "model.pth").rename(experiment / "model_last_contrastive.pth")

    return both(lists(), build)


def wide(coordinates: str) -> Build:
    """As `lists`, with a tomogram large enough for the published preset."""
    return both(lists(coordinates=coordinates), volume("a.mrc", noise((14, 72, 72))))


def saved(content: dict[str, Any]) -> Build:
    """``model.pth`` with this content; None stands for a small tensor."""

    def build(folder: Path) -> None:
        import torch

        def filled(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: filled(part) for name, part in value.items()}
            return torch.zeros(3) if value is None else value

        torch.save(filled(content), folder / "model.pth")

    return build


def published(drop: str = "", **shapes: tuple[int, ...]) -> Build:
    """A checkpoint as the published program writes it, without the entry `drop`, with others of these shapes."""

    def build(folder: Path) -> None:
        import torch

        from milopyp_training.networks.section_unet import SectionUNet
        from published_checkpoints import save_published

        weights = {name: value for name, value in SectionUNet(4).state_dict().items() if name != drop}
        changed = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
        save_published(folder / "model.pth", weights | changed)

    return build


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def trapped(folder: Path) -> None:
    """Code in a file that is called a checkpoint; `test_bad_input` looks for what it would leave."""
    (folder / "model.pth").write_bytes(pickle.dumps({"format": "milopyp-checkpoint", "state": Trap(folder / "ran")}))


def trapped_archive(folder: Path) -> None:
    """The same in the form that torch.save writes."""
    import torch

    torch.save({"format": "milopyp-checkpoint", "state": Trap(folder / "ran")}, folder / "model.pth")


def candidates(content: str) -> Build:
    """A run folder with one table of candidates and the list of the truth."""
    return both(text("picks/a.candidates.csv", content), text("coords.txt", COORDINATES + "a 1 2 3\n"))


def mod_outside(folder: Path) -> None:
    """``data/a.rec`` of 16 x 32 x 32 voxels (z, y, x) with an IMOD model whose second column is the thickness."""
    write_tomogram(folder / "data" / "a.rec", noise())
    write_mod(folder / "data" / "a.mod", np.array([[20.0, 5.0, 25.0]]), size_xyz=(32, 16, 32), radius=5.0)


def model_of_one_object(folder: Path) -> None:
    """``data/a.mod``."""
    write_mod(folder / "data" / "a.mod", np.array([[20.0, 5.0, 5.0]]), size_xyz=(32, 32, 16), radius=5.0)


def not_a_number(name: str) -> Build:
    """A tomogram with one NaN in section 9."""

    def build(folder: Path) -> None:
        zyx = noise().astype(np.float32)
        zyx[9, 3, 4] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # mrcfile has seen it, too
            write_tomogram(folder / name, zyx)

    return build


failed_run = frozenset(
    {"picks", *(f"picks/{name}" for name in ("records", "records/a.json", "run.json", "status.json"))}
)
