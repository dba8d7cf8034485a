"""What is known of every tomogram of a run: what was asked, what was done, and all of it together."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from milopyp_shared import axes
from milopyp_shared.atomic import remove_leftovers, write_text
from milopyp_shared.console import Console
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import find_mask
from milopyp_shared.preprocessing import Contrast

from ..decode.published import PublishedOptions
from ..decode.select import Selection
from ..engine.model import Model
from .outputs import OutputFiles


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
class PickingRun:
    """What one call works with."""

    model: Model
    options: PickOptions
    folder: Path
    console: Console

    @cached_property
    def stated_options(self) -> Any:
        """The options as records hold them."""
        return json.loads(json.dumps(asdict(self.options)))

    def record_path(self, image: ImageEntry) -> Path:
        """Where the record of a tomogram lies."""
        return self.folder / "records" / f"{image.name}.json"

    def files(self, image: ImageEntry) -> OutputFiles:
        """What is written for a tomogram."""
        return OutputFiles.of(self.folder, image.name, self.options.formats)

    def identity(self, image: ImageEntry) -> dict[str, Any]:
        """What must be equal for an old record to count."""
        mask = self.mask(image)
        return {
            "name": image.name,
            "input": file_identity(image.path),
            "model_sha256": self.model.sha256,
            "options": self.stated_options,
            "mask": None if mask is None else file_identity(mask),
        }

    def mask(self, image: ImageEntry) -> Path | None:
        """The mask of a tomogram, if it has one."""
        return None if self.options.mask is None else find_mask(Path(self.options.mask), image)

    def has_these_options(self, record: Mapping[str, Any]) -> bool:
        """Whether a record was written with this model and these options."""
        return record.get("model_sha256") == self.model.sha256 and record.get("options") == self.stated_options

    def failure(self, image: ImageEntry, why: object) -> dict[str, Any]:
        """The record of a tomogram that cannot be picked."""
        return self.identity(image) | {"status": "failed", "error": str(why)}

    def finished(self, image: ImageEntry) -> dict[str, Any] | None:
        """The record of an earlier run that still holds, else None."""
        record = read_record(self.record_path(image))
        if record.get("status") != "done":
            return None
        same = all(record.get(key) == value for key, value in self.identity(image).items())
        return record if same and self.files(image).all_exist() else None


def file_identity(path: Path) -> dict[str, Any]:
    """What tells a file from another one, however its path was given."""
    known = {"path": os.path.abspath(path)}  # noqa: PTH100 - links stay as they are
    try:
        facts = path.stat()
    except OSError:
        return known
    return known | {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns}


class Finished(dict[str, Any]):
    """A record that another process has written meanwhile."""


def read_record(path: Path) -> dict[str, Any]:
    """A record; nothing when it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def summarise(run: PickingRun, images: Sequence[ImageEntry]) -> dict[str, Any]:
    """What the records of a list say together, as far as they are of these options; also written as ``run.json``.

    Several processes may do so at the same time: each looks again after it has written, so that the last one to write
    has seen the others' records.
    """
    for _ in range(2):
        before = [file_identity(run.record_path(image)) for image in images]
        records = [record for image in images if (record := read_record(run.record_path(image)))]
        summary = _summary(run, [record for record in records if run.has_these_options(record)])
        remove_leftovers(run.folder, "run.json", older_than=60.0)
        write_text(run.folder / "run.json", json.dumps(summary, indent=1) + "\n")
        if before == [file_identity(run.record_path(image)) for image in images]:
            break
    return summary


def _summary(run: PickingRun, records: list[dict[str, Any]]) -> dict[str, Any]:
    recipe = run.model.recipe
    return {
        "model": str(run.model.path),
        "model_sha256": run.model.sha256,
        "diameter": recipe.diameter,
        "suppression_distance": recipe.suppression_distance,
        "options": asdict(run.options),
        "calibration": recipe.calibration and asdict(recipe.calibration),
        "done": sum(record["status"] == "done" for record in records),
        "failed": {record["name"]: record["error"] for record in records if record["status"] == "failed"},
        "picks": sum(record.get("picks", 0) for record in records),
        "tomograms": records,
    }


def records_outside(run: PickingRun, images: Sequence[ImageEntry]) -> list[ImageEntry]:
    """Tomograms that have a record there and are not in a list: who is led knows a part only."""
    names = {image.name for image in images}
    records = [read_record(path) for path in sorted((run.folder / "records").glob("*.json")) if path.stem not in names]
    return [ImageEntry(record["name"], Path(record["input"]["path"])) for record in records if "input" in record]


def status_line(record: dict[str, Any]) -> str:
    """What became of a tomogram, for people."""
    if record["status"] == "failed":
        return f"FAILED: {record['error']}"
    if isinstance(record, Finished):
        return f"is already done: {record['picks']} picks"
    seconds, order = record["seconds"]["total"], record["frame"]["order"]
    return f"(order {order}): {record['picks']} picks in {seconds:.1f} s"
