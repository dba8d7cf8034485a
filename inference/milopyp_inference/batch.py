"""Many tomograms: one record each, written when its outputs are complete; a restart skips what is done."""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from milopyp_shared import axes, peaks
from milopyp_shared.atomic import make_folder, remove_leftovers, write_text
from milopyp_shared.console import Console
from milopyp_shared.errors import MilopypError
from milopyp_shared.formats.candidates import write_candidates
from milopyp_shared.formats.registry import about_axes
from milopyp_shared.grey import Contrast
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import find_mask, open_mask
from milopyp_shared.tiles import ahead
from milopyp_shared.tomogram import open_tomogram

from .claims import Claims
from .model import Model
from .outputs import OutputFiles, setting_of, write_heat_map, write_more, write_picks, write_published_picks
from .picking import Selection, choose, margin_in_voxels
from .pipeline import Prepared, Result, prepare, run_network
from .providers import nodes_per_provider
from .published import MARGIN, PublishedOptions, pick
from .published import ORDER as PUBLISHED_ORDER


@dataclass(frozen=True)
class PickOptions:
    """Options that change results; a tomogram picked with the same ones and the same model is not picked again.

    Attributes
    ----------
    selection
        Which candidates become picks; with `published` only its threshold counts.
    order, voxel_size, contrast
        As given: ``auto`` and None mean what the file and the recipe say.
    flips
        Mirrored copies to average over; None: the recipe's.
    rescale
        Resample tomograms of another voxel size to that of the training.
    with_score
        Scores as a fourth column of the text.
    coords
        ``model2point`` or ``voxel``: the convention of the text; not asked with `published`.
    formats
        Other formats that the picks are written in, too.
    mask
        Where picks may be; see `milopyp_shared.masks.find_mask`.
    published
        Decode and write as the published program does; None: as this one does.
    """

    selection: Selection
    order: str = axes.AUTO
    voxel_size: float | None = None
    contrast: Contrast | None = None
    flips: int | None = None
    rescale: bool = False
    with_score: bool = False
    coords: str = "model2point"
    formats: tuple[str, ...] = ()
    mask: str | None = None
    published: PublishedOptions | None = None


@dataclass(frozen=True)
class Run:
    """What one call works with."""

    model: Model
    options: PickOptions
    folder: Path
    console: Console

    def record_path(self, image: ImageEntry) -> Path:
        """Where the record of a tomogram lies."""
        return self.folder / "records" / f"{image.name}.json"

    def files(self, image: ImageEntry) -> OutputFiles:
        """What is written for a tomogram."""
        return OutputFiles.of(self.folder, image.name, self.options.formats)

    def identity(self, image: ImageEntry) -> dict[str, Any]:
        """What must be equal for an old record to count."""
        options = json.loads(json.dumps(asdict(self.options)))
        known = {"name": image.name, "input": _facts(image.path), "model_sha256": self.model.sha256, "options": options}
        mask = self.mask(image)
        return known if mask is None else known | {"mask": _facts(mask)}

    def mask(self, image: ImageEntry) -> Path | None:
        """The mask of a tomogram, if it has one."""
        return None if self.options.mask is None else find_mask(Path(self.options.mask), image.name)

    def finished(self, image: ImageEntry) -> dict[str, Any] | None:
        """The record of an earlier run that still holds, else None."""
        record = _read(self.record_path(image))
        if record.get("status") != "done":
            return None
        same = all(record.get(key) == value for key, value in self.identity(image).items())
        return record if same and self.files(image).all_exist() else None


def _facts(path: Path) -> dict[str, Any]:
    """What tells a file from another one of the same name."""
    try:
        facts = path.stat()
    except OSError:
        return {"path": str(path)}
    return {"path": str(path), "size": facts.st_size, "mtime_ns": facts.st_mtime_ns}


def pick_all(
    images: Sequence[ImageEntry], model: Model, options: PickOptions, folder: Path, console: Console, overwrite: bool
) -> dict[str, Any]:
    """Pick every tomogram; returns the run's summary, which is also written as ``run.json``.

    The next tomogram is read and prepared while the network works on this one. A tomogram that cannot be picked is
    reported and does not stop the others; one that another process is at is left to it.
    """
    run = Run(model, options, folder, console)
    make_folder(folder / "records")
    # The kernels are compiled, or read from where they are kept, while the network is busy.
    compiling = threading.Thread(target=peaks.warm_up, name="milopyp-compile", daemon=True)
    compiling.start()
    records: dict[str, dict[str, Any]] = {}
    if not overwrite:
        records = {image.name: record for image in images if (record := run.finished(image))}
    with console.progress("tomogram", len(images)) as progress, Claims(folder / "records") as claims:
        for name, record in records.items():
            claims.clear(name)
            progress.step(f"{name} is already done: {record['picks']} picks")
        waiting = [image for image in images if image.name not in records]
        for image, found in ahead(lambda image: _claim_and_prepare(run, image, claims, overwrite), waiting):
            if found is None:
                progress.step(f"{image.name} is left to the process that is at it")
                continue
            if isinstance(found, Prepared):
                found = _pick_one(run, image, found, progress.part)
            if not isinstance(found, Finished):
                write_text(run.record_path(image), json.dumps(found, indent=1) + "\n")
            claims.give_back(image.name)
            progress.step(f"{image.name} {_line(found)}")
    compiling.join()
    return _summary(run, images)


class Finished(dict[str, Any]):
    """A record that another process has written meanwhile."""


def _claim_and_prepare(
    run: Run, image: ImageEntry, claims: Claims, overwrite: bool
) -> Prepared | dict[str, Any] | None:
    """The prepared tomogram; its record when there is nothing to do for it any more; None when it is another's."""
    try:
        if not claims.take(image.name):
            return None
        if not overwrite and (record := run.finished(image)):
            return Finished(record)
        _remove_leftovers(run, image)
        tomogram = open_tomogram(image.path, run.options.order, run.options.voxel_size)
        margin_in_voxels(run.options.selection, tomogram.frame)  # known to be impossible before the work is done
        setting_of(run.files(image), tomogram.frame, image.name, run.model.recipe.diameter)
        mask = None if (path := run.mask(image)) is None else open_mask(path, tomogram)
        return prepare(tomogram, run.model.recipe, run.options.contrast, run.options.rescale, mask)
    except MilopypError as error:
        return _failed(run, image, error)


def _pick_one(run: Run, image: ImageEntry, prepared: Prepared, progress: Callable[[float], None]) -> dict[str, Any]:
    start = time.perf_counter()
    tomogram, model = prepared.tomogram, run.model
    try:
        warnings = _warn(image.name, prepared, run)
        result = run_network(prepared, model, run.options.flips, progress)
        written = time.perf_counter()
        picks = _write(run.files(image), image.name, result, prepared, run)
    except MilopypError as error:
        return _failed(run, image, error)
    end = time.perf_counter()
    seconds = result.seconds | {"write": end - written, "total": end - start + prepared.seconds}
    return run.identity(image) | {
        "status": "done",
        "shape_zyx": tomogram.shape,
        "frame": asdict(tomogram.frame),
        "diameter": model.recipe.diameter / prepared.scale,
        "suppression_distance": run.options.selection.distance / prepared.scale,
        "provider": model.provider,
        "operators": nodes_per_provider(model.session),
        "warnings": warnings,
        "candidates": len(result.candidates),
        "picks": picks,
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _failed(run: Run, image: ImageEntry, error: MilopypError) -> dict[str, Any]:
    return run.identity(image) | {"status": "failed", "error": str(error)}


def _write(files: OutputFiles, name: str, result: Result, prepared: Prepared, run: Run) -> int:
    """Write one tomogram's outputs; returns the number of picks."""
    recipe, options, frame, scale = run.model.recipe, run.options, prepared.tomogram.frame, prepared.scale
    write_candidates(files.candidates, result.candidates)
    if options.published is None:
        selection = replace(options.selection, distance=options.selection.distance / scale)
        picks = choose(result.candidates, selection, frame)
        z, y, x = recipe.voxel_per_output
        write_heat_map(files.heat, result.heat, frame, (z / scale, y / scale, x / scale))
        write_picks(
            files,
            picks,
            frame,
            recipe.diameter / 2 / scale,
            with_score=options.with_score,
            model2point=options.coords == "model2point",
        )
        write_more(files, picks, setting_of(files, frame, name, recipe.diameter / 2 / scale))
        return len(picks)
    xyz, score = pick(result.heat, options.published, options.selection.threshold, recipe.voxel_per_output)
    if prepared.mask is not None:
        kept = prepared.mask.keeps(xyz)
        xyz, score = xyz[kept], None if score is None else score[kept]
    write_heat_map(files.heat, result.heat, frame, recipe.voxel_per_output, PUBLISHED_ORDER)
    write_published_picks(files, xyz, score, frame, recipe.diameter / 2, with_score=options.with_score)
    return len(xyz)


def _summary(run: Run, images: Sequence[ImageEntry]) -> dict[str, Any]:
    """What all records say together; also written as ``run.json``."""
    records = [record for image in images if (record := _read(run.record_path(image)))]
    summary = {
        "model": str(run.model.path),
        "model_sha256": run.model.sha256,
        "diameter": run.model.recipe.diameter,
        "suppression_distance": run.model.recipe.suppression_distance,
        "options": asdict(run.options),
        "calibration": run.model.recipe.calibration and asdict(run.model.recipe.calibration),
        "done": sum(record["status"] == "done" for record in records),
        "failed": {record["name"]: record["error"] for record in records if record["status"] == "failed"},
        "picks": sum(record.get("picks", 0) for record in records),
        "tomograms": records,
    }
    remove_leftovers(run.folder, "run.json", older_than=60.0)
    write_text(run.folder / "run.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _remove_leftovers(run: Run, image: ImageEntry) -> None:
    """What a killed process has left of this tomogram, which is ours now."""
    record = run.record_path(image)
    for path in (*run.files(image).all, record, record.with_suffix(".claim")):
        remove_leftovers(path.parent, path.name)


def _read(path: Path) -> dict[str, Any]:
    """A record; nothing when it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _warn(name: str, prepared: Prepared, run: Run) -> list[str]:
    warnings, tomogram = [], prepared.tomogram
    if doubt := axes.doubt_about_order(tomogram.order, tomogram.stored.shape):
        warnings.append(f"{name}: {doubt}")
    trained = run.model.recipe.voxel_size
    if trained and tomogram.voxel_size and not run.options.rescale and abs(tomogram.voxel_size / trained - 1) > 0.05:
        warnings.append(
            f"{name}: W02 voxels of {tomogram.voxel_size:.3g} A, but the model was trained at {trained:.3g} A "
            "(--rescale resamples)"
        )
    if doubt := about_axes(run.options.formats, tomogram.order):
        warnings.append(f"{name}: W07 {doubt}")
    published = run.options.published
    if published and published.leaves_nothing(tomogram.shape, run.model.recipe.voxel_per_output):
        z, y, x = tomogram.shape
        warnings.append(
            f"{name}: W06 the published margins leave nothing of {x} x {y} x {z} voxels ({MARGIN} voxels at either "
            f"end of x and y, {published.cutoff_z} heat-map sections of z)"
        )
    for text in warnings:
        run.console.warn(text)
    return warnings


def _line(record: dict[str, Any]) -> str:
    if record["status"] == "failed":
        return f"FAILED: {record['error']}"
    if isinstance(record, Finished):
        return f"is already done: {record['picks']} picks"
    seconds, order = record["seconds"]["total"], record["frame"]["order"]
    return f"(order {order}): {record['picks']} picks in {seconds:.1f} s"
