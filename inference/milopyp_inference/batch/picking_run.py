"""One call of picking: the model, the options, the folder, and what its records say so far."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from milopyp_shared.atomic import make_folder, remove_leftovers
from milopyp_shared.console import Console
from milopyp_shared.errors import InputError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.masks import find_mask
from milopyp_shared.recipe import Recipe
from milopyp_shared.status import StatusFile
from milopyp_shared.wording import counted

from ..engine.model import Model
from .chosen import cut_as, of_the_network
from .class_runs import refuse_other_classes, write_class_names
from .counting import Counting
from .dynamo_map import keep_numbers
from .identity import FileIdentity, absolute
from .outputs import OutputFiles
from .record_files import (
    RECORDS,
    SUMMARY,
    find_summary,
    load_record,
    read_record,
    record_path,
    write_record,
    write_summary,
)
from .records import Failed, Picked, PickOptions, RunSummary, TomogramRecord
from .stage import written_digests
from .states import Cut, Done, Pick, State, state_of


@dataclass(frozen=True)
class PickingRun:
    """What one call works with.

    Attributes
    ----------
    call, options
        What the command line says, and what counts: that, and what was chosen with ``milopyp threshold`` before.
    typed
        Names of the options of `call` that stand on the command line, as `chosen.as_chosen` takes them.
    named
        See `RunSummary`.
    kind
        The number of the class whose picks these are.
    others
        What the call works with for the other classes of the network, each with a folder of its own.
    numbers
        In Dynamo's tables, by path of the tomogram; empty where there are none.
    counting, status
        What is known of the tomograms while they are picked, and the file that says so.
    heat_map
        Kind of the heat maps, as `OutputFiles.of` takes it.
    """

    model: Model
    call: PickOptions
    options: PickOptions
    folder: Path
    console: Console
    typed: tuple[str, ...]
    numbers: Mapping[str, int]
    named: str
    heat_map: str | None = None
    kind: int = 0
    others: tuple[PickingRun, ...] = ()
    counting: Counting = field(default_factory=Counting)
    status: StatusFile = field(default_factory=StatusFile.none)

    @property
    def classes(self) -> tuple[PickingRun, ...]:
        """That of each class. The records of the first one are written last, and say that all is done."""
        return (self, *self.others)

    @property
    def recipe(self) -> Recipe:
        """What the model says of the class."""
        return self.model.recipe.classes[self.kind]

    def begin(self) -> None:
        """Make the folders, and write what must be known before the first tomogram is.

        Raises
        ------
        InputError, FullDiskError
            The folder cannot be written.
        ContradictionError
            It has runs of other classes, or another process has given the numbers to other tomograms meanwhile.
        """
        if self.others:
            make_folder(self.folder.parent)
            write_class_names(self.folder.parent, [one.recipe.particle for one in self.classes])
        else:
            refuse_other_classes(self.folder, [])
        for one in self.classes:
            make_folder(one.folder / RECORDS)
            keep_numbers(one.folder, one.numbers)

    def write(self, record: Picked | Failed) -> None:
        """Write the record of a tomogram, and count it; raises as `write_record`."""
        write_record(self.folder, record)
        self.counting.saw(record, kind=self.kind)

    def count(self, *records: Picked | Failed) -> None:
        """Count tomograms by records of the first class, and by what those of the others say of them."""
        self.counting.saw(*records)
        for one in self.others:
            found = [own for record in records if (own := read_record(record_path(one.folder, record.name)))]
            self.counting.saw(*found, kind=one.kind)

    def picks_in_words(self, name: str) -> str:
        """Of a tomogram that was counted: ``7 picks``, or of several classes ``7 ribosome, 2 proteasome``."""
        found = {one.recipe.particle: self.counting.picks(name, kind=one.kind) for one in self.classes}
        if not self.others:
            return counted(sum(found.values()), "pick")
        return ", ".join(f"{picks} {particle}" for particle, picks in found.items())

    def in_words(self, record: Picked | Failed) -> str:
        """What became of a tomogram that was counted, by its record of the first class."""
        if isinstance(record, Failed):
            return f"FAILED: {record.error}"
        return f"(order {record.frame.order}): {self.picks_in_words(record.name)} in {record.seconds['total']:.1f} s"

    def record_path(self, image: ImageEntry) -> Path:
        """Where the record of a tomogram lies."""
        return record_path(self.folder, image.name)

    def files(self, image: ImageEntry) -> OutputFiles:
        """What is written for a tomogram."""
        return OutputFiles.of(self.folder, image.name, self.options.formats, self.heat_map)

    def mask(self, image: ImageEntry) -> Path | None:
        """The mask of a tomogram, if it has one."""
        return None if self.options.mask is None else find_mask(Path(self.options.mask), image)

    def asked(self, image: ImageEntry, *, sampled: bool = False) -> TomogramRecord:
        """What is asked for; `sampled` reads the files as far as they are to be known wherever they lie later."""
        mask = self.mask(image)
        return TomogramRecord(
            name=image.name,
            input=FileIdentity.of(image.path, sampled=sampled),
            model=str(self.model.path),
            model_sha256=self.model.sha256,
            options=self.options,
            mask=None if mask is None else FileIdentity.of(mask, sampled=sampled, whole=True),
            called=image.label,
            tomo_name=image.label,
            dynamo_tomogram=self.number_of(image),
        )

    def number_of(self, image: ImageEntry) -> int | None:
        """Of a tomogram in Dynamo's tables; None where there are none."""
        return self.numbers.get(absolute(image.path))

    def is_of_this_call(self, record: TomogramRecord) -> bool:
        """Whether a record was written with this model and these options."""
        if record.model_sha256 != self.model.sha256 or of_the_network(record.options, self.options):
            return False
        return cut_as(record.options, self.options) == record.options

    def state(self, image: ImageEntry) -> State:
        """What is to be done with a tomogram, after what earlier calls have left of it: the most that a class asks."""
        states = [one.own_state(image) for one in self.classes]
        return next((state for kind in (Pick, Cut) for state in states if isinstance(state, kind)), states[0])

    def own_state(self, image: ImageEntry) -> State:
        """The same of this class."""
        path = self.record_path(image)
        record = read_record(path)
        if record is None:
            return Pick("its record is damaged" if path.exists() else "")
        return state_of(record, self.asked(image), image.path, self.mask(image), self.files(image))

    def failed(self, image: ImageEntry, why: object) -> Failed:
        """The record of a tomogram that cannot be picked."""
        return self.asked(image).failed(why, self.recorded_outputs(image))

    def fail(self, image: ImageEntry, why: object) -> None:
        """Write, for each class, that a tomogram cannot be picked; raises as `write_record`."""
        for one in reversed(self.classes):
            one.write(one.failed(image, why))

    def finished(self, image: ImageEntry) -> Picked | None:
        """The record of an earlier run that still holds, else None."""
        state = self.state(image)
        return state.record if isinstance(state, Done) else None

    def written(self, image: ImageEntry) -> dict[str, set[str]] | None:
        """Digests of the picks that earlier calls have written, as `keep_changed` takes them."""
        return written_digests(self._record(image), self.record_path(image))

    def given_up(self, image: ImageEntry) -> dict[str, set[str]] | None:
        """As `written`, of a tomogram that is picked anew: of what was mended only files are left, which is said."""
        record = self._record(image)
        if not (isinstance(record, Picked) and record.applied):
            return self.written(image)
        self.console.warn(
            f"{image.name} is picked anew, without what milopyp apply has changed ({record.applied.words})"
        )
        return {name: {digest} for name, digest in self.recorded_outputs(image).items()}

    def recorded_outputs(self, image: ImageEntry) -> dict[str, str]:
        """`outputs` of an earlier record, whatever it was made with; no file's digests where a person has mended."""
        record = self._record(image)
        if isinstance(record, Picked) and record.applied:
            return dict.fromkeys(record.outputs, "")
        return {} if record is None else record.outputs

    def _record(self, image: ImageEntry) -> Picked | Failed | None:
        """An earlier record, whatever it was made with."""
        try:
            return load_record(self.record_path(image))
        except InputError:
            return None


def summarise(run: PickingRun) -> RunSummary:
    """What all records of the folder say together, also written as ``run.json``.

    Several processes may do so at the same time: each looks again after it has written, so that the last one to write
    has seen the others' records.
    """
    for _ in range(2):
        before = stamps(run.folder)
        found = [record for name in sorted(before) if (record := read_record(record_path(run.folder, name)))]
        summary = _nothing_yet(run).with_records(found)
        remove_leftovers(run.folder, SUMMARY, older_than=60.0)
        write_summary(run.folder, summary)
        if before == stamps(run.folder):
            break
    return summary


def stamps(folder: Path) -> dict[str, int]:
    """Per tomogram of a run, what changes whenever its record is written."""
    with os.scandir(folder / RECORDS) as entries:
        return {
            entry.name.removesuffix(".json"): entry.stat().st_mtime_ns
            for entry in entries
            if entry.name.endswith(".json")
        }


def _options_of_now(run: PickingRun) -> PickOptions:
    """Those of the call, but for what `milopyp threshold` has chosen in the folder while it ran."""
    before = find_summary(run.folder)
    ours = (run.call, run.typed, run.model.sha256)
    if before is None or (before.call, before.typed, before.model_sha256) != ours:
        return run.options
    return before.options


def _nothing_yet(run: PickingRun) -> RunSummary:
    recipe = run.recipe
    return RunSummary(
        model=str(run.model.path),
        model_sha256=run.model.sha256,
        diameter=recipe.diameter,
        suppression_distance=run.options.selection.distance,
        call=run.call,
        typed=run.typed,
        options=_options_of_now(run),
        calibration=recipe.calibration,
        suggested=recipe.threshold,
        named=run.named,
        done=0,
        failed={},
        picks=0,
        tomograms=(),
    )
