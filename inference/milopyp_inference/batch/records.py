"""What is written of every tomogram, and of a whole run; where that lies, and how it is read: `record_files`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from milopyp_shared import axes
from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.errors import InputError, MilopypError
from milopyp_shared.grey_statistics import Levels
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.tomogram import Frame, read_header

from ..decode.edits import NO_EDITS, Edits
from ..decode.published import PublishedOptions
from ..decode.select import Selection
from .identity import FileIdentity


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
    turn
        The picks are written as of the tomogram turned so; see `milopyp_shared.turns`.
    mask
        Where picks may be; see `milopyp_shared.masks.find_mask`.
    mask_distance
        Angstrom from the mask's surface, negative inside it, that picks may lie at instead; None: inside it.
    normals
        Whether picks are oriented along the surface's normals.
    precision
        Of the arithmetic, another one than the model file's; None: that.
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
    turn: str = axes.NO_TURN
    mask: str | None = None
    mask_distance: tuple[float, float] | None = None
    normals: bool = False
    precision: str | None = None
    published: PublishedOptions | None = None


@dataclass(frozen=True)
class Applied:
    """What ``milopyp apply`` has changed of a tomogram's picks.

    Attributes
    ----------
    file, when
        The list that said so, and the time in UTC, the same for all tomograms of one command.
    thresholds
        Of the tomogram, before and since.
    before
        What had been applied before, which ``--undo`` restores.
    """

    edits: Edits
    file: str
    when: str
    thresholds: tuple[float, float]
    before: Applied | UnsetType = UNSET

    @property
    def words(self) -> str:
        """How much, of which file and when, for people."""
        return f"{self.edits.words or 'the threshold'}, of {self.file}, {self.when[:16].replace('T', ' ')} UTC"


class TomogramRecord(Struct, frozen=True, kw_only=True):
    """What is asked of a tomogram; `Picked` and `Failed` add what became of it.

    Attributes
    ----------
    name
        Of the tomogram: its outputs are called after it.
    input, mask
        The files.
    model, model_sha256
        The model file.
    options
        That change results.
    called, tomo_name
        What the last call of ``milopyp-infer`` called it inside files that name their tomograms, and what it is called
        there now.
    dynamo_tomogram
        Its number in Dynamo's tables; None where there is no table.
    """

    name: str
    input: FileIdentity
    model: str
    model_sha256: str
    options: PickOptions
    mask: FileIdentity | None
    called: str
    tomo_name: str
    dynamo_tomogram: int | None

    def picked(self, **facts: Any) -> Picked:
        """The record of success; `facts` are the further fields of `Picked`."""
        return Picked(**msgspec.structs.asdict(self), **facts)

    def failed(self, error: object, outputs: Mapping[str, str] | None = None) -> Failed:
        """The record of failure; `outputs` as an earlier record has them."""
        return Failed(**msgspec.structs.asdict(self), error=str(error), outputs=dict(outputs or {}))


class Picked(TomogramRecord, frozen=True, kw_only=True, tag_field="status", tag="done"):
    """A tomogram whose outputs are complete.

    Attributes
    ----------
    shape_zyx, frame
        Of the tomogram.
    diameter, suppression_distance
        Of a particle, and below which the weaker of two candidates is dropped; voxels of the tomogram.
    provider, operators
        What the network ran on, and how many operators ran where.
    warnings
        That were said.
    levels
        How its grey levels are spread; runs of earlier versions do not say it.
    candidates, picks
        Numbers.
    seconds
        Per stage.
    peak_memory_mib
        Of the process, so far, with pages of temporary files (`scratch_array`), which the system can take back.
    outputs
        SHA-256 of each file of picks, by its name: one that differs was changed by a person.
    applied
        What was changed with ``milopyp apply``; the picks are those with these changes.
    """

    shape_zyx: tuple[int, int, int]
    frame: Frame
    diameter: Annotated[float, Meta(gt=0)]
    suppression_distance: Annotated[float, Meta(ge=0)]
    provider: str
    operators: dict[str, int]
    warnings: tuple[str, ...]
    levels: Levels | None
    candidates: Annotated[int, Meta(ge=0)]
    picks: Annotated[int, Meta(ge=0)]
    seconds: dict[str, float]
    peak_memory_mib: int
    outputs: dict[str, str] = {}
    applied: Applied | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a frame whose axes nobody knows.

        Raises
        ------
        ValueError
            Its order is no order word.
        """
        if self.frame.order not in axes.ORDERS:
            raise ValueError(f"has axes in an unknown order, {self.frame.order[:20]!r}")

    @property
    def edits(self) -> Edits:
        """What a person has changed of its picks."""
        return self.applied.edits if self.applied else NO_EDITS

    @property
    def is_placed(self) -> bool:
        """Whether 3dmod shows its picks where they are: an older version may have read its header otherwise."""
        try:
            today = self.read_anew.placement
        except InputError:
            return False
        return replace(today, rotation=self.frame.placement.rotation).is_close(self.frame.placement)

    @property
    def read_anew(self) -> Frame:
        """Its frame; where the header's rotation was not looked at, as in runs of before, what the header says today.

        Raises
        ------
        InputError
            The header cannot be read any more.
        """
        if self.frame.placement.rotation is not None:
            return self.frame
        try:
            header = read_header(self.input.path, self.frame.order, self.options.voxel_size)
            if header.mrc.stored_shape == self.frame.stored_shape:
                return header.frame
            why = "it has another size by now"
        except MilopypError as error:
            why = error.found
        raise InputError(
            f"was picked by an older version, which did not heed all that its header says; now {why}",
            where=self.input.path,
            expected="the tomogram where it was",
            remedy="Put it there again, or pick it anew with milopyp-infer.",
        )


class Failed(TomogramRecord, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    """A tomogram that could not be picked, and why; `outputs` are those of before."""

    error: str
    outputs: dict[str, str] = {}


class RunSummary(Struct, frozen=True, kw_only=True):
    """What the records of a folder say together.

    Attributes
    ----------
    model, model_sha256
        The model file of the last call; every record has its own.
    diameter, suppression_distance
        Of the model; voxels of a tomogram like those of the training.
    call, options
        That change results: of the last call of ``milopyp-infer``, and with what has been chosen since.
    typed
        Names of those of `call` that need no network and stood on the command line.
    named
        How tomograms are called in files for other programs: ``file``, ``series``, or a list's path; empty: not said.
    calibration
        What the model expects of picks.
    suggested
        The threshold that it suggests; runs of earlier versions do not say it.
    done, failed, picks
        Numbers of tomograms and of picks; why others failed, by name.
    tomograms
        The records.
    """

    model: str
    model_sha256: str
    diameter: float
    suppression_distance: float
    call: PickOptions
    typed: tuple[str, ...]
    options: PickOptions
    calibration: Calibration | None
    done: int
    failed: dict[str, str]
    picks: int
    tomograms: tuple[Picked | Failed, ...]
    suggested: Threshold | None = None
    named: str = ""

    @property
    def models(self) -> list[tuple[str, int]]:
        """The models that tomograms were picked with, and how many with each; several where calls had several."""
        numbers = Counter((own.model, own.model_sha256) for own in self.tomograms if isinstance(own, Picked))
        files = Counter(file for file, _ in numbers)
        return [
            (file if file and files[file] == 1 else f"{file or 'model'} ({sha256[:8]})", count)
            for (file, sha256), count in numbers.most_common()
        ]

    def with_records(self, records: Sequence[Picked | Failed]) -> RunSummary:
        """The same run with these records instead of its own, and their sums."""
        picked = [record for record in records if isinstance(record, Picked)]
        return msgspec.structs.replace(
            self,
            done=len(picked),
            failed={record.name: record.error for record in records if isinstance(record, Failed)},
            picks=sum(record.picks for record in picked),
            tomograms=tuple(records),
        )
