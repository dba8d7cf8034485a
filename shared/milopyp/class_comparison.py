"""Picks of several classes against known positions of several: each class by itself, and which was taken for which.

In: what is to be judged, and positions, by class. Out: figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from milopyp_shared.errors import InputError
from milopyp_shared.formats.positions import Positions
from milopyp_shared.names import listed
from milopyp_shared.particles import case_hint

from .comparison import Comparison, compare, doubts
from .confusion import Confusion, confuse
from .judged import Source


@dataclass(frozen=True)
class Asked:
    """How a class is judged: the radius of a match, and the distance between what is ranked; see `compare`."""

    radius: float
    distance: float | None


@dataclass(frozen=True)
class ClassComparison:
    """How good the picks of several classes are.

    Attributes
    ----------
    named
        By class, of those that both picks and particles are of.
    confusion
        Of all classes and tomograms, of the picks that were decided for; None where nobody knows them.
    only_picked, only_known
        Classes of picks without particles, and of particles without picks.
    """

    named: dict[str, Comparison]
    confusion: Confusion | None
    only_picked: tuple[str, ...]
    only_known: tuple[str, ...]

    def to_dict(self, truth: str) -> dict[str, Any]:
        """For strict JSON; the figures of a class are those of its run alone."""
        tomograms = list(next(iter(self.named.values())).each)
        return {
            "truth": truth,
            "tomograms": tomograms,
            "classes": {name: own.to_dict() for name, own in self.named.items()},
            "confusion": None if self.confusion is None else self.confusion.to_dict(),
        }

    def doubts(self, left_out: Sequence[str], where: Path) -> list[str]:
        """What there is to say of classes and tomograms that are not in both; of `left_out`, too.

        `where` is what the positions were read from.
        """
        said = []
        if self.only_picked:
            hint = case_hint(self.only_picked, self.only_known)
            said.append(
                f"{where} has no class {', '.join(self.only_picked)}: its picks stand in the confusion table only"
                f"{hint and f'. {hint}'}"
            )
        if self.only_known:
            said.append(
                f"no picks are of class {', '.join(self.only_known)}: its particles stand in the confusion table only"
            )
        for name, own in self.named.items():
            if empty := [tomogram for tomogram, result in own.each.items() if not result.n_truth]:
                said.append(f"no {name} is known of {listed(empty)}: all picks of {name} there count as false")
        of_each = {name: doubts([replace(own, empty=())], left_out) for name, own in self.named.items()}
        for sentence in dict.fromkeys(one for own in of_each.values() for one in own):
            names = [name for name, own in of_each.items() if sentence in own]
            said.append(sentence if len(names) == len(of_each) else f"{listed(names)}: {sentence}")
        return said


def compare_classes(
    sources: Mapping[str, Source],
    known: Mapping[str, Positions],
    asked: Mapping[str, Asked],
    radius: Mapping[str, float],
    where: Path,
) -> ClassComparison:
    """Judge picks of several classes, on the same tomograms, by known positions of several.

    Parameters
    ----------
    sources, asked
        By class of the picks.
    known
        By class of the particles, by the names of the sources' tomograms.
    radius
        Of a match with particles of a class that nothing was picked of, voxels, where it is known.
    where
        What `known` was read from, for messages.

    Raises
    ------
    InputError
        They have no class, or no tomogram, in common.
    UsageError
        A radius is not above 0.
    """
    both = [name for name in sources if name in known]
    if not both:
        raise InputError(
            f"has particles of {listed(known)}", where=where, expected=f"those of a class that was picked: "
            f"{', '.join(sources)}", remedy=f"{case_hint(known, sources)} Rename the classes there.".strip(),
        )  # fmt: skip
    named = {
        name: compare(sources[name], known[name], asked[name].radius, asked[name].distance, where) for name in both
    }
    return ClassComparison(
        named,
        _confusion(sources, known, {name: own.radius for name, own in asked.items()} | dict(radius)),
        tuple(name for name in sources if name not in known),
        tuple(name for name in known if name not in sources),
    )


def _confusion(
    sources: Mapping[str, Source], known: Mapping[str, Positions], radius: Mapping[str, float]
) -> Confusion | None:
    """Of all tomograms; None where it is not known which candidates became picks."""
    if any(len(source.chosen) < len(source.ranked) for source in sources.values()):
        return None
    positions = {kind: own.with_empty for kind, own in known.items()}
    return reduce(
        add,
        (
            confuse(
                {kind: source.chosen[name].picks for kind, source in sources.items()},
                {kind: own[name].xyz for kind, own in positions.items()},
                radius,
            )
            for name in next(iter(sources.values())).ranked
        ),
    )
