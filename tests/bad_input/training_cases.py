"""Rows of the bad-input table: ``milopyp-train``."""

from __future__ import annotations

import numpy as np
from click import BadParameter, MissingParameter

from bad_input.builders import (
    COORDINATES,
    TRAIN,
    Case,
    begun,
    both,
    checkpoint,
    description_edited,
    lists,
    pretrained,
    text,
    trapped,
    volume,
    weights,
    wide,
)
from bad_input.expected import CHECKPOINT, INSIDE, MASK, TENSORS, VALIDATION
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from milopyp_shared.typed_json import OURS

CORNER = np.pad(np.ones((4, 4, 4), np.int8), ((0, 12), (0, 28), (0, 28)))  # a mask that leaves next to nothing

CASES = [
    Case("published method, quickly", f"{TRAIN} --quick --preset published", ContradictionError, "--quick",
         "--preset pretrained, to which it belongs", lists()),
    Case("mask for training that is not there", f"{TRAIN} --mask gone.mrc", InputError, "gone.mrc", MASK, lists()),
    Case("mask that leaves no label", f"{TRAIN} --mask m.mrc", InputError, "coords.txt",
         "at least one labelled tomogram", both(lists(), volume("m.mrc", CORNER))),
    Case("negative diameter", f"{TRAIN} --bbox -5", UsageError, "--bbox", "a diameter of 2 to 1000 voxels", lists()),
    *(
        Case(f"diameter {word}", f"{TRAIN} --bbox {word}", BadParameter, "--bbox", build=lists(), facts=(f"'{word}'",))
        for word in ("nan", "nanA", "21B", "A")
    ),
    Case("particle of three voxels for the pre-trained network", f"{TRAIN} --preset pretrained --bbox 3", UsageError,
         "--bbox", "4 to 176: the pre-trained network knows 8 to 22, and sees tomograms at 0.125 to 2 times their size",
         lists(), facts=("--preset scratch",)),
    Case("no diameter in Angstrom", f"{TRAIN} --bbox 0A", BadParameter, "--bbox", build=lists()),
    Case("diameter in Angstrom without a voxel size", f"{TRAIN} --bbox 210A", UsageError, "--bbox",
         "--voxel-size, or a training tomogram whose header says it", lists(), facts=("210A",)),
    Case("diameter in Angstrom below two voxels", f"{TRAIN} --bbox 15A --voxel-size 10", UsageError, "--bbox",
         "a diameter of 2 to 1000 voxels", lists(), facts=("1.5 voxels",)),
    Case("particle larger than its tomogram", f"{TRAIN} --bbox 100", ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", lists()),
    Case("Angstrom for voxels", f"{TRAIN} --bbox 100 --voxel-size 10", ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", lists(), facts=("Did you mean 10?", "100A")),
    Case("Angstrom that are no slip", f"{TRAIN} --bbox 1000A --voxel-size 10", ContradictionError, "--bbox",
         "at most 16, the thinnest axis of a.mrc", lists(), facts=("--bbox: 100 voxels; expected",)),
    Case("learning rate that is no number", f"{TRAIN} --lr nan", BadParameter, "--lr", build=lists()),
    Case("seed beyond 64 bits", f"{TRAIN} --seed {10**30}", BadParameter, "--seed", build=lists()),
    Case("experiment outside its folder", f"{TRAIN} --exp-id ../../x", UsageError, "--exp-id",
         "a plain name without slashes", lists(), facts=("'../../x'",)),
    Case("GPU that is a word", f"{TRAIN} --gpus first", UsageError, "--gpus", "a GPU number, -1 or auto", lists(),
         facts=("'first'",)),
    Case("GPU that is not there", f"{TRAIN} --gpus 999", UsageError, "--gpus", "a GPU that PyTorch sees", lists()),
    Case("option without a value", TRAIN.replace("--bbox 10", ""), MissingParameter, "--bbox", build=lists(),
         facts=("'--bbox'",)),
    Case("validation images without coordinates", f"{TRAIN} --val-img-txt images.txt", UsageError, "--val-img-txt",
         "--val-img-txt and --val-coord-txt together, or neither", lists()),
    Case("validation coordinates without images", f"{TRAIN} --val_coord_txt coords.txt", UsageError, "--val-coord-txt",
         "--val-img-txt and --val-coord-txt together, or neither", lists()),
    Case("validation without a particle", f"{TRAIN} --val-img-txt images.txt --val-coord-txt val.txt", InputError,
         "val.txt", "at least one labelled tomogram",
         both(lists(), text("val.txt", COORDINATES + "a none none none\n"))),
    Case("validation labels outside", f"{TRAIN} --val-img-txt images.txt --val-coord-txt val.txt", ContradictionError,
         "val.txt", INSIDE, both(lists(), text("val.txt", COORDINATES + "a 40 40 40\n")), facts=("1 of 1 labels",)),
    Case("fully labelled without validation", f"{TRAIN} --val-fully-labelled", UsageError, "--val-fully-labelled",
         VALIDATION, lists()),
    *(
        Case(f"{metric} without validation", f"{TRAIN} --metric {metric}", UsageError, "--metric", VALIDATION, lists())
        for metric in ("auprc", "f1", "labels", "loss")
    ),
    *(
        Case(f"{metric} on sparse labels",
             f"{TRAIN} --metric {metric} --val-img-txt images.txt --val-coord-txt coords.txt", UsageError, "--metric",
             "--val-fully-labelled as well", lists(), facts=(metric, "--metric labels"))
        for metric in ("auprc", "f1")
    ),
    Case("unknown figure", f"{TRAIN} --metric accuracy", BadParameter, "--metric", build=lists(),
         facts=("'accuracy'",)),
    Case("another down-sampling", f"{TRAIN} --down_ratio 3", UsageError, "--down-ratio",
         "2, as the networks of the manual have it: what a network does is no option", lists()),
    Case("another way of sampling", f"{TRAIN} --dataset full", BadParameter, "--dataset", build=lists(),
         facts=("'full'", "'semi'")),
    Case("another task", TRAIN.replace("milopyp-train", "milopyp-train exploration"), BadParameter, "TASK",
         build=lists(), facts=("'exploration'", "'semi'")),
    Case("debug of another kind", f"{TRAIN} --debug 2", BadParameter, "--debug", build=lists(),
         facts=("'2'", "'0'", "'4'")),
    Case("no picks at all", f"{TRAIN} --K 0", BadParameter, "--K", build=lists()),
    Case("option of the published method beside the default preset", f"{TRAIN} --preset default --tau 0.02",
         ContradictionError, "--tau", "--preset published, to which it belongs", lists()),
    Case("detail of the published method without it", f"{TRAIN} --lr-step 5 --fiber", ContradictionError,
         "--lr-step, --fiber", "--preset published, to which they belong", lists()),
    Case("default network beside an option of the published method", f"{TRAIN} --arch unet3d --contrastive",
         ContradictionError, "--arch", "--preset pretrained, to which it belongs", lists()),
    Case("two losses at once", f"{TRAIN} --pn --ge", ContradictionError, "--pn and --ge",
         "one of them: each is a loss of its own", lists()),
    Case("several pairs per step", f"{TRAIN} --preset published --batch-size 4", UsageError, "--batch-size",
         "1: a batch of the published method is one pair of patches", lists()),
    Case("prior that is certain", f"{TRAIN} --tau 1", BadParameter, "--tau", build=lists()),
    Case("temperature zero", f"{TRAIN} --temp 0", BadParameter, "--temp", build=lists()),
    Case("words for epochs", f"{TRAIN} --lr-step 5,ten", BadParameter, "--lr-step", build=lists(), facts=("'5,ten'",)),
    Case("even kernel", f"{TRAIN} --last-k 4", UsageError, "--last-k",
         "an odd number from 1 on, 3 for published weights", wide("a 36 36 7\na 40 30 6\n")),
    Case("volume too small for the published preset", f"{TRAIN} --preset published", InputError, "a",
         "at least 6 sections of 68 x 68", lists(coordinates="a 10 12 8\na 12 9 7\n"), facts=("32 x 32 voxels",)),
    Case("one label for the published preset", f"{TRAIN} --preset published", InputError, "the training list",
         "at least two: patches are drawn in pairs", wide("a 36 36 7\n")),
    *(
        Case(f"pre-trained weights {what}", f"{TRAIN} --preset pretrained", InputError, f"pretrained/{file}", expected,
             pretrained(edit), shipped=True, facts=("pip install",))
        for what, file, expected, edit in (
            ("without a description", "features.json", "the description of the pre-trained weights",
             lambda folder: (folder / "features.json").unlink()),
            ("that are not there", "features.npz", "the pre-trained weights",
             lambda folder: (folder / "features.npz").unlink()),
            ("that were altered", "features.npz", f"the file with SHA-256 {'0' * 12}...",
             description_edited(sha256="0" * 64)),
            ("of a newer version", "features.json", "fields that this version knows", description_edited(colour=1)),
            ("of another architecture", "features.json", OURS, description_edited(architecture="unet9")),
            ("of another network", "features.npz", "those of this version",
             description_edited(options={"channels": 3, "features": 4, "levels": 3, "projected": 1, "coarse": 0})),
        )
    ),
    Case("weights that are not there", f"{TRAIN} --load-model gone.pth", InputError, "gone.pth", CHECKPOINT, lists()),
    Case("text as weights", f"{TRAIN} --load_model coords.txt", InputError, "coords.txt", TENSORS, lists()),
    Case("code in weights", f"{TRAIN} --load-model model.pth", InputError, "model.pth", TENSORS,
         both(lists(), trapped)),
    Case("checkpoint of weights without weights", f"{TRAIN} --load-model model.pth", InputError, "model.pth",
         "a checkpoint", weights({"epoch": 3})),
    Case("numbers for names of weights", f"{TRAIN} --load-model model.pth", InputError, "model.pth",
         "the 68 entries of the network that --preset and --arch name", weights({"state_dict": {1: 2}})),
    Case("weights of a smaller network", f"{TRAIN} --load-model model.pth", InputError, "model.pth",
         "the 68 entries of the network that --preset and --arch name", both(lists(), checkpoint())),
    Case("resuming a text", f"{TRAIN} --resume", InputError, "exp/semi/default/model_last_contrastive.pth", TENSORS,
         both(lists(), text("exp/semi/default/model_last_contrastive.pth", "hello\n"))),
    Case("resuming a run of another network", f"{TRAIN} --resume", InputError,
         "exp/semi/default/model_last_contrastive.pth", "the same ones, labels and tomograms as now", begun(),
         facts=("training_state_dict",)),
    Case("resuming with another diameter", f"{TRAIN} --resume", InputError,
         "exp/semi/default/model_last_contrastive.pth", "the same ones, labels and tomograms as now",
         begun(identity={"--bbox": "12"}), facts=("--bbox 12",)),
    Case("resuming a run of the first formula of grey levels", f"{TRAIN} --resume", InputError,
         "exp/semi/default/model_last_contrastive.pth", "by quantiles, as they are made now",
         begun(identity={"name": "default", "grey": "Preprocessing(pairing='mean', stretch=False)"}),
         facts=("by moments", "another --exp-id")),
]  # fmt: skip
