"""What the page is told: tomograms, candidates, what is expected of them and what is true."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_inference.batch.class_runs import class_of
from milopyp_inference.batch.outputs import OutputFiles
from milopyp_inference.batch.reader import candidates_of
from milopyp_inference.batch.records import Picked, RunSummary
from milopyp_inference.decode.published import ORDER as PUBLISHED_ORDER
from milopyp_shared import stores
from milopyp_shared.colours import hex_colour_of
from milopyp_shared.errors import InputError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.matching import match_greedy
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Tomogram, open_tomogram
from milopyp_shared.urls import Url, to_path

from .slices import HEAT_SHARE, Slices, grey_slices, heat_slices, thickness_of

MOST_CANDIDATES = 4000  # of a tomogram, the best, but all that the run has picked
LOWEST = 0.02  # score that the page knows of, or the run's threshold if that is lower
DIGITS = 6  # of scores, as in the table of candidates

Known = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """What the page shows of one class of particles.

    Attributes
    ----------
    kind
        Name of the class; empty where there is one.
    number
        Of the class, from 0.
    folder
        Its run.
    summary, records
        Of the run, and of the tomograms that are shown, which are the same in all classes.
    known
        ``(n, 3)`` true positions by tomogram, voxels of the inside frame; empty where nothing is known.
    """

    kind: str
    number: int
    folder: Path
    summary: RunSummary
    records: Sequence[Picked]
    known: Mapping[str, Known]


def hosts_of(records: Sequence[Picked]) -> list[str]:
    """Where picked tomograms lie that are not on disk."""
    paths = (to_path(record.input.path) for record in records)
    return list(dict.fromkeys(path.host for path in paths if isinstance(path, Url)))


def tomogram_of(record: Picked, folder: Path | None) -> Tomogram:
    """The picked file, which may lie in another folder by now.

    Raises
    ------
    InputError
        It is not there, or of another size.
    """
    frame, path = record.frame, to_path(record.input.path)
    if folder is not None:
        found = stores.split(path)
        path = folder / path.name if found is None else folder / found.store.name / found.inside
    if not stores.is_there(path):
        raise InputError(
            "no such file", where=path, expected=f"the tomogram that {record.name} was picked in",
            remedy="Say with --tomograms in which folder it is now.",
        )  # fmt: skip
    tomogram = open_tomogram(path, frame.order, record.options.voxel_size)
    if tomogram.mrc.stored_shape != frame.stored_shape:
        raise InputError(
            f"{' x '.join(map(str, tomogram.mrc.stored_shape[::-1]))} voxels", where=path,
            expected=f"{' x '.join(map(str, frame.stored_shape[::-1]))} as when it was picked",
            remedy="Pick it again.",
        )  # fmt: skip
    return tomogram


def slicing_of(runs: Sequence[Shown], tomograms: Sequence[Tomogram]) -> list[int]:
    """Sections per slice of each tomogram, for the smallest of its particles."""
    smallest = [min(record.diameter for record in records) for records in zip(*(run.records for run in runs))]
    return [thickness_of(own.shape[0], diameter) for own, diameter in zip(tomograms, smallest, strict=True)]


def _facts_of(run: Shown, record: Picked, tomogram: Tomogram, thickness: int) -> dict[str, Any]:
    """What the page says of one tomogram at once."""
    picks = _candidates(run.folder, record)
    known = run.known.get(record.name)
    z, y, x = tomogram.shape
    facts = {
        "name": record.name,
        "size": [x, y, z],
        "voxel": tomogram.voxel_size,
        "radius": record.diameter / 2,
        "thickness": thickness,
        "said": [text.removeprefix(f"{record.name}: ") for text in record.warnings],
        "levels": _levels(record),
        "threshold": record.options.selection.threshold,
        "picks": [[*np.round(xyz, 2).tolist(), round(float(s), DIGITS)] for xyz, s in zip(picks.xyz, picks.score)],
        **_edits(record, picks),
    }
    if known is not None:
        found = match_greedy(picks.xyz, picks.score, known, record.diameter / 2).truth_of_pick >= 0
        facts |= {"truth": np.round(known, 2).tolist(), "found": found.astype(int).tolist()}
    return facts


def _edits(record: Picked, picks: Picks) -> dict[str, Any]:
    """What ``milopyp apply`` has changed: candidates that are picks or none whatever their score, and other places."""
    left = record.edits.left_to_scores(picks, record.suppression_distance)
    candidates, by_score, kept = (
        dict.fromkeys(map(tuple, own.xyz.tolist())) for own in (picks, left, record.edits.kept)
    )
    return {
        "forced": [[index, place in kept] for index, place in enumerate(candidates) if place not in by_score],
        "added": [list(place) for place in kept if place not in candidates],
    }


def _levels(record: Picked) -> str:
    """How the tomogram's grey levels are spread, for people."""
    if record.levels is None:
        return ""
    lowest, low, high, highest = (f"{value:+.1f}" for value in record.levels)
    return f"grey levels: two thirds of the voxels from {low} to {high} z-scores, 98 % from {lowest} to {highest}"


def pictures_of(records: Mapping[Path, Picked], tomogram: Tomogram, thickness: int, budget: int) -> dict[str, Any]:
    """The pictures of one tomogram, which the page takes out when they are looked at.

    Parameters
    ----------
    records
        Of the tomogram, by run: each class has its heat map.
    budget
        Bytes of all pictures.
    """
    heats = [_heat_map(run, record) for run, record in records.items()]
    share = HEAT_SHARE / (1 - HEAT_SHARE)  # of a heat map, in that of the tomogram
    grey = budget / (1 + share * sum(heat is not None for heat in heats))
    hot = [heat and heat_slices(heat, tomogram.shape, thickness, int(grey * share)) for heat in heats]
    return {
        "grey": _encoded(grey_slices(tomogram, thickness, int(grey))),
        "heats": [own and _encoded(own) for own in hot],
    }


def _candidates(run: Path, record: Picked) -> Picks:
    """All that the threshold chooses from, best first; a run with ``--published`` has only its picks."""
    if record.options.published is None:
        lowest = min(LOWEST, record.options.selection.threshold)
        return candidates_of(run, record, lowest, max(MOST_CANDIDATES, record.picks))
    name = record.name
    return FORMATS["mod"].read(OutputFiles.of(run, name).model, FormatContext.of(record.frame, name))


def about(run: Shown, tomograms: Sequence[Tomogram], slicing: Sequence[int]) -> dict[str, Any]:
    """What the page says of one class; `slicing` as of `slicing_of`."""
    summary, selection = run.summary, run.records[0].options.selection
    expected, suggested = summary.calibration, summary.suggested
    facts = [_facts_of(run, *own) for own in zip(run.records, tomograms, slicing, strict=True)]
    return {
        "name": run.kind,
        "colour": hex_colour_of(run.number),
        "identity": f"{_identity(run.records, facts)} {class_of(run.folder) or ''}".strip(),  # on all its pages
        "model": Path(summary.model).name,
        "threshold": float(selection.threshold),
        "suggested": suggested and {"score": suggested.score, "basis": suggested.basis},
        "failed": summary.failed,
        "limit": selection.limit,
        "models": [{"model": Path(model).name, "count": count} for model, count in summary.models],
        "expected": expected and {"score": expected.score, "precision": expected.precision, "recall": expected.recall},
        "judged": bool(run.known),
        "tomograms": facts,
    }


def _identity(records: Sequence[Picked], facts: Sequence[Mapping[str, Any]]) -> str:
    """What edits are kept under: another one when candidates, their model, or what was applied before are others."""
    found = [
        [record.name, record.model_sha256, *(own[key] for key in ("picks", "forced", "added"))]
        for record, own in zip(records, facts, strict=True)
    ]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:32]


def _heat_map(run: Path, record: Picked) -> Tomogram | None:
    path = OutputFiles.of(run, record.name).heat
    if not path.exists():
        return None
    published = record.options.published is not None
    return open_tomogram(path, PUBLISHED_ORDER if published else record.frame.order, shortest=1)


def _encoded(slices: Slices) -> dict[str, Any]:
    return {
        "covers": slices.covers,
        "pictures": [base64.b64encode(picture).decode("ascii") for picture in slices.pictures],
    }
