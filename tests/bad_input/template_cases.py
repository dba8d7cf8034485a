"""Rows of the bad-input table: ``milopyp learn --template``."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from click import BadParameter, MissingParameter

from bad_input.builders import COORDINATES, IMAGES, Build, Case, both, density_map, edited, lists, text, void, volume
from bad_input.expected import INSIDE, MRC, SAME_SIZE, TOMOGRAM
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from toys import noise, write_tomogram

LEARN = "milopyp learn images.txt -o m.onnx --threads 1"
LABELS = "milopyp learn images.txt coords.txt --bbox 10 -o m.onnx"
TEMPLATE = f"{LEARN} --template map.mrc"
TRAIN = "milopyp-train --train-img-txt images.txt --exp-id t"
TRAINED = f"{TRAIN} --template map.mrc"
TILTED = f"{TEMPLATE} --tilt-axis y --tilt-range -60,60"
MAP = "the density of a particle in solvent"
WEDGE = "one about x or y, from which tilt axis and range are read"
RANGE = "the lower end first, from -80 to 80"
BLOCK = np.pad(np.ones((8, 8, 8), np.float32), 4)


def scene(density: Build | None = None) -> Build:
    """An image list, its tomogram with voxels of 10 Angstrom (and no missing wedge), and a map."""

    def tomogram(folder: Path) -> None:
        write_tomogram(folder / "a.mrc", noise(), voxel_size=10.0)

    return both(tomogram, text("images.txt", f"{IMAGES}a a.mrc\n"), density_map() if density is None else density)


def mapped(array: np.ndarray) -> Build:
    """The same with a map of this density, voxels of 8 Angstrom."""
    return scene(lambda folder: void(write_tomogram(folder / "map.mrc", array.astype(np.float32), voxel_size=8.0)))


def flat(folder: Path) -> None:
    """The map's voxels are half as long along z."""
    edited("map.mrc", lambda data: data[:48] + struct.pack("<f", 64.0) + data[52:])(folder)


CASES = [
    Case("learning from nothing", LEARN, MissingParameter, "COORDS", build=lists(), facts=("--template",)),
    Case("template that is not there", TEMPLATE, InputError, "map.mrc", TOMOGRAM, scene(lambda folder: None)),
    Case("template that is text", TEMPLATE, InputError, "map.mrc", MRC, scene(text("map.mrc", "ATOM 1\n" * 500))),
    Case("template without a voxel size", TEMPLATE, InputError, "map.mrc", "a map with one voxel size",
         scene(volume("map.mrc")), facts=("--map-voxel-size",)),
    Case("template with voxels half as long along z", TEMPLATE, ContradictionError, "map.mrc", SAME_SIZE,
         scene(both(density_map(), flat)), facts=("8 x 8 x 4 A", "--map-voxel-size")),
    Case("empty template", TEMPLATE, InputError, "map.mrc", MAP, mapped(0 * BLOCK), facts=("all voxels are 0",)),
    Case("constant template", TEMPLATE, InputError, "map.mrc", MAP, mapped(0 * BLOCK + 2), facts=("are 2",)),
    Case("template that is not finite", TEMPLATE, InputError, "map.mrc", "finite numbers",
         mapped(np.where(BLOCK > 0, np.nan, 0))),
    Case("inverted template", TEMPLATE, InputError, "map.mrc", "a map with protein positive", mapped(3 - 2 * BLOCK),
         facts=("2 below", "-1")),
    Case("stack of images as a template", TEMPLATE, InputError, "map.mrc",
         "a volume with solvent around the particle, and no stack of images", mapped(np.repeat(BLOCK[8:9], 16, axis=0)),
         facts=("other 14",)),
    Case("template larger than its tomogram", f"{TEMPLATE} --map-voxel-size 40", ContradictionError, "map.mrc",
         "at most 16, its thinnest axis", scene(), facts=("--map-voxel-size", "40 A", "10 A")),
    Case("template as thick as its tomogram", f"{TILTED} --map-voxel-size 11", UsageError, "--template",
         "tomograms that are clearly thicker than the particle", scene(), facts=("16 simulated sections",)),
    Case("template and a diameter larger than the tomogram", f"{TEMPLATE} --bbox 20", ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", scene()),
    Case("template for a tomogram without a voxel size", TEMPLATE, InputError, "a.mrc",
         "--voxel-size, or a header that says it", both(lists(), density_map())),
    Case("template for a tomogram without a wedge", TEMPLATE, InputError, "a.mrc", WEDGE, scene(),
         facts=("--tilt-axis", "--tilt-range")),
    Case("template for a tomogram without a wedge about a known axis", f"{TEMPLATE} --tilt-axis x", InputError, "a.mrc",
         WEDGE, scene()),
    Case("tilt range from high to low", f"{TEMPLATE} --tilt-range 60,-60", UsageError, "--tilt-range", RANGE, scene(),
         facts=("60 to -60",)),
    Case("tilt range to the horizon", f"{TEMPLATE} --tilt-range -90,90", UsageError, "--tilt-range", RANGE, scene()),
    *(
        Case(f"tilt range {words}", f"{TEMPLATE} --tilt-range {words}", BadParameter, "--tilt-range", build=scene())
        for words in ("60", "low,high")
    ),
    Case("tilt range that is no number", f"{TEMPLATE} --tilt-range nan,60", UsageError, "--tilt-range", RANGE, scene()),
    Case("tilt axis z", f"{TEMPLATE} --tilt-axis z", BadParameter, "--tilt-axis", build=scene()),
    Case("template without mass", f"{TEMPLATE} --mass 0", BadParameter, "--mass", build=scene()),
    Case("membrane above the particle", f"{TILTED} --membrane-z 12", UsageError, "--membrane-z",
         "a section below it: +z points out of the membrane", scene(), facts=("section 12", "7.5")),
    *(
        Case(f"{option} without a template", f"{LABELS} {option} {value}", UsageError, option, "--template beside it",
             lists())
        for option, value in (
            ("--map-voxel-size", 8), ("--mass", 300), ("--membrane-z", 2), ("--tilt-axis", "x"),
            ("--tilt-range", "-60,60"),
        )
    ),
    *(
        Case(f"{option} without labels", f"{TEMPLATE} {option} kept", UsageError, option, "COORDS beside it", scene())
        for option in ("--mask", "--keep-features")
    ),
    Case("training from nothing", TRAIN, MissingParameter, "--train-coord-txt", build=lists(), facts=("--template",)),
    Case("training without a diameter", f"{TRAIN} --train-coord-txt coords.txt", MissingParameter, "--bbox",
         build=lists(), facts=("--template",)),
    Case("template for training that is not there", TRAINED, InputError, "map.mrc", TOMOGRAM,
         scene(lambda folder: None)),
    Case("template for training with a tomogram without a wedge", TRAINED, InputError, "a.mrc", WEDGE, scene()),
    Case("template for training as thick as its tomogram", f"{TRAINED} --map-voxel-size 11 --tilt-axis y --tilt-range "
         "-60,60", UsageError, "--template", "tomograms that are clearly thicker than the particle", scene()),
    Case("template and validation tomograms", f"{TRAINED} --val-img-txt images.txt --val-coord-txt coords.txt",
         ContradictionError, "--val-img-txt", "one of them: with a template, a simulated tomogram judges",
         both(lists(), scene())),
    Case("template and complete validation tomograms", f"{TRAINED} --val-fully-labelled", ContradictionError,
         "--val-fully-labelled", "one of them: with a template, a simulated tomogram judges", scene()),
    *(
        Case(f"template beside {words}", f"{TRAINED} {words}", ContradictionError, "--template",
             "--preset pretrained, with whose network it was measured", scene())
        for words in ("--preset published", "--preset scratch", "--arch unet_4", "--tau 0.01")
    ),
    Case("mass without a template to train from", f"{TRAIN} --train-coord-txt coords.txt --bbox 10 --mass 300",
         UsageError, "--mass", "--template beside it", lists()),
    Case("mask without labels to train from", f"{TRAINED} --mask m.mrc", UsageError, "--mask",
         "--train-coord-txt beside it", scene()),
    *(
        Case(f"rejected places beside a template, {name}", f"{line} --rejected coords.txt", UsageError, "--rejected",
             "no --template beside it", both(lists(), scene()))
        for name, line in (
            ("learned", TILTED.replace("images.txt", "images.txt coords.txt")), ("learned without labels", TILTED),
            ("trained", f"{TRAINED} --train-coord-txt coords.txt"),
        )
    ),
    Case("template and labels outside", TILTED.replace("images.txt", "images.txt coords.txt"), ContradictionError,
         "coords.txt", INSIDE, both(scene(), text("coords.txt", f"{COORDINATES}a 40 40 40\n"))),
    Case("model in place of its template", f"{LEARN.replace('m.onnx', 'map.mrc')} --template map.mrc --overwrite",
         UsageError, "map.mrc", "another file to write to", scene()),
]  # fmt: skip
