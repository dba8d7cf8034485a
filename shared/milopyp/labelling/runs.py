"""What the buttons of the page run: the commands that a person could type in the folder of the labels."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from milopyp_inference.batch.class_runs import class_folders
from milopyp_inference.batch.reader import candidates_of, read_records
from milopyp_inference.batch.record_files import SUMMARY
from milopyp_inference.engine.model_file import read_model_file
from milopyp_shared.errors import MilopypError
from milopyp_shared.exporter import missing_package
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_shared.option_types import ByClass
from milopyp_shared.particles import Particle, refuse_unknown
from milopyp_shared.picks import Picks

from .files import ALL, COORDINATES, IMAGES, REJECTED
from .jobs import Line
from .setting import Setting
from .suggestions import LOWEST, MOST

Method = Literal["train", "learn"]
FEATURES = "features"
MODEL, PICKS = "label-", "picks-"  # beginnings of names
_OF_MODEL = "-picks"
_LONG = 10.0  # times what other commands take, to train a network
_MODULES = {
    "milopyp": "milopyp.cli",
    "milopyp-train": "milopyp_training.cli",
    "milopyp-export": "milopyp_export.cli",
    "milopyp-infer": "milopyp_inference.cli",
}


def methods() -> list[Method]:
    """How a model can be made here, the best first."""
    return ["learn"] if missing_package() else ["train", "learn"]


def free_name(out: Path, prefix: str, taken: Collection[str] = ()) -> str:
    """A name that nothing has yet, none that is `taken` either: results are never replaced."""
    number = 1
    while (
        f"{prefix}{number}" in taken
        or any(out.glob(f"{prefix}{number}*"))
        or (out / "exp/semi" / f"{prefix}{number}").exists()
    ):
        number += 1
    return f"{prefix}{number}"


def models(out: Path) -> list[str]:
    """Those that were made in a folder, the last one last."""
    return sorted((path.stem for path in out.glob(f"{MODEL}*.onnx")), key=lambda name: (len(name), name))


def training(setting: Setting, name: str, method: Method, particles: Sequence[Particle], scale: float) -> list[Line]:
    """Commands that make a model of all labels, and pick the open tomograms with it.

    Parameters
    ----------
    particles
        The classes that have labels.
    scale
        At which the network sees the tomograms: features that are kept are of one.
    """
    lists, model = [IMAGES, COORDINATES], f"{name}.onnx"
    sizes = ByClass({one.name: f"{one.diameter:g}" for one in particles})
    more = ["--bbox", str(sizes), *setting.options(), "--contrast", setting.contrast]
    if _has_lines(setting.out / REJECTED):
        more = ["--rejected", REJECTED, *more]
    if method == "learn":
        kept = ["--keep-features", f"{FEATURES}/{scale:g}"]
        made = [["milopyp", "learn", *lists, "-o", model, *kept, *more]]
    else:
        labels = [word for pair in zip(("--train-img-txt", "--train-coord-txt"), lists, strict=True) for word in pair]
        made = [
            ["milopyp-train", *labels, "--exp-id", name, "--no-export", *more],
            ["milopyp-export", f"exp/semi/{name}/model_last_contrastive.pth", "-o", model],
        ]
    picking = ["milopyp-infer", ALL, "--model", model, "--out", f"{name}{_OF_MODEL}", *setting.options()]
    return [_line(words) for words in (*made, picking)]


def picking(
    setting: Setting, name: str, model: str, chosen: Sequence[str], scores: Mapping[str, float | None]
) -> list[Line]:
    """The command that picks some of the open tomograms, which a list names as they are called here.

    Parameters
    ----------
    scores
        Above which picks count, by class; None, or no such class: as the model suggests.
    """
    images = f"{name}.txt"
    entries = [ImageEntry(each, setting.tomograms[each].path) for each in chosen]
    write_image_list(setting.out / images, entries, absolute=True)
    above = _above(setting.out / f"{model}.onnx", scores)
    return [_line(["milopyp-infer", images, "--model", f"{model}.onnx", "--out", name, *above, *setting.options()])]


def _above(model: Path, scores: Mapping[str, float | None]) -> list[str]:
    """The option that says scores, of the classes that a model has."""
    names = _particles_of(model)
    first = dict(zip(names, scores.values(), strict=False)) if names == [""] else {}  # older than the classes' names
    said = {own: f"{score:g}" for own, score in (first or scores).items() if score is not None and own in names}
    return ["--out-thresh", str(ByClass(said))] if said else []


def _particles_of(model: Path) -> list[str]:
    """What a model calls its classes; one without a name where nobody knows."""
    try:
        return [one.particle for one in read_model_file(model).recipe.classes]
    except MilopypError:
        return [""]


@dataclass(frozen=True)
class Answer:
    """What a run has found of a class in a tomogram.

    Attributes
    ----------
    candidates
        Best first.
    score
        Above which they were picked.
    count
        How many were.
    """

    candidates: Picks
    score: float
    count: int


Answers: TypeAlias = dict[int, Answer]
"""By the number of the class."""


def sources(out: Path) -> list[str]:
    """Runs in a folder that can be looked at: of models on what was open when they were made, and others."""
    folders = [folder for pattern in ("label-*-picks", "picks-*") for folder in out.glob(pattern)]
    names = [folder.name for folder in folders if any(folder.glob(SUMMARY)) or any(folder.glob(f"*/{SUMMARY}"))]
    return sorted((name.removesuffix(_OF_MODEL) for name in names), key=lambda name: (len(name), name))


def answers(out: Path, name: str, particles: Sequence[str]) -> dict[str, Answers]:
    """What a source has found, by tomogram; `particles` are the names of the classes.

    Raises
    ------
    InputError
        Its run is gone, or damaged, or of a class that the page has not.
    """
    found: dict[str, Answers] = {}
    runs = _runs(out, name)
    if len(runs) > 1 or len(particles) > 1:
        refuse_unknown(filter(None, runs), particles, out / name)
    for particle, run in runs.items():
        species = particles.index(particle) if particle in particles else 0
        for record in read_records(run):
            score = record.options.selection.threshold
            candidates = candidates_of(run, record, min(LOWEST, score), max(MOST, record.picks))
            found.setdefault(record.name, {})[species] = Answer(candidates, score, record.picks)
    return found


def scores_of(out: Path, name: str) -> dict[str, float]:
    """Above which a source was picked, by class; raises as `answers`."""
    runs = _runs(out, name).items()
    return {particle: read_records(run)[0].options.selection.threshold for particle, run in runs}


def _runs(out: Path, name: str) -> dict[str, Path]:
    """The run of each class."""
    folder = out / (f"{name}{_OF_MODEL}" if name.startswith(MODEL) else name)
    if several := class_folders(folder):
        return several
    [record, *_] = read_records(folder)
    return {_particles_of(out / Path(record.model).name)[0]: folder}


def _line(words: list[str]) -> Line:
    part = _LONG if words[0] == "milopyp-train" else 1.0
    return Line([sys.executable, "-P", "-m", _MODULES[words[0]], *words[1:]], words, part)


def _has_lines(path: Path) -> bool:
    """Whether a list names anything below its titles."""
    return path.read_text(encoding="utf-8").count("\n") > 1
