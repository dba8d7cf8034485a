"""One prepared tomogram: what the network finds in it, then candidates, picks, heat map and record of each class."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from milopyp_shared.formats.candidates import as_written, write_candidates
from milopyp_shared.lists import ImageEntry
from milopyp_shared.system import peak_memory_mib

from ..decode.membrane import Surface, doubts, near_surface
from ..decode.published import ORDER as PUBLISHED_ORDER
from ..decode.published import pick
from ..decode.rivals import with_rivals
from ..decode.select import Selection, select_picks
from ..pipeline import Prepared, Result, run_network
from .heat_maps import write_heat_map
from .outputs import OutputFiles, write_all_picks, write_published_picks
from .picking_run import PickingRun
from .records import Picked, TomogramRecord
from .stage import Stage, stage_of
from .tomogram_doubts import tomogram_doubts


@dataclass(frozen=True)
class Ready:
    """A tomogram that is prepared to be picked.

    Attributes
    ----------
    asked
        What it was before it was opened.
    surfaces
        That the distances of each class are from.
    """

    prepared: Prepared
    asked: TomogramRecord
    surfaces: Sequence[Surface | None]


@dataclass(frozen=True)
class Searched:
    """A tomogram that the network has been through.

    Attributes
    ----------
    results
        What it says of each class.
    doubts
        What was doubtful before.
    operators
        That it ran with: the engine is at the next tomogram when this one is written.
    """

    ready: Ready
    results: Sequence[Result]
    doubts: Sequence[str]
    operators: dict[str, int]


def search_tomogram(run: PickingRun, image: ImageEntry, ready: Ready, progress: Callable[[float], None]) -> Searched:
    """Run the network; parameters and errors are those of `run_network`."""
    doubts = tomogram_doubts(image.name, ready.prepared, run.model.recipe, run.options)
    for doubt in doubts:
        run.console.warn(doubt)
    results = run_network(ready.prepared, run.model, run.options.flips, progress)
    return Searched(ready, results, doubts, run.model.engine.operators())


def keep_picks(run: PickingRun, image: ImageEntry, found: Searched) -> str:
    """Write outputs and record of each class; returns them in words."""
    ready, start = found.ready, time.perf_counter()
    results = [_as_written(result, surface) for result, surface in zip(found.results, ready.surfaces, strict=True)]
    if run.others:
        results = _with_rivals(run, results, ready.prepared)
    for one, result in reversed(list(zip(run.classes, results, strict=True))):
        record = _keep(one, image, found, result, since=start)
    steps = ", ".join(f"{step} {value:.2f} s" for step, value in record.seconds.items())
    run.console.detail(f"{image.name} on {run.model.provider.runtime_name}: {steps}")
    return run.in_words(record)


def _as_written(result: Result, surface: Surface | None) -> Result:
    """Candidates near the surface, as their table says them: picks are the same when they are cut anew from it."""
    candidates = result.candidates if surface is None else near_surface(result.candidates, surface)
    return replace(result, candidates=as_written(candidates))


def _with_rivals(run: PickingRun, results: Sequence[Result], prepared: Prepared) -> list[Result]:
    """The results of the classes, each with what the others have at its places."""
    candidates = with_rivals(
        [result.candidates for result in results],
        [_in_its_voxels(one.options.selection, prepared) for one in run.classes],
        [one.recipe.diameter / prepared.rescaled for one in run.classes],
        prepared.tomogram.frame,
    )
    return [replace(result, candidates=own) for result, own in zip(results, candidates, strict=True)]


def _in_its_voxels(selection: Selection, prepared: Prepared) -> Selection:
    return replace(selection, distance=selection.distance / prepared.rescaled)


def _keep(run: PickingRun, image: ImageEntry, found: Searched, result: Result, *, since: float) -> Picked:
    """Write outputs and record of a class; writing those of the tomogram began at `since`."""
    ready, written = found.ready, time.perf_counter()
    prepared = ready.prepared
    known, before = run.given_up(image), run.recorded_outputs(image)
    asked = structs.replace(ready.asked, options=run.options, dynamo_tomogram=run.number_of(image))
    with Stage(run.files(image), stage_of(run.record_path(image))) as stage:
        picks = _write(stage.new, asked, result, prepared, run)
        outputs = stage.place(known, run.console.warn)
        end = time.perf_counter()
        seconds = result.seconds | {"write": end - written, "total": sum(result.seconds.values()) + end - since}
        record = asked.picked(
            shape_zyx=prepared.tomogram.shape,
            frame=prepared.tomogram.frame,
            diameter=run.recipe.diameter / prepared.rescaled,
            suppression_distance=run.options.selection.distance / prepared.rescaled,
            provider=run.model.provider.runtime_name,
            operators=found.operators,
            warnings=tuple(found.doubts),
            levels=prepared.grey.levels,
            candidates=len(result.candidates),
            picks=picks,
            seconds={step: round(value, 4) for step, value in seconds.items()},
            peak_memory_mib=peak_memory_mib(),
            outputs=before | outputs,
        )
        run.write(record)
    return record


def _write(files: OutputFiles, asked: TomogramRecord, result: Result, prepared: Prepared, run: PickingRun) -> int:
    """Write one tomogram's outputs; returns the number of picks."""
    recipe, options, frame, scale = run.recipe, run.options, prepared.tomogram.frame, prepared.rescaled
    z, y, x = recipe.voxel_per_output
    order = PUBLISHED_ORDER if options.published else None
    write_heat_map(files.heat, result.heat, frame, (z / scale, y / scale, x / scale), order)
    write_candidates(files.candidates, result.candidates)
    if options.published is None:
        picks = select_picks(result.candidates, _in_its_voxels(options.selection, prepared), frame)
        for doubt in doubts(picks):
            run.console.say(f"{asked.name}: {doubt}")
        write_all_picks(files, picks, frame, asked, recipe.diameter / 2 / scale)
        return len(picks)
    threshold = options.selection.threshold
    xyz, score, left_out = pick(result.heat, options.published, threshold, recipe.voxel_per_output, prepared.mask)
    if left_out:
        run.console.say(f"{asked.name}: {left_out}")
    write_published_picks(files, xyz, score, frame, recipe.diameter / 2, with_score=options.with_score)
    return len(xyz)
