"""The accuracy tasks: simulated tomograms with exact truth, found through MILOPYP_REFERENCE; or phantoms made here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milopyp_shared.coordinate_lists import read_coordinate_list, write_coordinate_list
from milopyp_shared.lists import ImageEntry, write_image_list
from milopyp_simulation.phantom import PhantomSettings, draw_labels
from milopyp_simulation.phantom_files import write_phantoms


@dataclass(frozen=True)
class Task:
    """One particle to learn: `dataset` folder, species, equivalent-sphere diameter and radius in voxels."""

    dataset: str
    species: str
    diameter: float
    radius: float


TASKS = (
    Task("dev", "ribosome70S", 21, 10.7),
    Task("dev", "proteasome26S", 20, 10.1),
    Task("dev", "thyroglobulin", 17, 8.4),
    Task("mid", "betagal", 13, 6.6),
    Task("mid", "apoferritin", 14, 6.8),
    Task("mid", "nmdar", 12, 6.0),
)
PHANTOM = Task("phantom", "phantom", 18, 9.0)


@dataclass(frozen=True)
class Draw:
    """One choice of labels: ``30pct`` (the two draws of the lists), ``all``, or a number of particles drawn here."""

    labels: str
    number: int = 1

    @property
    def name(self) -> str:
        """Of its coordinate list and of its run."""
        return "all" if self.labels == "all" else f"{self.labels}_seed{self.number}"

    def coordinates(self, lists: Path) -> dict[str, np.ndarray]:
        """The labels of the training tomograms."""
        if not self.labels.isdecimal():
            return read_coordinate_list(lists / f"coords_train_{self.name}.tsv")
        everything = read_coordinate_list(lists / "coords_train_all.tsv")
        places = [(name, point) for name, xyz in everything.items() for point in xyz]
        chosen = np.random.default_rng([self.number, int(self.labels)]).permutation(len(places))[: int(self.labels)]
        return {
            name: np.array([places[i][1] for i in sorted(chosen) if places[i][0] == name])
            for name in everything
            if any(places[i][0] == name for i in chosen)
        }


def draws(labels: str) -> list[Draw]:
    """All draws of a kind of labels: two of the lists, three of a number of particles, one of all."""
    return [Draw(labels, number) for number in {"all": (1,), "30pct": (1, 2)}.get(labels, (1, 2, 3))]


def phantom_data(folder: Path) -> Path:
    """A data folder with the task `PHANTOM`, laid out like the others: 1 and 2 to train, 3 to choose, 4 to test."""
    made = write_phantoms(folder / "phantom", 4, PhantomSettings(diameter=PHANTOM.diameter))
    truth = read_coordinate_list(made.coordinates)
    lists = folder / "phantom" / "lists" / "phantom"
    lists.mkdir(parents=True, exist_ok=True)
    first, second, third, fourth = made.tomograms
    for split, paths in (("train", (first, second)), ("val", (third,)), ("test", (fourth,))):
        write_image_list(lists / f"images_{split}.tsv", [ImageEntry(path.stem, path) for path in paths])
        points = {path.stem: truth[path.stem] for path in paths}
        write_coordinate_list(lists / f"coords_{split}{'_all' * (split == 'train')}.tsv", points)
        if split == "train":
            for seed in (1, 2):
                rng = np.random.default_rng(seed)
                some = {name: draw_labels(xyz, 0.3, rng) for name, xyz in points.items()}
                write_coordinate_list(lists / f"coords_train_30pct_seed{seed}.tsv", some)
    return folder


def reference_data() -> Path:
    """The folder with the data sets; leaves with a message when it is not known."""
    folder = os.environ.get("MILOPYP_REFERENCE")
    if not folder:
        sys.exit("MILOPYP_REFERENCE is not set: give --data, or set it to the folder that holds data/ and golden/")
    return Path(folder) / "data"
