"""Bad input, one row per kind: files, command line, exit code, and the four parts of the line that must come back."""

from __future__ import annotations

import gzip
import pickle
import shutil
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

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
MRC = "Give a tomogram in MRC format"


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    line
        Command line, run in the folder that `build` has filled.
    where, found, expected, remedy
        Parts of the one error line, in this order; empty where another part says it already.
    code
        Exit code.
    usage
        The option parser's own message, which has two lines of usage above it.
    leaves
        Files that a command leaves that could not know before it began (exit codes 1 and 3).
    also
        Further words on standard error, e.g. the list of failed items.
    frugal
        The refusal must not cost more memory than the header (files that claim absurd sizes).
    """

    id: str
    line: str
    where: str
    found: str
    expected: str = ""
    remedy: str = ""
    build: Build = lambda folder: None
    code: int = 2
    usage: bool = False
    leaves: frozenset[str] = frozenset()
    also: str = ""
    frugal: bool = False


# ---------------------------------------------------------------- builders


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


def void(_: object) -> None:
    """Forget a result."""


def edited(name: str, edit: Callable[[bytes], bytes]) -> Build:
    """Change the bytes of a file that is there."""

    def build(folder: Path) -> None:
        path = folder / name
        path.write_bytes(edit(path.read_bytes()))

    return build


def claims(nx: int, ny: int, nz: int) -> Build:
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


def recipe_edited(edit: Callable[[Any], None]) -> Build:
    """The toy model with another recipe; `edit` gets the model's protobuf."""

    def build(folder: Path) -> None:
        import onnx

        proto = onnx.load(str(TOY))
        edit(proto)
        onnx.save(proto, str(folder / "toy.onnx"))

    return both(volume("a.mrc"), build)


def recipe_in(proto: Any) -> Any:
    """The metadata entry that holds the recipe."""
    return next(entry for entry in proto.metadata_props if entry.key == METADATA_KEY)


def damage_chunks(proto: Any) -> None:
    """Cut the second graph short."""
    entry = next(entry for entry in proto.metadata_props if entry.key == CHUNKS_KEY)
    entry.value = entry.value[: len(entry.value) // 8 * 4]


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

        from milopyp_training.unet3d import UNet3d

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

        from milopyp_training.unet2d import SectionUNet
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


def not_a_number(name: str) -> Build:
    """A tomogram with one NaN in section 9."""

    def build(folder: Path) -> None:
        zyx = noise().astype(np.float32)
        zyx[9, 3, 4] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # mrcfile has seen it, too
            write_tomogram(folder / name, zyx)

    return build


failed_run = frozenset({"picks", "picks/records", "picks/records/a.json", "picks/run.json"})

# ---------------------------------------------------------------- the table

LISTS = [
    Case(
        "missing file in a list", f"{INFER} images.txt", "images.txt, line 3", "there is no tomogram gone.mrc",
        "an existing file", "relative to the list's folder", picking(lists("a a.mrc\nb gone.mrc\n")),
    ),
    Case(
        "list without header", f"{INFER} images.txt", "images.txt, line 1", "image_name, rec_path is missing",
        "the header 'image_name rec_path'", "Add the header line",
        picking(volume("a.mrc"), text("images.txt", "a a.mrc\n")),
    ),
    Case(
        "image list that is not there", TRAIN, "images.txt", "no such file", "a list at", "milopyp prepare",
        text("coords.txt", COORDINATES + "a 1 2 3\n"),
    ),
    Case(
        "binary file as a list", f"{INFER} images.txt", "images.txt", "is not UTF-8 text", "a text file", "Save it as",
        picking(text("images.txt", bytes(range(256)))),
    ),
    Case(
        "two tomograms of one name in a list", f"{INFER} images.txt",
        "images.txt, line 3", "two tomograms of one name: 'a' is a.mrc and b.mrc", "one name per tomogram",
        "Rename one", picking(lists("a a.mrc\na b.mrc\n"), volume("b.mrc")),
    ),
    Case(
        "name that climbs out of the folder", f"{INFER} images.txt",
        "images.txt, line 2", "image name '../a'", "a name without '/', '..'", "Rename the image",
        picking(lists("../a a.mrc\n")),
    ),
]  # fmt: skip

LABELS = [
    Case(
        "label outside the volume", TRAIN,
        "coords.txt", "1 of 2 labels of a.mrc lie outside, the first at x, y, z = 40, 40, 40",
        "coordinates inside 32 x 32 x 16 voxels (order xyz)", "Check the labels' binning and order",
        lists(coordinates="a 10 12 8\na 40 40 40\n"),
    ),
    Case(
        "labels that fit another order only", TRAIN,
        "coords.txt", "2 of 2 labels of a.mrc lie outside", "coordinates inside 32 x 32 x 16 voxels (order xyz)",
        "All of them fit with --order xzy or zyx or zxy or yzx.",
        lists(coordinates="a 10 12 28\na 3 15 16\n"),
    ),
    Case(
        "empty coordinate list", TRAIN, "coords.txt", "is empty", "the header 'image_name x_coord y_coord z_coord'", "",
        both(lists(), text("coords.txt", "")),
    ),
    Case(
        "coordinate list of a header alone", TRAIN, "coords.txt", "has a header and no rows", "at least one row", "",
        lists(coordinates=""),
    ),
    Case(
        "word for a coordinate", TRAIN, "coords.txt, line 3", "'twelve'", "a finite number", "",
        lists(coordinates="a 10 12 8\na 10 twelve 8\n"),
    ),
    Case(
        "NaN for a coordinate", TRAIN, "coords.txt, line 2", "'nan'", "a finite number", "",
        lists(coordinates="a 10 nan 8\n"),
    ),
    Case(
        "missing column", TRAIN, "coords.txt, line 3", "3 values for 4 columns", "image_name x_coord y_coord z_coord",
        "Separate columns by tabs", lists(coordinates="a 10 12 8\na 10 12\n"),
    ),
    Case(
        "coordinate list without z", TRAIN, "coords.txt, line 1", "column z_coord is missing",
        "found 'image_name x_coord y_coord'", "Add the header line",
        both(lists(), text("coords.txt", "image_name x_coord y_coord\na 1 2\n")),
    ),
    Case(
        "labels of unknown tomograms only", TRAIN,
        "coords.txt", "labels of A, tomo, which the image list does not name", "image names such as a",
        "Use the same names in both lists", lists(coordinates="A 1 2 3\ntomo 1 2 3\n"),
    ),
]  # fmt: skip

TOMOGRAMS = [
    Case(
        "no such tomogram", f"{INFER} gone.mrc", "gone.mrc", "no such file", "a tomogram", "Check the path", model(),
    ),
    Case(
        "folder as a tomogram", f"{INFER} data", "data", "is a folder", "tomograms", "Give data/*.mrc",
        picking(volume("data/a.mrc")),
    ),
    Case(
        "truncated MRC", f"{INFER} a.mrc",
        "a.mrc", "the file has 16384 bytes", "33792 for the 32 x 32 x 16 voxels", "copy it again",
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:16384])),
    ),
    Case(
        "MRC cut inside its header", f"{INFER} a.mrc",
        "a.mrc", "the file ends after 512 bytes", "an MRC header of 1024 bytes", MRC,
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:512])),
    ),
    Case(
        "truncated gz", f"{INFER} a.mrc.gz", "a.mrc.gz", "cannot be unpacked", "", "copy it again",
        picking(volume("a.mrc"), lambda folder: void((folder / "a.mrc.gz").write_bytes(
            gzip.compress((folder / "a.mrc").read_bytes())[:9999]))),
    ),
    Case(
        "not an MRC", f"{INFER} a.mrc", "a.mrc", "no MRC header", "an MRC file of mode 0, 1, 2, 6 or 12", MRC,
        picking(text("a.mrc", "Dear diary, " * 200)),
    ),
    Case(
        "complex numbers", f"{INFER} a.mrc", "a.mrc", "mode 4 (complex float32) has no grey levels",
        "mode 0, 1, 2, 6 or 12", "newstack -mode 1",
        picking(volume("a.mrc"), edited("a.mrc", lambda data: data[:12] + struct.pack("<i", 4) + data[16:])),
    ),
    Case(
        "absurd size", f"{INFER} a.mrc",
        "a.mrc", "the file has 33792 bytes", "voxels its header claims", "truncated or its header is wrong",
        picking(claims(2**24 - 1, 2**24 - 1, 2**24 - 1)), frugal=True,
    ),
    Case(
        "size of thousands of bytes more", f"{INFER} a.mrc",
        "a.mrc", "the file has 33792 bytes", "8389632 for the 2048 x 2048 x 1 voxels", "truncated or",
        picking(claims(2048, 2048, 1)), frugal=True,
    ),
    Case(
        "negative size", f"{INFER} a.mrc", "a.mrc", "no MRC header (mode 1, sizes -5 x 32 x 16)", "positive sizes", MRC,
        picking(claims(-5, 32, 16)),
    ),
    Case(
        "3 x 3 x 3 volume", f"{INFER} a.mrc", "a.mrc", "the volume has 3 x 3 x 3 voxels", "at least 8 along every axis",
        "not an image or a crop", picking(volume("a.mrc", noise((3, 3, 3)))),
    ),
    Case(
        "cube", f"{INFER} a.mrc", "a.mrc", "the thickness cannot be told from the size 24 x 24 x 24",
        "an axis clearly thinner", "Give --order xyz", picking(volume("a.mrc", noise((24, 24, 24)))),
    ),
    Case(
        "every tomogram bad", f"{INFER} a.mrc b.mrc", "", "none of the 2 tomograms can be read; the first: a.mrc",
        "", "", picking(text("a.mrc", "no"), text("b.mrc", "no")),
    ),
    Case(
        "NaN voxels when picking", f"{INFER} a.mrc", "picks", "every tomogram failed", "", "The lines above say why",
        picking(not_a_number("a.mrc")), code=3, leaves=failed_run,
        also="failed: a: a.mrc: NaN or infinite voxels near section 8; expected finite numbers. Replace them",
    ),
    Case(
        "NaN voxels when training", TRAIN, "a.mrc", "NaN or infinite voxels near section 8", "finite numbers",
        "Replace them", both(lists(), not_a_number("a.mrc")),
    ),
    Case(
        "constant volume when picking", f"{INFER} a.mrc", "picks", "every tomogram failed", "", "lines above",
        picking(volume("a.mrc", np.full((16, 32, 32), 7, np.int16))), code=3, leaves=failed_run,
        also="failed: a: a.mrc: all voxels are equal; expected a tomogram with contrast",
    ),
    Case(
        "constant volume when training", TRAIN, "a.mrc", "all voxels are equal", "a tomogram with contrast", "",
        both(lists(), volume("a.mrc", np.zeros((16, 32, 32), np.float32))),
    ),
    Case(
        "two tomograms of one name", f"{INFER} x/a.mrc y/a.rec",
        "", "two tomograms are called a: x/a.mrc and y/a.rec", "different names", "Name them in an image list",
        picking(volume("x/a.mrc"), volume("y/a.rec")),
    ),
    Case(
        "glob without a match", f"{INFER} 'data/*.mrc'", "data/*.mrc", "matches no file", "an image list", "",
        picking(text("data/a.txt", "")),
    ),
    Case("nothing to pick", INFER, "", "no tomogram given", "paths, globs or an image list", "--help", model()),
]  # fmt: skip

MODELS = [
    Case(
        "checkpoint for picking", "milopyp-infer a.mrc --model model.pth",
        "model.pth", "is a PyTorch checkpoint", "an ONNX file", "milopyp-export model.pth",
        both(volume("a.mrc"), text("model.pth", "")),
    ),
    Case(
        "no such model", "milopyp-infer a.mrc --model gone.onnx", "gone.onnx", "no such file",
        "a model made by milopyp-export", "", volume("a.mrc"),
    ),
    Case(
        "ONNX file of another program", f"{INFER} a.mrc", "toy.onnx", "the ONNX file has no milopyp recipe",
        "a file made by milopyp-export", "Export the checkpoint again",
        recipe_edited(lambda proto: proto.ClearField("metadata_props")),
    ),
    Case(
        "ONNX file with other inputs", f"{INFER} a.mrc",
        "toy.onnx", "inputs and outputs are called sections, levels, h", "sections, levels, heatmap",
        "Export the checkpoint again", recipe_edited(rename_output),
    ),
    Case(
        "text as a model", f"{INFER} a.mrc", "toy.onnx", "onnxruntime cannot read it", "made by milopyp-export", "",
        both(volume("a.mrc"), text("toy.onnx", "not a model\n")),
    ),
    Case(
        "ONNX file with a damaged recipe", f"{INFER} a.mrc", "toy.onnx", "onnxruntime cannot read it", "made by", "",
        picking(volume("a.mrc"), edited("toy.onnx", lambda data: data.replace(b"architecture", b"\xffrchitecture"))),
    ),
    Case(
        "ONNX file with damaged nodes", f"{INFER} a.mrc", "toy.onnx", "onnxruntime cannot read it", "made by", "",
        picking(volume("a.mrc"), edited("toy.onnx", lambda data: data.replace(b"Concat", b"Konkat"))),
    ),
    Case(
        "recipe of a newer milopyp", f"{INFER} a.mrc", "toy.onnx", "written by a newer milopyp", "schema 1 or older",
        "pip install -U milopyp",
        recipe_edited(lambda proto: setattr(recipe_in(proto), "value", '{"schema": 99}')),
    ),
    Case(
        "second graph cut short", f"{INFER} a.mrc", "toy.onnx", "its graph for chunks is damaged",
        "made by milopyp-export", "milopyp-export CHECKPOINT", recipe_edited(damage_chunks),
    ),
    Case(
        "recipe with a word for a number", f"{INFER} a.mrc", "toy.onnx", "the recipe's diameter is 'large'",
        "what milopyp writes there", "",
        recipe_edited(lambda proto: setattr(recipe_in(proto), "value", recipe_in(proto).value.replace(
            '"diameter": 10.0', '"diameter": "large"'))),
    ),
]  # fmt: skip

OPTIONS = [
    Case("threshold 7", f"{INFER} a.mrc --out-thresh 7", "--out-thresh", "7", "a score from 0 to 1, or auto", "",
         picking(volume("a.mrc"))),
    Case("threshold that is no number", f"{INFER} a.mrc --out-thresh nan", "--out-thresh", "nan", "0 to 1", "",
         picking(volume("a.mrc"))),
    Case("voxel size that is no number", f"{INFER} a.mrc --voxel-size nan", "--voxel-size", "not a finite number",
         build=picking(volume("a.mrc")), usage=True),
    Case("infinite voxel size", f"{INFER} a.mrc --voxel-size inf", "--voxel-size", "not a finite number",
         build=picking(volume("a.mrc")), usage=True),
    Case(
        "output folder below a file", f"{INFER} a.mrc --out notes.txt/picks", "notes.txt/picks", "cannot be written",
        "a writable folder", "Choose another output place", picking(volume("a.mrc"), text("notes.txt", "mine")),
    ),
    Case(
        "output folder with the tomograms", f"{INFER} data/a.mrc --out data", "data", "holds the tomogram a.mrc",
        "a folder of its own", "--out", picking(volume("data/a.mrc"), text("data/a.txt", "1 2 3\n")),
    ),
    Case("negative diameter", f"{TRAIN} --bbox -5", "--bbox", "-5", "a diameter of 2 to 1000 voxels", "", lists()),
    Case("diameter that is no number", f"{TRAIN} --bbox nan", "--bbox", "nan", "", "", lists()),
    Case("learning rate that is no number", f"{TRAIN} --lr nan", "--lr", "not a finite number", usage=True,
         build=lists()),
    Case("seed beyond 64 bits", f"{TRAIN} --seed {10**30}", "--seed", "is not in the range", build=lists(), usage=True),
    Case(
        "experiment outside its folder", f"{TRAIN} --exp-id ../../x", "--exp-id", "'../../x'",
        "a plain name without slashes", "", lists(),
    ),
    Case(
        "resuming what never began", f"{TRAIN} --resume", "exp/semi/default/model_last_contrastive.pth",
        "nothing to resume", "the checkpoint of an earlier run", "", lists(),
    ),
    Case("GPU that is a word", f"{TRAIN} --gpus first", "--gpus", "'first'", "a GPU number, -1 or auto", "", lists()),
    Case("GPU that is not there", f"{TRAIN} --gpus 999", "--gpus", "GPU 999 is not there", "PyTorch sees", "Give -1",
         lists()),
    Case("option without a value", TRAIN.replace("--bbox 10", ""), "", "Missing option '--bbox'", usage=True,
         build=lists()),
    Case("unknown order word", f"{INFER} a.mrc --order abc", "--order", "'abc' is not one of", usage=True,
         build=model()),
    Case("published window without --published", f"{INFER} a.mrc --nms 5", "--nms", "has no effect",
         "--nms beside --published only", "Give --published", picking(volume("a.mrc"))),
    Case("no margin without --published", f"{INFER} a.mrc --cutoff-z 0", "--cutoff-z", "has no effect",
         "beside --published only", "Give --published", picking(volume("a.mrc"))),
    Case("fibres without --published", f"{INFER} a.mrc --fiber --r2_cutoff 9", "--fiber, --r2-cutoff", "has no effect",
         "beside --published only", "Give --published", picking(volume("a.mrc"))),
    Case("fibre option on particles", f"{INFER} a.mrc --published --distance-cutoff 9", "--distance-cutoff",
         "has no effect on single particles", "--fiber", "", picking(volume("a.mrc"))),
    Case("even window", f"{INFER} a.mrc --published --nms 4", "--nms", "4", "an odd number", "",
         picking(volume("a.mrc"))),
    Case("convention of the published text", f"{INFER} a.mrc --published --coords voxel", "",
         "--coords voxel beside --published", "whole voxel indices x z y", "Leave --coords out",
         picking(volume("a.mrc"))),
    Case("distance between points of nothing", f"{INFER} a.mrc --published --fiber --distance-scale 0",
         "--distance-scale", "is not in the range", usage=True, build=picking(volume("a.mrc"))),
    Case("network that the model is not", f"{INFER} a.mrc --arch unet_5", "toy.onnx", "was trained with --arch unet3d",
         "the same, or nothing", "Leave --arch out", picking(volume("a.mrc")), also="line says --arch unet_5"),
    Case("filter that the model had not", f"{INFER} a.mrc --gauss 1.5", "toy.onnx", "was trained with --gauss",
         "the same, or nothing", "Leave --gauss out", picking(volume("a.mrc")), also="says --gauss 1.5"),
    Case("sections that the model paired", f"{INFER} a.mrc --no-compress", "toy.onnx", "was trained with --compress",
         "the same, or nothing", "Leave --no-compress out", picking(volume("a.mrc")), also="says --no-compress"),
    Case("kernel that the model has not", f"{INFER} a.mrc --last-k 3", "toy.onnx", "was trained with no --last-k",
         "the same, or nothing", "Leave --last-k out", picking(volume("a.mrc"))),
    Case("reduction that the model has not", f"{INFER} a.mrc --down-ratio 1", "toy.onnx",
         "was trained with --down-ratio 2", "the same, or nothing", "Leave --down-ratio out", picking(volume("a.mrc"))),
    Case("GPU beside the CPU", f"{INFER} a.mrc --gpus 0 --provider cpu", "--gpus", "'0' beside --provider cpu",
         "-1 (the CPU) or the number of one GPU", "Leave --gpus out", picking(volume("a.mrc"))),
    Case("word for a GPU when picking", f"{INFER} a.mrc --gpus all", "--gpus", "'all'", "-1 (the CPU) or the number",
         "", picking(volume("a.mrc"))),
    Case("memory that is no size", f"{INFER} a.mrc --memory plenty", "--memory", "'plenty'", "a size like 2GB", "",
         picking(volume("a.mrc"))),
    Case("less memory than the program takes", f"{INFER} a.mrc --memory 50MB", "--memory", "50MB", "more than 300 MB",
         "", picking(volume("a.mrc"))),
    Case("less memory than a tile takes", f"{INFER} a.mrc --memory 300050KB", "--memory", "300 MB", "at least", "",
         picking(volume("a.mrc", noise((32, 96, 96))))),
    Case("threshold of no run", "milopyp threshold picks --value 0.5", "picks", "holds no finished tomogram",
         "a folder written by milopyp-infer", "", text("picks/a.txt", "1 2 3\n")),
    Case("threshold of a damaged record", "milopyp threshold picks --value 0.5", "records/a.json",
         "is no record of a tomogram", "what milopyp-infer wrote", "Run milopyp-infer again",
         text("picks/records/a.json", "{")),
    Case("nothing for threshold to change", "milopyp threshold picks", "", "nothing to change", "--value, --count", "",
         text("picks/records/a.json", "{}")),
    Case("margin without a voxel size", f"{INFER} a.mrc --margin 100", "picks", "every tomogram failed", "", "",
         picking(volume("a.mrc")), code=3, leaves=failed_run, also="--margin: the voxel size is unknown"),
    Case("two output folders", f"{INFER} a.mrc --exp-id x --out-id y", "", "--out beside --exp-id and --out-id",
         "one place", "Leave --out or", picking(volume("a.mrc"))),
    Case("experiment without a folder", "milopyp-infer a.mrc --model toy.onnx --exp-id x", "--out-id", "is missing",
         "--exp-id and --out-id together", "", picking(volume("a.mrc"))),
    Case("outputs outside the experiment", "milopyp-infer a.mrc --model toy.onnx --exp-id x --out-id ../../y",
         "--out-id", "'../../y'", "a plain name without slashes", "", picking(volume("a.mrc"))),
    Case("test list that is not there", f"{INFER} --test_img_txt gone.txt", "gone.txt", "no such file", "a list at",
         "", model()),
    Case("export of another checkpoint", "milopyp-infer a.mrc --model toy.pth", "toy.onnx",
         "was made from another checkpoint", "the export of toy.pth", "milopyp-export --overwrite toy.pth",
         picking(volume("a.mrc"), text("toy.pth", "other weights"))),
]  # fmt: skip

TRAINING = [
    Case("validation images without coordinates", f"{TRAIN} --val-img-txt images.txt", "",
         "one validation list without the other", "--val-img-txt and --val-coord-txt together", "", lists()),
    Case("validation coordinates without images", f"{TRAIN} --val_coord_txt coords.txt", "",
         "one validation list without the other", "--val-img-txt and --val-coord-txt together", "", lists()),
    Case("validation labels outside", f"{TRAIN} --val-img-txt images.txt --val-coord-txt val.txt", "val.txt",
         "1 of 1 labels of a.mrc lie outside", "coordinates inside 32 x 32 x 16", "binning and order",
         both(lists(), text("val.txt", COORDINATES + "a 40 40 40\n"))),
    Case("fully labelled without validation", f"{TRAIN} --val-fully-labelled", "--val-fully-labelled",
         "no validation tomograms", "--val-img-txt as well", "", lists()),
    *(
        Case(f"{metric} without validation", f"{TRAIN} --metric {metric}", "--metric", "no validation tomograms",
             "--val-img-txt as well", "", lists())
        for metric in ("auprc", "f1", "labels", "loss")
    ),
    *(
        Case(f"{metric} on sparse labels", f"{TRAIN} --metric {metric} --val-img-txt images.txt --val-coord-txt "
             "coords.txt", "--metric", f"{metric} counts unlabelled particles as wrong picks",
             "--val-fully-labelled as well", "Use --metric labels", lists())
        for metric in ("auprc", "f1")
    ),
    Case("unknown figure", f"{TRAIN} --metric accuracy", "--metric", "'accuracy' is not one of", usage=True,
         build=lists()),
    Case("another down-sampling", f"{TRAIN} --down_ratio 3", "--down-ratio", "3", "2: both networks halve y and x", "",
         lists()),
    Case("another way of sampling", f"{TRAIN} --dataset full", "--dataset", "'full' is not 'semi'", usage=True,
         build=lists()),
    Case("another task", TRAIN.replace("milopyp-train", "milopyp-train exploration"), "", "'exploration' is not 'semi'",
         usage=True, build=lists()),
    Case("debug of another kind", f"{TRAIN} --debug 2", "--debug", "'2' is not one of '0', '4'", usage=True,
         build=lists()),
    Case("no picks at all", f"{TRAIN} --K 0", "--K", "0 is not in the range", usage=True, build=lists()),
    Case("option of the published method beside the default preset", f"{TRAIN} --preset default --tau 0.02", "",
         "--tau beside the other method", "--preset published, to which it belongs", "or leave it out", lists()),
    Case("detail of the published method without it", f"{TRAIN} --lr-step 5 --fiber", "",
         "--lr-step, --fiber beside the other method", "--preset published, to which they belong", "or leave them out",
         lists()),
    Case("default network beside an option of the published method", f"{TRAIN} --arch unet3d --contrastive", "",
         "--arch beside the other method", "--preset default", "or leave it out", lists()),
    Case("two losses at once", f"{TRAIN} --pn --ge", "", "--pn and --ge", "one of them", "", lists()),
    Case("several pairs per step", f"{TRAIN} --preset published --batch-size 4", "--batch-size", "4",
         "1: a batch of the published method is one pair", "", lists()),
    Case("prior that is certain", f"{TRAIN} --tau 1", "--tau", "is not in the range 0<x<1", usage=True, build=lists()),
    Case("temperature zero", f"{TRAIN} --temp 0", "--temp", "is not in the range x>0", usage=True, build=lists()),
    Case("words for epochs", f"{TRAIN} --lr-step 5,ten", "--lr-step", "'5,ten' is no list of epochs", usage=True,
         build=lists()),
    Case("even kernel", f"{TRAIN} --last-k 4", "--last-k", "4", "an odd number from 1 on", "",
         wide("a 36 36 7\na 40 30 6\n")),
    Case("volume too small for the published preset", f"{TRAIN} --preset published", "",
         "a volume of 8 sections of 32 x 32 voxels after pairing", "at least 6 sections of 68 x 68",
         "Check the axis order", lists(coordinates="a 10 12 8\na 12 9 7\n")),
    Case("one label for the published preset", f"{TRAIN} --preset published", "", "1 annotation", "at least two",
         "or use the default preset", wide("a 36 36 7\n")),
    Case("weights that are not there", f"{TRAIN} --load-model gone.pth", "gone.pth", "no such file",
         "a checkpoint (.pth)", "", lists()),
    Case("text as weights", f"{TRAIN} --load_model coords.txt", "coords.txt", "cannot be read as a checkpoint",
         "tensors and plain types", "Copy it again", lists()),
    Case("code in weights", f"{TRAIN} --load-model model.pth", "model.pth", "cannot be read as a checkpoint",
         "tensors and plain types", "files with code in them are never loaded", both(lists(), trapped)),
    Case("checkpoint of weights without weights", f"{TRAIN} --load-model model.pth", "model.pth", "has no state_dict",
         "a checkpoint", "", weights({"epoch": 3})),
    Case("numbers for names of weights", f"{TRAIN} --load-model model.pth", "model.pth", "does not fit the network",
         "entries of the network that --arch names", "", weights({"state_dict": {1: 2}})),
    Case("weights of a smaller network", f"{TRAIN} --load-model model.pth", "model.pth", "does not fit the network",
         "entries of the network that --arch names", "", both(lists(), checkpoint())),
    Case("resuming and beginning anew", f"{TRAIN} --resume --load-model model.pth", "", "--resume and --load-model",
         "one of them", "", both(lists(), begun())),
    Case("resuming a text", f"{TRAIN} --resume", "exp/semi/default/model_last_contrastive.pth",
         "cannot be read as a checkpoint", "tensors and plain types", "Copy it again",
         both(lists(), text("exp/semi/default/model_last_contrastive.pth", "hello\n"))),
    Case("resuming a run of another network", f"{TRAIN} --resume", "exp/semi/default/model_last_contrastive.pth",
         "is a run with other options", "the same --preset, --arch and --num-epochs as now", "opt.txt", begun()),
]  # fmt: skip

EXPORT = [
    Case("no such checkpoint", "milopyp-export model.pth", "model.pth", "no such file", "a checkpoint (.pth)"),
    Case(
        "text as a checkpoint", "milopyp-export model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types written by torch.save", "Copy it again", text("model.pth", "not a checkpoint\n"),
    ),
    Case(
        "empty file as a checkpoint", "milopyp-export model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types", "Copy it again", text("model.pth", ""),
    ),
    Case(
        "truncated checkpoint", "milopyp-export model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types", "Copy it again", both(checkpoint(), edited("model.pth", lambda data: data[:-3000])),
    ),
    Case(
        "checkpoint of another program", "milopyp-export model.pth", "model.pth", "is no checkpoint of milopyp",
        "format 'milopyp-checkpoint'", "Give a model_*.pth", checkpoint(format="other"),
    ),
    Case(
        "code in a pickle", "milopyp-export model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types", "files with code in them are never loaded", trapped,
    ),
    Case(
        "code in a torch archive", "milopyp-export model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types", "files with code in them are never loaded", trapped_archive,
    ),
    Case(
        "checkpoint of a newer milopyp", "milopyp-export model.pth", "model.pth", "checkpoint schema 99", "1 or older",
        "Update milopyp", checkpoint(schema=99),
    ),
    Case(
        "checkpoint without weights", "milopyp-export model.pth", "model.pth", "the checkpoint lacks 'state_dict'",
        "a complete checkpoint", "", checkpoint(state_dict=None),
    ),
    Case(
        "list of numbers for weights", "milopyp-export model.pth", "model.pth", "the checkpoint's state_dict is a list",
        "a complete checkpoint", "", checkpoint(state_dict=[1, 2, 3]),
    ),
    Case(
        "number for a recipe", "milopyp-export model.pth", "model.pth", "the checkpoint's recipe is a int",
        "a complete checkpoint", "", checkpoint(recipe=lambda recipe: 7),
    ),
    Case(
        "unknown architecture", "milopyp-export model.pth", "model.pth", "unknown architecture 'resnet'",
        "one of unet3d, unet_4, unet_5", "Update milopyp",
        checkpoint(recipe=lambda recipe: replace(recipe, architecture="resnet").to_json()),
    ),
    Case(
        "unknown parameter of the architecture", "milopyp-export model.pth", "model.pth",
        "unet3d with {'width': 3} cannot be built", "its recipe", "",
        checkpoint(recipe=lambda recipe: replace(recipe, architecture_options={"width": 3}).to_json()),
    ),
    Case(
        "weights of another network", "milopyp-export model.pth", "model.pth", "the weights do not fit unet3d",
        "the weights of the network its recipe names", "",
        checkpoint(recipe=lambda recipe: replace(recipe, architecture_options={"channels": 3, "levels": 2}).to_json()),
    ),
    Case(
        "export over a file", "milopyp-export model.pth -o mine.onnx", "mine.onnx", "exists already", "", "--overwrite",
        both(checkpoint(), text("mine.onnx", "precious")),
    ),
    Case(
        "export below a file", "milopyp-export model.pth -o notes.txt/a.onnx", "notes.txt", "cannot be written",
        "a writable folder", "Choose another", both(checkpoint(), text("notes.txt", "mine")),
    ),
    Case(
        "published checkpoint alone", "milopyp-export model.pth", "model.pth",
        "does not say how it was trained: --gauss, --compress, --order, --bbox unknown", "or the opt.txt",
        "Give --gauss SIGMA, --compress or --no-compress, --order WORD, --bbox DIAMETER as in its training",
        published(),
    ),
    Case(
        "published checkpoint without its diameter", "milopyp-export model.pth --gauss 0.8 --no-compress --order xyz",
        "model.pth", "--bbox unknown", "the options of its training", "Give --bbox DIAMETER", published(),
    ),
    Case(
        "published checkpoint with a missing entry", PUBLISHED, "model.pth", "its state_dict lacks hm.weight",
        "the 117 entries of unet_4", "as the published program wrote it", published(drop="hm.weight"),
    ),
    Case(
        "published checkpoint with an entry too many", PUBLISHED, "model.pth", "has unexpected wh.weight",
        "the 117 entries of unet_4", "as the published program wrote it", published(wh=(3,)),
    ),
    Case(
        "published checkpoint with a wrong shape", PUBLISHED, "model.pth", "hm.weight is 2 x 32",
        "1 x 32 x 3 x 1 x 1, as in unet_4", "", published(hm=(2, 32)),
    ),
    Case(
        "checkpoint of an unknown network", PUBLISHED, "model.pth", "entries of another network (layer.weight, ...)",
        "unet_4 or unet_5 of the published program", "", saved({"epoch": 1, "state_dict": {"layer.weight": None}}),
    ),
    Case(
        "dictionary that is no checkpoint", "milopyp-export model.pth", "model.pth", "is no checkpoint: it holds a, b",
        "one of milopyp-train, or one of the published program", "Give a model_*.pth", saved({"a": 1, "b": 2}),
    ),
    Case(
        "options against opt.txt", f"{PUBLISHED} --gauss 1.0", "opt.txt",
        "says --gauss 0.8, but the command line says --gauss 1", "the same, or nothing", "Leave --gauss out",
        both(published(), text("opt.txt", "==> Opt:\n  arch: unet_4\n  gauss: 0.8\n")),
    ),
    Case(
        "opt.txt with an unknown order word", "milopyp-export model.pth", "opt.txt", "order word 'up'",
        "one of xzy, zxy, xyz, yxz (published meaning)", "",
        both(published(), text("opt.txt", "==> Opt:\n  order: up\n")),
    ),
    Case(
        "options against our own checkpoint", "milopyp-export model.pth --bbox 12", "model.pth",
        "says --bbox 10, but the command line says --bbox 12", "the same, or nothing", "Leave --bbox out", checkpoint(),
    ),
    Case(
        "int8 without tomograms", "milopyp-export model.pth --precision int8", "--precision",
        "int8 needs tomograms to find its ranges on", "--calibration LIST", "Give the list of the training tomograms",
        checkpoint(),
    ),
    Case(
        "int8 for GPUs", "milopyp-export model.pth --precision int8 --for gpu --calibration images.txt", "--for",
        "int8 files are for CPUs", "--precision fp16 for GPUs", "", both(checkpoint(), lists()),
    ),
    Case(
        "calibration without int8", "milopyp-export model.pth --calibration images.txt", "--calibration",
        "has no effect on fp32", "--precision int8 as well", "", both(checkpoint(), lists()),
    ),
    Case(
        "list of a missing tomogram to verify on", "milopyp-export model.pth --verify-on images.txt",
        "images.txt, line 2", "there is no tomogram gone.mrc", "an existing file", "",
        both(checkpoint(), text("images.txt", IMAGES + "a gone.mrc\n")),
    ),
    Case("showing nothing", "milopyp show gone.onnx", "gone.onnx", "no such file", "a model made by milopyp-export"),
    Case("showing a text", "milopyp show a.onnx", "a.onnx", "onnxruntime cannot read it", "made by milopyp-export", "",
         text("a.onnx", "no model\n")),
    Case(
        "showing code in a pickle", "milopyp show model.pth", "model.pth", "cannot be read as a checkpoint",
        "tensors and plain types", "files with code in them are never loaded", trapped_archive,
    ),
]  # fmt: skip

PREPARE_AND_EVALUATE = [
    Case("no folder to prepare", PREPARE, "data", "is no folder", "a folder with tomograms"),
    Case("no tomograms to prepare", PREPARE, "data", "no file ends in .rec", "tomograms", "Give --ext",
         volume("data/a.mrc")),
    Case(
        "tomograms without picks", PREPARE, "data", "no tomogram has picks", "tomo_coord.txt, tomo.txt, tomo.mod",
        "Give --inference", volume("data/a.rec"), also="warning: a.rec has no picks (a_coord.txt, a.txt, a.mod)",
    ),
    Case(
        "picks in columns of another order", PREPARE, "data/a.txt", "2 of 2 labels of a.rec lie outside",
        "coordinates inside 32 x 32 x 16 voxels (order xyz)",
        "All of them fit when the columns are read as x z y or",
        both(volume("data/a.rec"), text("data/a.txt", "10.5 15.5 20\n12.5 3.5 30\n")),
    ),
    Case("picks outside in every order", PREPARE, "data/a.txt", "1 of 1 labels of a.rec lie outside", "", "binning",
         both(volume("data/a.rec"), text("data/a.txt", "10.5 100.5 4\n"))),
    Case("model drawn on the other order", PREPARE, "data/a.mod", "1 of 1 labels of a.rec lie outside", "",
         "All of them fit when the columns are read as x z y or", mod_outside),
    Case("text as a model of IMOD", PREPARE, "data/a.mod", "begins with b'object 1'", "a binary IMOD model",
         "Save it with 3dmod", both(volume("data/a.rec"), text("data/a.mod", "object 1 contour 1\n1 2 3\n"))),
    Case("model with a signalling NaN", PREPARE, "data/a.mod", "holds points that are not finite numbers", "",
         "Save it again", both(mod_outside, edited("data/a.mod", lambda data: data.replace(
             struct.pack(">f", 25.0), b"\x7f\x80\x00\x01")))),
    Case("words among picks", PREPARE, "data/a.txt, line 2", "'x'", "a finite number", "",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3\nx y z\n"))),
    Case("picks with a score", PREPARE, "data/a.txt, line 1", "4 columns", "3 numbers", "Is the last column a score?",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3 0.5\n"))),
    Case("lists outside the folder", f"{PREPARE[:-3]} ../run", "--out", "'../run'", "without '/'", "",
         both(volume("data/a.rec"), text("data/a.txt", "1 2 3\n"))),
    Case("folder that is no run", EVALUATE, "picks", "no *.candidates.csv in it", "a folder written by", "",
         both(text("picks/a.txt", "1 2 3\n"), text("coords.txt", COORDINATES + "a 1 2 3\n"))),
    Case("run that is not there", EVALUATE, "picks", "no such file or folder", "a run folder or NAME.candidates.csv"),
    Case("truth of other tomograms", EVALUATE, "coords.txt", "no tomogram of picks (a) is in the list",
         "the same names in both", "",
         both(candidates("x,y,z,score\n1,2,3,0.5\n"), text("coords.txt", COORDINATES + "b 1 2 3\n"))),
    Case("candidates without their header", EVALUATE, "picks/a.candidates.csv", "has no line 'x,y,z,score'",
         "a table written by milopyp-infer", "", candidates("1,2,3,0.5\n")),
    Case("candidates with a short line", EVALUATE, "picks/a.candidates.csv, line 3", "3 columns", "x,y,z,score", "",
         candidates("x,y,z,score\n1,2,3,0.5\n1,2,3\n")),
    Case("radius that is no number", f"{EVALUATE} --radius nan", "--radius", "not a finite number", usage=True,
         build=candidates("x,y,z,score\n")),
    Case("distance that is no number", f"{EVALUATE} --distance nan", "--distance", "not a finite number", usage=True,
         build=candidates("x,y,z,score\n")),
    Case("phantom without room", "milopyp phantom --out p --size 32,64,64 --diameter 18 --particles 90", "",
         "of 115 particles and distractors", "room for all without overlap", "Ask for fewer"),
    Case("phantom larger than memory", "milopyp phantom --out p --size 90000,90000,90000 --particles 0", "",
         "not enough memory", "", "Use smaller", code=3),
    Case("phantom of two sizes", "milopyp phantom --out p --size 32,64", "--size", "not three whole numbers",
         usage=True),
    Case("unknown command", "milopyp prepair", "", "No such command 'prepair'", usage=True),
]  # fmt: skip

CASES = [*LISTS, *LABELS, *TOMOGRAMS, *MODELS, *OPTIONS, *TRAINING, *EXPORT, *PREPARE_AND_EVALUATE]
