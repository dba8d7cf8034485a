"""What is known of a call's tomograms while it runs, for its status file."""

from __future__ import annotations

from collections.abc import Callable, Collection

from milopyp_shared.status import Facts

from .records import Failed, Picked, RunSummary


class Counting:
    """Counts tomograms by what becomes of them.

    Attributes
    ----------
    total
        Tomograms of the call.
    current
        Names of those that are at work.
    seconds_left
        Until all are done, as far as that is known.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.current: Callable[[], tuple[str, ...]] = tuple
        self.seconds_left: Callable[[], float | None] = lambda: None
        self._seen: dict[tuple[int, str], Picked | Failed] = {}

    def saw(self, *records: Picked | Failed, kind: int = 0) -> None:
        """Count tomograms as their newest records say; `kind` is the number of the class, whose picks are added."""
        self._seen.update({(kind, record.name): record for record in records})

    def picks(self, name: str, *, kind: int) -> int:
        """Of a class in a tomogram, as far as records say."""
        record = self._seen.get((kind, name))
        return record.picks if isinstance(record, Picked) else 0

    def end(self, summary: RunSummary, names: Collection[str], *, kind: int = 0) -> None:
        """Count the tomograms called `names` as the whole run of a class says in the end."""
        self.saw(*(record for record in summary.tomograms if record.name in names), kind=kind)
        self.current = tuple

    def facts(self) -> Facts:
        """What there is to say now."""
        seen = list(self._seen.items())  # the work goes on meanwhile
        of_first = [record for (kind, _), record in seen if kind == 0]  # whose records are written last
        done = sum(isinstance(record, Picked) for record in of_first)
        picks = sum(record.picks for _, record in seen if isinstance(record, Picked))
        return Facts("tomogram", self.total, done, len(of_first) - done, self.current(), picks, self.seconds_left())
