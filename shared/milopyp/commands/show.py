"""``milopyp show``: what a model file says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from milopyp_shared.commandline import command
from milopyp_shared.errors import InputError, MissingDependency
from milopyp_shared.scale import describe_scale
from milopyp_shared.wording import counted

if TYPE_CHECKING:
    from milopyp_export.published_checkpoint import Partial
    from milopyp_shared.recipe import Recipe

CHECKPOINTS = (".pth", ".pt")
PRECISIONS = (0.5, 0.7, 0.8, 0.9, 0.95)
PAIRING = {
    "none": "sections as they are",
    "mean": "two sections averaged to one",
    "max": "the maximum of two sections",
}


@command("show", speaks=False)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The recipe, or run.json, as it stands in the file.")
@click.version_option(package_name="milopyp")
def show(file: Path, as_json: bool) -> None:
    """Print what a model is, or a run of picking.

    FILE is an ONNX file of milopyp-export, or a checkpoint (.pth; that needs PyTorch). Of a published checkpoint,
    what opt.txt beside it says is shown, too. Or FILE is a folder of milopyp-infer: its models, what was chosen since
    it was picked, what is doubtful.

    \b
    Examples:
      milopyp show ribosome.onnx
      milopyp show picks
    """
    from milopyp_shared.recipe import Recipe

    if file.is_dir():
        click.echo(_of_run(file, as_json))
        return
    if file.is_file() and file.suffix not in (*CHECKPOINTS, ".onnx"):
        raise InputError(
            "is no model", where=file, expected=f"a run folder, or a file .onnx or {', '.join(CHECKPOINTS)}",
            remedy="Picks are shown by milopyp report, of a run, and by 3dmod.",
        )  # fmt: skip
    found = _of_checkpoint(file) if file.suffix in CHECKPOINTS else _of_onnx(file)
    if isinstance(found, Recipe):
        click.echo(json.dumps(json.loads(found.to_json()), indent=1) if as_json else describe(found, file))
    else:
        click.echo(json.dumps(_facts(found), indent=1) if as_json else describe_partial(found, file))


def describe(recipe: Recipe, file: Path) -> str:
    """A recipe for people, one fact per line."""
    rows = [
        ("file", f"{file}, {file.stat().st_size / 2**20:.1f} MiB"),
        ("network", _network(recipe)),
        *_of_each("particles", recipe, _particles),
        ("grey levels", _grey_levels(recipe)),
        *_of_each("threshold", recipe, _threshold),
        *_of_each("expected", recipe, _expected),
        *_of_each("picking", recipe, _picking),
        ("tiles", _tiles(recipe)),
        *_of_each("trained on", recipe, _trained_on),
        ("made with", ", ".join(f"{name} {number}" for name, number in sorted(recipe.versions.items()))),
        ("checkpoint", _checkpoint(recipe)),
        ("comparison", "; ".join(_comparison(recipe.parity)) or "none: a checkpoint"),
    ]
    return "\n".join(f"{title:<12}{text}" for title, text in rows)


def _of_each(title: str, recipe: Recipe, tell: Callable[[Recipe], str]) -> list[tuple[str, str]]:
    """What is told of a class, for each of them."""
    return [(title, f"{one.particle}: {tell(one)}" if one.particle else tell(one)) for one in recipe.classes]


def describe_partial(partial: Partial, file: Path) -> str:
    """A published checkpoint whose training nothing tells, for people."""
    facts = _facts(partial)
    epoch = "" if partial.epoch is None else f", epoch {partial.epoch}"
    told = ", ".join(f"{name} {facts[name]}" for name in ("gauss", "compress", "order", "bbox") if name in facts)
    rows = [
        ("file", f"{file}, {file.stat().st_size / 2**20:.1f} MiB"),
        ("network", f"{partial.architecture} (last_k {partial.network.last_k}) of the published program{epoch}"),
        ("known", told or "nothing else: there is no opt.txt beside it"),
        ("unknown", f"{', '.join(partial.unknown)}; milopyp-export asks for them"),
    ]
    return "\n".join(f"{title:<12}{text}" for title, text in rows)


def _facts(partial: Partial) -> dict[str, object]:
    """What a published checkpoint and its opt.txt say, by name."""
    facts = {"architecture": partial.architecture, "last_k": partial.network.last_k, "epoch": partial.epoch}
    return {name: value for name, value in (facts | vars(partial.known)).items() if value is not None}


def _network(recipe: Recipe) -> str:
    options = ", ".join(f"{name} {value}" for name, value in sorted(recipe.architecture_options.items()))
    use = {"fp16": ", for GPUs", "bf16": " in OpenVINO, else fp32", "int8": ", for CPUs only"}.get(recipe.precision, "")
    named = f"{recipe.architecture} ({options})" if options else recipe.architecture
    return f"{named}, {recipe.preset} preset, {recipe.precision}{use}"


def _particles(recipe: Recipe) -> str:
    text = f"{recipe.contrast}, {recipe.diameter:g} voxels across"
    if recipe.voxel_size is None:
        return f"{text}; voxel size unknown"
    return f"{text}: {recipe.diameter * recipe.voxel_size:.4g} Angstrom at {recipe.voxel_size:.4g} per voxel"


def _grey_levels(recipe: Recipe) -> str:
    grey = recipe.grey
    sigma = " ".join(f"{value:g}" for value in grey.sigma)
    low, high = grey.limits
    stretch = ", lowest and highest level stretched to 0 and 1" if grey.stretch else ""
    z_scores = f"z-scores {low:g} to {high:g} by {grey.statistics}"
    return f"{PAIRING[grey.pairing]}; Gaussian filter {sigma} (z y x); {z_scores}{stretch}{_trained_levels(recipe)}"


def _trained_levels(recipe: Recipe) -> str:
    """How dark and bright the training tomograms were, if that is known."""
    if recipe.levels is None:
        return ""
    ends = f"{recipe.levels.lowest:.1f} and {recipe.levels.highest:+.1f}"
    return f"; in training 1 % of the voxels below and above {ends}"


def _threshold(recipe: Recipe) -> str:
    return f"{recipe.threshold.score:.3g} ({recipe.threshold.basis})"


def _expected(recipe: Recipe) -> str:
    expected = recipe.calibration
    if expected is None:
        return "not known: how many picks are right was not estimated"
    known = [(aim, expected.threshold_for(aim)) for aim in PRECISIONS]
    steps = ", ".join(f"{aim:.0%} above {score:.2f}" for aim, score in known if score is not None)
    return f"precision {steps}; about {counted(round(expected.particles), 'particle')} per training tomogram"


def _picking(recipe: Recipe) -> str:
    copies = {1: "one pass", 2: "mean over 2 mirrored copies", 4: "mean over 4 mirrored copies"}
    passes = copies.get(recipe.flips, f"mean over {recipe.flips} mirrored copies")
    factor = " ".join(f"{value:.4g}" for value in recipe.voxel_per_output)
    seen = "" if recipe.scale == 1.0 else f"tomograms are seen at {describe_scale(recipe.scale)}; "
    return (
        f"{seen}{passes}; picks at least {recipe.suppression_distance:.3g} voxels apart; {factor} voxels (z y x) per "
        "heat-map voxel"
    )


def _tiles(recipe: Recipe) -> str:
    parts = []
    for name in ("halo", "alignment", "stride"):
        parts.append(f"{name} {' '.join(map(str, getattr(recipe.geometry, name)))}")
    return f"{', '.join(parts)} (z y x)"


def _trained_on(recipe: Recipe) -> str:
    order = f"; file order {recipe.order}" if recipe.order else ""
    if not recipe.labels:
        return f"unknown tomograms{order}"
    each = ", ".join(f"{name} {count}" for name, count in recipe.labels.items())
    return (
        f"{counted(sum(recipe.labels.values()), 'label')} in {counted(len(recipe.labels), 'tomogram')} ({each}){order}"
    )


def _checkpoint(recipe: Recipe) -> str:
    if "head_max_difference" in recipe.parity:
        return "none: a head learned on the pre-trained network"
    return f"SHA-256 {recipe.checkpoint_sha256}" if recipe.checkpoint_sha256 else "this file"


def _comparison(figures: dict[str, float]) -> list[str]:
    """The export's figures; unknown ones of a newer version as they are."""
    left, parts = dict(figures), []
    if "max_difference" in left:
        shapes = counted(round(left.pop("shapes", 0)), "shape")
        text = f"differs from PyTorch by {left.pop('max_difference'):.2g} at most in {shapes}"
        parts.append(f"{text} (limit {left.pop('limit'):g})" if "limit" in left else text)
    if "head_max_difference" in left:
        parts.append(f"differs from its head by {left.pop('head_max_difference'):.2g} at most")
    if "fp32_max_difference" in left:
        parts.append(f"differed from PyTorch by {left.pop('fp32_max_difference'):.2g} at most before quantisation")
    if "tomograms" in left:
        tomograms = counted(round(left.pop("tomograms")), "tomogram")
        parts.append(
            f"on {tomograms} by {left.pop('tomogram_max_difference', 0.0):.2g} at most, "
            f"{left.pop('tomogram_mean_difference', 0.0):.2g} on average"
        )
    if "pick_agreement" in left:
        least = f", at least {left.pop('pick_agreement_limit'):.0%} wanted" if "pick_agreement_limit" in left else ""
        parts.append(f"{left.pop('pick_agreement'):.1%} of {counted(round(left.pop('picks', 0)), 'pick')} agree{least}")
    if "opset" in left:
        parts.append(f"operator set {left.pop('opset'):.0f}")
    if "reduced_range" in left:
        parts.append("weights of 7 bits" if left.pop("reduced_range") else "weights of 8 bits")
    return [*parts, *(f"{name} {value:g}" for name, value in sorted(left.items()))]


def _of_run(folder: Path, as_json: bool) -> str:
    """A run for people, or as it stands in its file; of several classes one after the other, or by class."""
    from milopyp_inference.batch.class_runs import class_folders
    from milopyp_inference.batch.record_files import SUMMARY, read_summary

    from .show_run import describe_run

    classes = class_folders(folder)
    if not as_json:
        runs = list(classes.values()) or [folder]
        return "\n\n".join(describe_run(read_summary(run), run) for run in runs)
    if not classes:
        read_summary(folder)  # refuses what is none
        return (folder / SUMMARY).read_text(encoding="utf-8")
    stored = {
        name: json.loads((run / SUMMARY).read_text(encoding="utf-8"))
        for name, run in classes.items()
        if read_summary(run)
    }
    return json.dumps(stored, indent=1)


def _of_onnx(file: Path) -> Recipe:
    from milopyp_inference.engine.model import read_recipe

    return read_recipe(file)


def _of_checkpoint(file: Path) -> Recipe | Partial:
    try:
        from milopyp_export.load import summarise
    except ImportError as error:
        raise MissingDependency(
            f"a checkpoint is read with {error.name}, which is not installed",
            where=file,
            remedy="Run: pip install 'milopyp[train]', or show the ONNX file made from it.",
        ) from error
    return summarise(file)
