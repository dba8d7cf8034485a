"""What a person has changed of a tomogram's picks: places that are picks, or none, whatever the threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.matching import exclude_near
from milopyp_shared.picks import NO_SCORE, Picks

Place: TypeAlias = tuple[float, float, float]
Scored: TypeAlias = tuple[float, float, float, float]

ROUNDED = 0.0051  # voxels along an axis: a candidate in a list with two decimals is still that candidate
_CLOSER = 1 - 1e-9  # of a distance: what lies at it stays


@dataclass(frozen=True)
class Edits:
    """Places in voxels of the inside frame; those of candidates to the last digit of their table.

    Attributes
    ----------
    taken_out
        Candidates that are no picks.
    put_in
        Candidates that are picks, with their scores.
    by_hand
        Picks where no candidate is.
    """

    taken_out: tuple[Place, ...] = ()
    put_in: tuple[Scored, ...] = ()
    by_hand: tuple[Place, ...] = ()

    @property
    def words(self) -> str:
        """How many there are, for people; empty without any."""
        numbers = {"taken out": self.taken_out, "put in": self.put_in, "added by hand": self.by_hand}
        return ", ".join(f"{len(places)} {what}" for what, places in numbers.items() if places)

    @property
    def kept(self) -> Picks:
        """What is a pick whatever the threshold."""
        table = [*self.put_in, *((*place, NO_SCORE) for place in self.by_hand)]
        xyz_score = np.array(table, dtype=np.float64).reshape(-1, 4)
        return Picks(xyz_score[:, :3], xyz_score[:, 3])

    def left_to_scores(self, picks: Picks, distance: float) -> Picks:
        """Those that their scores decide on: neither taken out, nor kept or closer than `distance` to what is."""
        picks = exclude_near(picks, np.array(self.taken_out, dtype=np.float64).reshape(-1, 3), 0.0)
        return exclude_near(picks, self.kept.xyz, distance * _CLOSER)

    def mended(self, picks: Picks, distance: float) -> Picks:
        """What is left of picks that were chosen by their scores, and what is kept; best first.

        What was measured of them is left out where something is kept: `measured_as` gives it back.
        """
        left, kept = self.left_to_scores(picks, distance), self.kept
        if not len(kept):
            return left
        score = np.concatenate([left.score, kept.score])
        return Picks(np.concatenate([left.xyz, kept.xyz]), score)[np.argsort(-score, kind="stable")]


NO_EDITS = Edits()


def candidates_at(table: Picks, xyz: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the candidate that each place of a list is, ``(n,)``; -1 where there is none.

    Parameters
    ----------
    xyz
        ``(n, 3)``, two decimals at least.
    """
    if not len(table) or not len(xyz):
        return np.full(len(xyz), -1, dtype=np.int64)
    from scipy.spatial import cKDTree

    distance, index = cKDTree(table.xyz).query(xyz, p=np.inf)
    return np.where(distance <= ROUNDED, index, -1)


def measured_as(table: Picks, picks: Picks) -> Picks:
    """Picks with the distances and orientations that the table has of them; NaN for those by hand."""
    at = candidates_at(table, picks.xyz)

    def of_them(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        if values is None:
            return None
        found = np.full((len(picks), *values.shape[1:]), np.nan)
        found[at >= 0] = values[at[at >= 0]]
        return found

    return replace(picks, distance=of_them(table.distance), angles=of_them(table.angles))


def edits_for(table: Picks, chosen: Picks, wanted: Picks, before: Edits, distance: float) -> Edits:
    """The edits that make `wanted` of the picks that scores have chosen.

    Parameters
    ----------
    table, chosen
        All candidates, and those of them that are picks by their scores.
    wanted
        All that are to be picks.
    before
        What was changed already: it stays where `wanted` does not say otherwise.
    distance
        As in `Edits.mended`.
    """
    at = candidates_at(table, wanted.xyz)
    by_hand = tuple(dict.fromkeys(_rows(wanted.xyz[at < 0])))
    places = _rows(table.xyz)
    is_wanted = dict.fromkeys(places[index] for index in at[at >= 0].tolist())
    is_chosen = dict.fromkeys(_rows(chosen.xyz))
    taken_out = dict.fromkeys([*before.taken_out, *is_chosen])
    put_in = {own[:3] for own in before.put_in} | (is_wanted.keys() - is_chosen.keys())
    scores = dict(zip(places, table.score.tolist(), strict=True))

    def edits(put_in: set[Place]) -> Edits:
        scored = tuple((*place, scores[place]) for place in is_wanted if place in put_in)
        return Edits(tuple(place for place in taken_out if place not in is_wanted), scored, by_hand)

    # what is wanted beside a kept place has to be kept, too
    left = {*_rows(edits(put_in).mended(chosen, distance).xyz)}
    return edits(put_in | (is_wanted.keys() - left))


def _rows(xyz: NDArray[np.float64]) -> list[Place]:
    return [(x, y, z) for x, y, z in xyz.tolist()]
