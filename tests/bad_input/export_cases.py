"""Rows of the bad-input table: checkpoints, and ``milopyp-export``."""

from __future__ import annotations

from dataclasses import replace

from bad_input.builders import (
    IMAGES,
    PUBLISHED,
    Case,
    both,
    checkpoint,
    edited,
    lists,
    published,
    saved,
    text,
    trapped,
    trapped_archive,
)

CASES = [
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
