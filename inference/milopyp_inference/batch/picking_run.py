"""One call of picking: the model, the options, the folder, and what its records say so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_shared.atomic import make_folder, remove_leftovers
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import find_mask
from milopyp_shared.wording import counted

from ..engine.model import Model
from .dynamo_map import keep_numbers
from .outputs import OutputFiles
from .records import (
    RECORDS,
    SUMMARY,
    Failed,
    FileIdentity,
    Picked,
    PickOptions,
    RunSummary,
    TomogramRecord,
    load_record,
    read_record,
    record_path,
    write_summary,
)


@dataclass(frozen=True)
class PickingRun:
    """What one call works with.

    Attributes
    ----------
    numbers
        In Dynamo's tables, by path of the tomogram; empty where there are none.
    """

    model: Model
    options: PickOptions
    folder: Path
    console: Console
    numbers: Mapping[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Make the folder, and write what must be known before the first tomogram is.

        Raises
        ------
        InputError, FullDiskError
            The folder cannot be written.
        ContradictionError
            Another process has given the numbers to other tomograms meanwhile.
        """
        make_folder(self.folder / RECORDS)
        keep_numbers(self.folder, self.numbers)

    def record_path(self, image: ImageEntry) -> Path:
        """Where the record of a tomogram lies."""
        return record_path(self.folder, image.name)

    def files(self, image: ImageEntry) -> OutputFiles:
        """What is written for a tomogram."""
        return OutputFiles.of(self.folder, image.name, self.options.formats)

    def mask(self, image: ImageEntry) -> Path | None:
        """The mask of a tomogram, if it has one."""
        return None if self.options.mask is None else find_mask(Path(self.options.mask), image)

    def asked(self, image: ImageEntry) -> TomogramRecord:
        """What must be equal for an old record to count."""
        mask, identity = self.mask(image), FileIdentity.of(image.path)
        return TomogramRecord(
            name=image.name,
            input=identity,
            model_sha256=self.model.sha256,
            options=self.options,
            mask=None if mask is None else FileIdentity.of(mask),
            tomo_name=image.label,
            dynamo_tomogram=self.numbers.get(identity.path),
        )

    def has_these_options(self, image: ImageEntry, record: TomogramRecord) -> bool:
        """Whether a tomogram's record was written with this model and these options, under the name it has now."""
        ours = (self.model.sha256, self.options, image.label)
        return (record.model_sha256, record.options, record.tomo_name) == ours

    def failed(self, image: ImageEntry, why: object) -> Failed:
        """The record of a tomogram that cannot be picked."""
        return self.asked(image).failed(why, self.outputs_before(image))

    def finished(self, image: ImageEntry) -> Picked | None:
        """The record of an earlier run that still holds, else None."""
        record = read_record(self.record_path(image))
        if not isinstance(record, Picked) or not record.asks_the_same(self.asked(image)):
            return None
        return record if self.files(image).all_exist() and record.is_placed else None

    def outputs_before(self, image: ImageEntry) -> dict[str, str] | None:
        """`outputs.digests` that an earlier record has, whatever it was made with; None where nothing was written."""
        try:
            record = load_record(self.record_path(image))
        except InputError:
            return None
        return record.outputs if isinstance(record, Picked) else record.outputs or None


def summarise(run: PickingRun, images: Sequence[ImageEntry]) -> RunSummary:
    """What the records of a list say together, as far as they are of these options; also written as ``run.json``.

    Several processes may do so at the same time: each looks again after it has written, so that the last one to write
    has seen the others' records.
    """
    for _ in range(2):
        before = [FileIdentity.of(run.record_path(image)) for image in images]
        found = [(image, record) for image in images if (record := read_record(run.record_path(image)))]
        summary = _nothing_yet(run).with_records([own for image, own in found if run.has_these_options(image, own)])
        remove_leftovers(run.folder, SUMMARY, older_than=60.0)
        write_summary(run.folder, summary)
        if before == [FileIdentity.of(run.record_path(image)) for image in images]:
            break
    return summary


def _nothing_yet(run: PickingRun) -> RunSummary:
    recipe = run.model.recipe
    return RunSummary(
        model=str(run.model.path),
        model_sha256=run.model.sha256,
        diameter=recipe.diameter,
        suppression_distance=recipe.suppression_distance,
        options=run.options,
        calibration=recipe.calibration,
        suggested=recipe.threshold,
        done=0,
        failed={},
        picks=0,
        tomograms=(),
    )


def records_outside(run: PickingRun, images: Sequence[ImageEntry]) -> list[ImageEntry]:
    """Tomograms that have a record there and are not in a list: a worker knows a part only."""
    names = {image.name for image in images}
    paths = [path for path in sorted((run.folder / RECORDS).glob("*.json")) if path.stem not in names]
    records = [record for path in paths if (record := read_record(path))]
    return [ImageEntry(record.name, Path(record.input.path), record.tomo_name) for record in records]


def status_line(record: Picked | Failed) -> str:
    """What became of a tomogram, for people."""
    if isinstance(record, Failed):
        return f"FAILED: {record.error}"
    return f"(order {record.frame.order}): {counted(record.picks, 'pick')} in {record.seconds['total']:.1f} s"
