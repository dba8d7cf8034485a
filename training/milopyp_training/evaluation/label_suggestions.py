"""What a person should look at before the next training: doubtful labels, and places worth a label.

Both come from networks that have not seen what they judge (`crossvalidation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.plotting import PICK, circles, new_figure, save, show_grey, show_window
from milopyp_shared.wording import counted

from ..data.cross_validated import CrossValidated
from ..data.dataset import LabelledVolume, on_grid
from .held_out import OutOfFold

MOST_CANDIDATES = 24
MOST_DOUBTFUL = 8
DOUBTFUL = 5.0  # a label is, when this many places per particle without a label score higher
COLUMNS = 8  # of pictures
REACH = 1.3  # of a picture around its place, particle diameters
FEW, ENOUGH = 15, 50  # labels: below the first, more of them help most; from the second on, little
# What more of them have done where it is known (benchmarks/README.md). Of a single training, nothing that labels tell
# which are left out foretells it (decision 94).
GAIN = "the default preset, six simulated particles: AUPRC 0.81 with 5, 0.88 with 15, 0.90 with 27 in the mean"
STEM = "next_labels"  # of the files, with the class behind it where there are several


@dataclass(frozen=True)
class Spot:
    """A place in a tomogram: a label or a candidate for one; x, y, z in voxels."""

    volume: LabelledVolume
    xyz: NDArray[np.float64]
    score: float

    def __str__(self) -> str:
        x, y, z = np.rint(self.xyz).astype(int)
        return f"{self.volume.name} ({x}, {y}, {z})"


@dataclass(frozen=True)
class Suggestions:
    """What is worth a look, most important first, and how many particles are labelled.

    Attributes
    ----------
    doubtful
        Labels that look like background to networks that have not seen them.
    candidates
        Places without a label that look most like particles.
    """

    doubtful: list[Spot]
    candidates: list[Spot]
    labelled: int
    unlabelled: float

    def lines(self) -> list[str]:
        """The same in words."""
        total = self.labelled + self.unlabelled
        said = [f"labelled in the training tomograms: {self.labelled} of about {counted(round(total), 'particle')}"]
        if self.doubtful:
            some = "; ".join(map(str, self.doubtful[:3])) + ("; ..." if len(self.doubtful) > 3 else "")
            look = "looks" if len(self.doubtful) == 1 else "look"
            said.append(f"{counted(len(self.doubtful), 'label')} {look} like background, or hard to find: {some}")
        if self.candidates and self.labelled < ENOUGH:
            much = "most" if self.labelled < FEW else "a little"
            places = counted(len(self.candidates), "place")
            said.append(f"more labels are likely to help {much} ({GAIN}); {places} to begin with")
        return said


def suggest_labels(
    volumes: Sequence[LabelledVolume], out_of_fold: Sequence[OutOfFold], found: CrossValidated
) -> Suggestions:
    """Choose what is worth a look."""
    scores = np.sort(np.concatenate([own.places.score for own in out_of_fold]))[::-1]
    allowed = int(DOUBTFUL * max(found.unlabelled, len(found.label_scores)))
    limit = scores[allowed] if len(scores) > allowed else 0.0
    labels = [
        Spot(volume, xyz, float(score))
        for volume, own in zip(volumes, out_of_fold, strict=True)
        for xyz, score in zip(volume.xyz, own.labels, strict=True)
    ]
    doubtful = sorted((spot for spot in labels if spot.score <= limit), key=lambda spot: spot.score)
    places = [
        Spot(volume, xyz, float(score))
        for volume, own in zip(volumes, out_of_fold, strict=True)
        for xyz, score in zip(own.places.xyz[:MOST_CANDIDATES], own.places.score[:MOST_CANDIDATES], strict=True)
    ]
    places.sort(key=lambda spot: -spot.score)
    return Suggestions(doubtful[:MOST_DOUBTFUL], places[:MOST_CANDIDATES], len(labels), found.unlabelled)


def write_suggestions(folder: Path, suggestions: Suggestions, diameter: float, particle: str = "") -> Path:
    """``next_labels.md``, which is returned, with its picture and the places as a coordinate list, ``.tsv``.

    The name of a `particle` is a part of theirs: ``next_labels_NAME.md``.
    """
    make_folder(folder)
    stem = f"{STEM}_{particle}" if particle else STEM
    table: dict[str, list[NDArray[np.float64]]] = {}
    pictures: dict[str, list[str]] = {}
    for number, spot in enumerate(suggestions.candidates, 1):
        table.setdefault(spot.volume.name, []).append(spot.xyz)
        pictures.setdefault(spot.volume.name, []).append(f"B{number}")
    coordinates = {name: np.array(points) for name, points in table.items()}
    write_coordinate_list(folder / f"{stem}.tsv", coordinates, {"picture": pictures})
    _picture(folder / f"{stem}.png", suggestions, diameter)
    write_text(folder / f"{stem}.md", _markdown(suggestions, stem))
    return folder / f"{stem}.md"


def _markdown(suggestions: Suggestions, stem: str) -> str:
    lines = ["# What to label next", "", *(f"- {line[0].upper()}{line[1:]}." for line in suggestions.lines()), ""]
    lines += [f"![pictures]({stem}.png)", ""]
    if suggestions.doubtful:
        lines += [
            "## Labels to look at again",
            "",
            "A network that had not seen them ranks many places higher. Some are mistakes, some are particles that are",
            "cut off, crowded or in noise. Take the mistakes out of the coordinate list.",
            "",
            *_table(suggestions.doubtful, "A"),
        ]
    if suggestions.candidates:
        lines += [
            "## Places worth a label",
            "",
            f"They look most like particles and have no label. Move what is none from `{stem}.tsv` to a list of",
            "its own, for `--rejected` of milopyp-train, and add the rest to the coordinate list. It has the columns",
            "and the frame of the coordinate list (voxels, z along the thickness), and one more with the picture's",
            "number, which every reader of lists leaves aside.",
            "",
            *_table(suggestions.candidates, "B"),
        ]
    return "\n".join(lines)


def _table(spots: Sequence[Spot], letter: str) -> list[str]:
    rows = ["| picture | tomogram | x | y | z | score |", "|---|---|---|---|---|---|"]
    for number, spot in enumerate(spots, 1):
        x, y, z = spot.xyz
        rows.append(f"| {letter}{number} | {spot.volume.name} | {x:.0f} | {y:.0f} | {z:.0f} | {spot.score:.2f} |")
    return [*rows, ""]


def _picture(path: Path, suggestions: Suggestions, diameter: float) -> None:
    """Each place from above (x, y) and below it from the side (x, z), averaged over half a diameter."""
    spots = [(f"A{i}", spot) for i, spot in enumerate(suggestions.doubtful, 1)]
    spots += [(f"B{i}", spot) for i, spot in enumerate(suggestions.candidates, 1)]
    rows = max(-(-len(spots) // COLUMNS), 1)
    figure = new_figure(1.5 * COLUMNS, 3.2 * rows)
    panels: Any = figure.subplots(2 * rows, COLUMNS, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for number, (name, spot) in enumerate(spots):
        row, column = divmod(number, COLUMNS)
        seen = diameter * spot.volume.scale
        above, side = _views(spot, seen)
        for panel, (view, centre) in zip(
            (panels[2 * row][column], panels[2 * row + 1][column]), (above, side), strict=True
        ):
            show_grey(panel, view)
            circles(panel, np.array([[*centre, 0.0]]), 0.0, seen / 2, PICK)
            show_window(panel, centre, REACH * seen)
        panels[2 * row][column].set_title(f"{name}: {spot.score:.2f}", fontsize=9)
    kinds = ["A: labels to look at again"] if suggestions.doubtful else []
    kinds += ["B: places worth a label"] if suggestions.candidates else []
    figure.suptitle(f"{', '.join(kinds)}; from above, and from the side" if kinds else "no place to look at")
    save(figure, path)


def _views(spot: Spot, diameter: float) -> tuple[Any, Any]:
    """Two pictures around a place in voxels as the network sees them, each with the place in it (column, row).

    `diameter` is in the same voxels; sections that were paired are shown twice.
    """
    grey, pair = spot.volume.grey, spot.volume.grey.sections_per_pair
    [centre] = on_grid(spot.xyz[None], spot.volume.voxel_per_grey)
    shape = np.array(grey.shape)
    reach = REACH * np.array([diameter / pair, diameter, diameter])
    thick = np.array([diameter / 4 / pair, diameter / 4, diameter / 4])

    def cut(half: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        start = np.clip(np.rint(centre - half), 0, shape - 1).astype(int)
        end = np.clip(np.rint(centre + half) + 1, start + 1, shape).astype(int)
        return grey.box(start.tolist(), end.tolist()), centre - start

    box, at = cut(np.array([thick[0], reach[1], reach[2]]))
    above = (box.mean(axis=0).astype(np.uint8), (at[2], at[1]))
    box, at = cut(np.array([reach[0], thick[1], reach[2]]))
    side = (np.repeat(box.mean(axis=1).astype(np.uint8), pair, axis=0), (at[2], (at[0] + 0.5) * pair - 0.5))
    return above, side
