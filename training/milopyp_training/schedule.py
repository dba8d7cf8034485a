"""How a training run goes, apart from its method: how long, judged when and by what, and what is drawn and kept."""

from __future__ import annotations

from dataclasses import dataclass

from .evaluation.model_selection import Metric


@dataclass(frozen=True)
class Schedule:
    """See the head of this file.

    Attributes
    ----------
    interval
        Epochs between validations.
    save_all
        Keep the checkpoint of every validated epoch.
    metric
        Figure that makes an epoch the best.
    fully_labelled
        The validation tomograms are labelled completely.
    pictures
        Draw validation pictures into ``debug/``.
    limit
        Picks per tomogram in pictures and texts at most.
    print_every
        Steps between printed loss lines, 0 for none.
    """

    epochs: int
    seed: int
    interval: int = 1
    save_all: bool = False
    metric: Metric = "auto"
    fully_labelled: bool = False
    pictures: bool = False
    limit: int | None = None
    print_every: int = 0

    def validates(self, epoch: int) -> bool:
        """Whether this finished epoch is judged: every `interval`, and the last."""
        return epoch % self.interval == 0 or epoch == self.epochs
