"""What copick has to do and to say in tests/copick/run.sh; runs in its environment, which milopyp is not in."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from pathlib import Path

import mrcfile
import numpy as np
import zarr
from copick.impl.filesystem import CopickRootFSSpec

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "radius": 90.0},
    {"name": "membrane", "is_particle": False, "label": 2},
    {"name": "proteasome", "is_particle": True, "label": 3, "radius": 80.0},
]
MADE = {"config_type": "filesystem", "name": "toy", "version": "1.0.0", "pickable_objects": OBJECTS}
SIZE = 10.0  # of a voxel, Angstrom


def configuration(name: str, **roots: str) -> str:
    here = {key: f"local://{Path(root).absolute()}" for key, root in roots.items()}
    arguments = {key.replace("_root", "_fs_args"): {"auto_mkdir": True} for key in roots}
    Path(name).write_text(json.dumps(MADE | here | arguments))
    return name


def table(path: str) -> dict[str, np.ndarray]:
    """x, y, z by tomogram, of a list of milopyp."""
    found: dict[str, list[list[float]]] = {}
    for line in Path(path).read_text().splitlines()[1:]:
        name, *xyz = line.split()
        found.setdefault(name, []).append([float(word) for word in xyz[:3]])
    return {name: np.array(rows) for name, rows in found.items()}


def build(*tomograms: str) -> None:
    """A static root with the tomograms, and an empty overlay."""
    root = CopickRootFSSpec.from_file(configuration("static.json", overlay_root="static"))
    for path in tomograms:
        with mrcfile.open(path, permissive=True) as file:
            volume = np.array(file.data, dtype=np.float32)
        spacing = root.new_run(Path(path).stem).new_voxel_spacing(SIZE)
        fill(zarr.open_group(spacing.new_tomogram("wbp").zarr(), mode="w"), volume)
    configuration("project.json", overlay_root="overlay", static_root="static")


def fill(group: zarr.Group, volume: np.ndarray) -> None:
    """The attributes and arrays that copick's ``from_numpy`` leaves, without the libraries that it needs for that."""
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    datasets = []
    for level in range(2):
        step = 2**level
        group[str(level)] = volume[::step, ::step, ::step]
        scale = {"type": "scale", "scale": [SIZE * step] * 3}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    group.attrs["multiscales"] = [{"version": "0.4", "name": "/", "axes": axes, "datasets": datasets}]


def compare(run: str, config: str = "project.json", name: str = "ribosome", session: str = "0") -> None:
    """What copick reads is what the run has picked."""
    for own in CopickRootFSSpec.from_file(config).runs:
        [picks] = own.get_picks(object_name=name, user_id="milopyp", session_id=session)
        picks.load()
        assert picks.from_tool == (session == "0") and picks.meta.unit == "angstrom"
        assert picks.meta.voxel_spacing == SIZE and picks.meta.run_name == own.name
        with Path(run, f"{own.name}.candidates.csv").open() as stream:
            rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
        wanted = np.array([[float(row[key]) for key in ("x", "y", "z", "score")] for row in rows])
        wanted = wanted[wanted[:, 3] > 0.1]
        np.testing.assert_allclose(picks.full_positions(), wanted[:, :3] * SIZE, atol=1e-3)
        np.testing.assert_allclose(picks.scores(), wanted[:, 3])
        assert len(wanted) > 0


def label(truth: str) -> None:
    """The true places as the picks of two people, both of some."""
    for name, xyz in table(truth).items():
        run = CopickRootFSSpec.from_file("project.json").get_run(name)
        run.new_picks("ribosome", "1", "alice").from_numpy(xyz[:3] * SIZE)
        run.new_picks("ribosome", "1", "bob").from_numpy(xyz[1:] * SIZE + 5.0)


def edit() -> None:
    """Somebody takes out one of milopyp's picks."""
    run = CopickRootFSSpec.from_file("project.json").runs[0]
    [picks] = run.get_picks(object_name="ribosome", user_id="milopyp")
    picks.points = picks.points[1:]
    picks.store()


def labels(found: str, truth: str) -> None:
    """Each true place is a label once."""
    own, wanted = table(found), table(truth)
    assert own.keys() == wanted.keys()
    for name, xyz in wanted.items():
        assert len(own[name]) == len(xyz), name
        distance = np.linalg.norm(own[name][:, None] - xyz, axis=2)
        assert distance.min(axis=0).max() < 1.0, name


def classes(folder: str) -> None:
    """As `compare`, of each class of a run, in the project and in the one that milopyp collect has made."""
    for name in ("ribosome", "proteasome"):
        compare(f"{folder}/{name}", name=name, session="two")
        compare(f"{folder}/{name}", "of_two/copick_config.json", name)


def labels_of_classes(found: str) -> None:
    """Each class has the picks of its object as labels, in every run."""
    rows = [line.split() for line in Path(found).read_text().splitlines()[1:]]
    for run, name in itertools.product(CopickRootFSSpec.from_file("project.json").runs, ("ribosome", "proteasome")):
        [picks] = run.get_picks(object_name=name, user_id="milopyp", session_id="two")
        own = np.array([row[1:4] for row in rows if row[0] == run.name and row[4] == name], dtype=float)
        np.testing.assert_allclose(sort_rows(own) * SIZE, sort_rows(picks.full_positions()), atol=0.01 * SIZE)


def sort_rows(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T)]


def collected(run: str) -> None:
    """As `compare`, of the project that milopyp collect has made."""
    compare(run, "collected/copick_config.json")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
