"""Picks of one tomogram cut from its candidates, without the network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import structs

from milopyp_shared.atomic import write_error
from milopyp_shared.errors import InputError
from milopyp_shared.formats.registry import orientations_warning

from .outputs import OutputFiles, write_all_picks
from .reader import chosen_picks
from .record_files import record_path, write_record
from .records import Picked
from .stage import Stage, stage_of


def refuse_published(record: Picked, run: Path) -> None:
    """Refuse picks of the published program, which are no choice among candidates.

    Raises
    ------
    InputError
        They are.
    """
    if record.options.published is not None:
        raise InputError(
            f"{record.name} was picked with milopyp-infer --published",
            where=run,
            expected="a run without it",
            remedy="Run milopyp-infer again with another --out-thresh.",
        )


def cut_picks(
    record: Picked,
    run: Path,
    folder: Path,
    written: Mapping[str, Collection[str]] | None,
    warn: Callable[[str], None],
) -> Picked:
    """Write a tomogram's picks and its record; returns what that says then.

    Parameters
    ----------
    record
        With the options and the names that are wanted.
    run, folder
        Where its candidates are, and where the picks are to be; the candidates come along.
    written, warn
        As in `stage.keep_changed`, of `folder`.

    Raises
    ------
    UsageError
        One of the formats needs a voxel size, and the tomogram has none.
    InputError, FullDiskError
        They are of the published program; the candidates cannot be read, a margin is wanted and there is no voxel size,
        or a file cannot be written.
    """
    refuse_published(record, run)
    record = structs.replace(record, frame=record.read_anew)
    files = OutputFiles.of(folder, record.name, record.options.formats)
    before = record.outputs if folder == run else {}
    with Stage(files, stage_of(record_path(folder, record.name))) as stage:
        new, picks = stage.new, chosen_picks(run, record)
        if doubt := orientations_warning(record.options.formats, [picks]):
            warn(f"{record.name}: {doubt}")
        write_all_picks(new, picks, record.frame, record, record.diameter / 2)
        if folder != run:
            try:
                shutil.copyfile(OutputFiles.of(run, record.name).candidates, new.candidates)
            except OSError as error:
                raise write_error(new.candidates, error) from error
        outputs = stage.place(written, warn)
        record = structs.replace(record, picks=len(picks), outputs=before | outputs)
        write_record(folder, record)
    return record
