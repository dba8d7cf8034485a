"""Many tomograms: one record each, written when its outputs are complete; a restart skips what is done."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from milopyp_shared import axes
from milopyp_shared.atomic import make_folder, remove_leftovers, write_text
from milopyp_shared.console import Console
from milopyp_shared.errors import MilopypError
from milopyp_shared.grey import Contrast
from milopyp_shared.lists import ImageEntry
from milopyp_shared.peaks import select, suppress
from milopyp_shared.tomogram import Tomogram, open_tomogram

from .outputs import OutputFiles, write_candidates, write_heat_map, write_picks, write_published_picks
from .pipeline import Result, run_network
from .providers import Model
from .published import MARGIN, PublishedOptions, pick
from .published import ORDER as PUBLISHED_ORDER


@dataclass(frozen=True)
class PickOptions:
    """Options that change results; a tomogram picked with the same ones and the same model is not picked again.

    Attributes
    ----------
    threshold
        Picks score above this.
    limit
        Picks per tomogram at most; None for no limit. Not asked with `published`, which has its own.
    order, voxel_size, contrast
        As given: ``auto`` and None mean what the file and the recipe say.
    flips
        Mirrored copies to average over; None: the recipe's.
    with_score
        Scores as a fourth column of the text.
    coords
        ``model2point`` or ``voxel``: the convention of the text; not asked with `published`.
    published
        Decode and write as the published program does; None: as this one does.
    """

    threshold: float
    limit: int | None = None
    order: str = axes.AUTO
    voxel_size: float | None = None
    contrast: Contrast | None = None
    flips: int | None = None
    with_score: bool = False
    coords: str = "model2point"
    published: PublishedOptions | None = None


def pick_all(
    images: Sequence[ImageEntry], model: Model, options: PickOptions, folder: Path, console: Console, overwrite: bool
) -> dict[str, Any]:
    """Pick every tomogram; returns the run's summary, which is also written as ``run.json``.

    A tomogram that cannot be picked is reported and does not stop the others.
    """
    make_folder(folder / "records")
    remove_leftovers(folder)
    remove_leftovers(folder / "records")
    records = []
    with console.progress("tomogram", len(images)) as progress:
        for image in images:
            record_path = folder / "records" / f"{image.name}.json"
            record = None if overwrite else _finished(record_path, image, model, options, folder)
            if record is not None:
                progress.step(f"{image.name} is already done: {record['picks']} picks")
            else:
                record = _pick_one(image, model, options, folder, console)
                write_text(record_path, json.dumps(record, indent=1) + "\n")
                progress.step(f"{image.name} {_line(record)}")
            records.append(record)
    summary = {
        "model": str(model.path),
        "model_sha256": model.sha256,
        "diameter": model.recipe.diameter,
        "suppression_distance": model.recipe.suppression_distance,
        "options": asdict(options),
        "done": sum(record["status"] == "done" for record in records),
        "failed": {record["name"]: record["error"] for record in records if record["status"] == "failed"},
        "picks": sum(record.get("picks", 0) for record in records),
        "tomograms": records,
    }
    write_text(folder / "run.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _pick_one(image: ImageEntry, model: Model, options: PickOptions, folder: Path, console: Console) -> dict[str, Any]:
    start = time.perf_counter()
    record: dict[str, Any] = _identity(image, model, options)
    try:
        tomogram = open_tomogram(image.path, options.order, options.voxel_size)
        record |= {"order": tomogram.order, "shape_zyx": tomogram.shape, "voxel_size": tomogram.voxel_size}
        record["warnings"] = _warn(image.name, tomogram, model, options, console)
        result = run_network(tomogram, model, options.contrast, options.flips)
        written = time.perf_counter()
        picks = _write(OutputFiles.of(folder, image.name), result, tomogram, model, options)
    except MilopypError as error:
        return record | {"status": "failed", "error": str(error)}
    seconds = result.seconds | {"write": time.perf_counter() - written, "total": time.perf_counter() - start}
    return record | {
        "status": "done",
        "provider": model.provider,
        "candidates": len(result.candidates),
        "picks": picks,
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _write(files: OutputFiles, result: Result, tomogram: Tomogram, model: Model, options: PickOptions) -> int:
    """Write one tomogram's outputs; returns the number of picks."""
    recipe, published = model.recipe, options.published
    write_candidates(files.candidates, result.candidates)
    if published is None:
        picks = select(suppress(result.candidates, recipe.suppression_distance), options.threshold, options.limit)
        write_heat_map(files.heat, result.heat, tomogram, recipe.voxel_per_output)
        write_picks(
            files,
            picks,
            tomogram,
            recipe.diameter / 2,
            with_score=options.with_score,
            model2point=options.coords == "model2point",
        )
        return len(picks)
    xyz, score = pick(result.heat, published, options.threshold, recipe.voxel_per_output)
    write_heat_map(files.heat, result.heat, tomogram, recipe.voxel_per_output, PUBLISHED_ORDER)
    write_published_picks(files, xyz, score, tomogram, recipe.diameter / 2, with_score=options.with_score)
    return len(xyz)


def _identity(image: ImageEntry, model: Model, options: PickOptions) -> dict[str, Any]:
    """What must be equal for an old record to count."""
    try:
        facts = image.path.stat()
        source = {"path": str(image.path), "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    except OSError:
        source = {"path": str(image.path)}
    return {"name": image.name, "input": source, "model_sha256": model.sha256, "options": asdict(options)}


def _finished(path: Path, image: ImageEntry, model: Model, options: PickOptions, folder: Path) -> dict[str, Any] | None:
    """The record of an earlier run that still holds, else None."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("status") != "done":
        return None
    same = all(record.get(key) == value for key, value in _identity(image, model, options).items())
    return record if same and OutputFiles.of(folder, image.name).all_exist() else None


def _warn(name: str, tomogram: Tomogram, model: Model, options: PickOptions, console: Console) -> list[str]:
    warnings = []
    if doubt := axes.doubt_about_order(tomogram.order, tomogram.stored.shape):
        warnings.append(f"{name}: {doubt}")
    trained = model.recipe.voxel_size
    if trained and tomogram.voxel_size and abs(tomogram.voxel_size / trained - 1) > 0.05:
        warnings.append(
            f"{name}: W02 voxels of {tomogram.voxel_size:.3g} A, but the model was trained at {trained:.3g} A"
        )
    published = options.published
    if published and published.leaves_nothing(tomogram.shape, model.recipe.voxel_per_output):
        z, y, x = tomogram.shape
        warnings.append(
            f"{name}: W06 the published margins leave nothing of {x} x {y} x {z} voxels ({MARGIN} voxels at either "
            f"end of x and y, {published.cutoff_z} heat-map sections of z)"
        )
    for text in warnings:
        console.warn(text)
    return warnings


def _line(record: dict[str, Any]) -> str:
    if record["status"] == "failed":
        return f"FAILED: {record['error']}"
    return f"(order {record['order']}): {record['picks']} picks in {record['seconds']['total']:.1f} s"
