"""A copick project in folders, as copick writes it, without copick."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toys import clean_phantom
from zarr_toys import write_store

OBJECTS = (
    {"name": "ribosome", "is_particle": True, "label": 1, "radius": 60.0},
    {"name": "membrane", "is_particle": False, "label": 2},
)


def write_project(
    volumes: dict[str, np.ndarray[Any, Any]], folder: Path = Path(), root: str = "static", **entries: Any
) -> Path:
    """``project.json`` of the roots ``static`` and ``overlay``; `root` has a tomogram of 10 Angstrom in each run.

    `entries` are further ones of the configuration; None takes one out.
    """
    config = {
        "config_type": "filesystem", "name": "toy", "version": "1.0.0", "pickable_objects": OBJECTS,
        "static_root": f"local://{folder.absolute() / 'static'}", "overlay_root": str(folder.absolute() / "overlay"),
    }  # fmt: skip
    (folder / "project.json").write_text(
        json.dumps({key: value for key, value in (config | entries).items() if value is not None})
    )
    for run, volume in volumes.items():
        write_store(folder / root / "ExperimentRuns" / run / "VoxelSpacing10.000/wbp.zarr", volume)
    return folder / "project.json"


def write_runs(folder: Path, runs: Sequence[str]) -> None:
    """A project with a tomogram in each run, in which the toy models find four particles."""
    write_project({run: clean_phantom(seed, (24, 48, 64), 4).volume for seed, run in enumerate(runs, 1)}, folder)


def write_picks(
    run: str,
    user: str,
    xyz: Sequence[Sequence[float]],
    *,
    root: str = "overlay",
    session: str = "1",
    object_: str = "ribosome",
    **entries: Any,
) -> Path:
    """The picks of somebody, Angstrom, as copick stores them."""
    path = Path(root, "ExperimentRuns", run, "Picks", f"{user}_{session}_{object_}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [
        {"location": dict(zip("xyz", map(float, each), strict=True)), "transformation_": np.eye(4).tolist(),
         "instance_id": 0, "score": 1.0}
        for each in xyz
    ]  # fmt: skip
    content = {
        "pickable_object_name": object_, "user_id": user, "session_id": session, "run_name": run,
        "voxel_spacing": None, "unit": "angstrom", "points": points, "trust_orientation": True,
    }  # fmt: skip
    path.write_text(json.dumps(content | entries, indent=4))
    return path
