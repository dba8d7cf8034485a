"""What an earlier call has left of a tomogram, and what is to be done with it now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from msgspec import UNSET, structs

from milopyp_shared.names import listed

from .chosen import cut_as, of_the_network
from .identity import FileIdentity
from .outputs import OutputFiles
from .record_files import record_path
from .records import Failed, Picked, TomogramRecord
from .stage import left_of, stage_of


@dataclass(frozen=True)
class Done:
    """Nothing: the record holds.

    Attributes
    ----------
    moved
        Its file or mask lies elsewhere by now, and the record is to say so.
    """

    record: Picked
    moved: bool = False


@dataclass(frozen=True)
class Cut:
    """The candidates hold, and other picks are to be cut from them; `record` says with which options."""

    record: Picked


@dataclass(frozen=True)
class Pick:
    """All of it; `why` it is picked again, nothing where it has not been picked."""

    why: str = ""


State: TypeAlias = "Done | Cut | Pick"


def state_of(
    record: Picked | Failed, asked: TomogramRecord, file: Path, mask: Path | None, files: OutputFiles
) -> State:
    """What is to be done with a tomogram.

    Parameters
    ----------
    record
        Of an earlier call.
    asked
        What is asked for today.
    file, mask
        Where tomogram and mask are today.
    files
        Its outputs as they are to be.
    """
    if isinstance(record, Failed):
        return Pick("failed before")
    if why := _why_again(record, asked, file, mask, files):
        return Pick(f"{why}; without what milopyp apply has changed" if record.applied else why)
    left = left_of(stage_of(record_path(files.text.parent, record.name)))
    if left is not None and left.with_candidates:
        return Pick("a process that was picking it has died")
    now = structs.replace(
        record,
        input=_with_sample(asked.input, record.input),
        mask=asked.mask and record.mask and _with_sample(asked.mask, record.mask),
        options=cut_as(record.options, asked.options),
        called=asked.called,
        tomo_name=record.tomo_name if asked.called == record.called else asked.tomo_name,
        dynamo_tomogram=asked.dynamo_tomogram,
    )
    if record.options.published is not None:  # which are no choice among candidates
        return Done(now, moved=now != record)
    same = left is None and _in_files(now) == _in_files(record) and all(path.is_file() for path in files.picks)
    return Done(now, moved=now != record) if same else Cut(now)


def _why_again(record: Picked, asked: TomogramRecord, file: Path, mask: Path | None, files: OutputFiles) -> str:
    """Why candidates of before do not count any more; nothing where they do."""
    needed = (files.heat, files.candidates) if record.options.published is None else files.all
    gone = [path.name for path in needed if not path.exists()]
    options = of_the_network(record.options, asked.options)
    masks = (record.mask is None, mask is None)
    reasons = {
        "the tomogram has changed": not record.input.is_at(file),
        "the model is another one": record.model_sha256 != asked.model_sha256,
        f"other {', '.join(options)}": bool(options),
        "another mask": masks[0] != masks[1] or (record.mask and mask and not record.mask.is_at(mask, whole=True)),
        f"missing: {', '.join(gone)}": bool(gone),
    }
    if why := next((text for text, holds in reasons.items() if holds), ""):
        return why
    return "" if record.is_placed else "an older version read its header otherwise"


def _with_sample(now: FileIdentity, before: FileIdentity) -> FileIdentity:
    """The file where it is today, which is the one of before."""
    if now.size is UNSET:  # of a URL, which was not asked again
        return structs.replace(before, path=now.path)
    return structs.replace(now, sample=before.sample)


def _in_files(record: Picked) -> tuple[object, ...]:
    """What files of picks depend on; text and IMOD model hold no names."""
    named = (record.tomo_name, record.dynamo_tomogram) if record.options.formats else ()
    return record.options, *named


def why_again(states: Mapping[str, State]) -> list[str]:
    """One line for each reason to pick tomograms again, and for those that have moved."""
    groups: dict[str, list[str]] = {}
    for name, state in states.items():
        if isinstance(state, Pick) and state.why:
            groups.setdefault(f"picked again ({state.why})", []).append(name)
        elif isinstance(state, Done) and state.moved:
            groups.setdefault("moved or copied since, and the same", []).append(name)
        elif isinstance(state, Cut):
            groups.setdefault("cut anew from the candidates", []).append(name)
    return [f"{text}: {listed(names)}" for text, names in groups.items()]
