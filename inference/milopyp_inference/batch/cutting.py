"""Picks of one tomogram cut from its candidates, without the network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import structs

from milopyp_shared.atomic import write_error
from milopyp_shared.errors import InputError
from milopyp_shared.turns import turned_frame, turned_picks

from .outputs import OutputFiles, format_context, write_more, write_picks
from .reader import candidates_of
from .records import Picked, record_path, write_record
from .stage import Stage, stage_of


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
        They are of the published program, which makes no choice among candidates; the candidates cannot be read, a
        margin is wanted and there is no voxel size, or a file cannot be written.
    """
    if record.options.published is not None:
        raise InputError(
            f"{record.name} was picked with milopyp-infer --published", where=run, expected="a run without it",
            remedy="Run milopyp-infer again with another --out-thresh.",
        )  # fmt: skip
    record = structs.replace(record, frame=record.read_anew)
    options, frame = record.options, turned_frame(record.frame, record.options.turn)
    files = OutputFiles.of(folder, record.name, options.formats)
    before = record.outputs if folder == run else {}
    with Stage(files, stage_of(record_path(folder, record.name))) as stage:
        new = stage.new
        context = format_context(new, frame, record.tomo_name, record.dynamo_tomogram, record.diameter / 2)
        picks = candidates_of(run, record, options.selection.threshold, options.selection.limit)
        picks = turned_picks(picks, record.frame, options.turn)
        write_more(new, picks, context)
        write_picks(
            new, picks, frame, record.diameter / 2,
            with_score=options.with_score, model2point=options.coords == "model2point",
        )  # fmt: skip
        if folder != run:
            try:
                shutil.copyfile(OutputFiles.of(run, record.name).candidates, new.candidates)
            except OSError as error:
                raise write_error(new.candidates, error) from error
        outputs = stage.place(written, warn)
        record = structs.replace(record, picks=len(picks), outputs=before | outputs)
        write_record(folder, record)
    return record
