"""What ``milopyp evaluate`` says of several classes: tables for a terminal and for ``evaluation.md``.

In: figures. Out: text.
"""

from __future__ import annotations

from .class_comparison import ClassComparison
from .confusion import Confusion
from .evaluation_tables import NOT_RANKED_BY, TITLE, Table, aligned, by_source, in_markdown, notes

LIES_ON = (
    "A pick lies on a particle within the radius of the particle's class: on one of its own class where it is right, "
    "else on one of another class that no better pick of its own has."
)
NO_CONFUSION = "Which class was taken for which is not known: no record says which candidates became picks."


def describe_classes(compared: ClassComparison) -> str:
    """Several classes, for people."""
    lines = [
        *aligned(by_source(compared.named, "class")),
        "",
        f"radius      {_radii(compared)}; a pick is right within it of a particle that no better pick has",
        f"tomograms   {', '.join(next(iter(compared.named.values())).each)}",
        *notes(compared.named),
        "",
        *([NO_CONFUSION] if compared.confusion is None else [*aligned(confusion_table(compared.confusion)), LIES_ON]),
    ]
    return "\n".join(lines)


def markdown_of_classes(compared: ClassComparison, name: str, truth: str) -> str:
    """``evaluation.md`` of several classes."""
    confusion = compared.confusion
    lines = [
        TITLE,
        "",
        f"Picks of `{name}` against `{truth}`; matched one to one, best score first, within {_radii(compared)}, in the",
        f"tomograms {', '.join(next(iter(compared.named.values())).each)}.",
        "",
        "![precision and recall](evaluation.png)",
        "",
        *in_markdown(by_source(compared.named, "class")),
        "",
        NOT_RANKED_BY,
        *notes(compared.named),
        "",
        *([NO_CONFUSION] if confusion is None else [*in_markdown(confusion_table(confusion)), "", LIES_ON]),
    ]
    return "\n".join(lines) + "\n"


def confusion_table(confusion: Confusion) -> Table:
    """A row for each class of picks, a column for each of particles, and what is left of both."""
    rows = [
        (name, *map(str, on), str(none), str(every))
        for name, on, none, every in zip(
            confusion.picks, confusion.on.tolist(), confusion.on_none.tolist(), confusion.n_picks.tolist(), strict=True
        )
    ]
    below = {"not picked": confusion.not_picked, "picked again": confusion.picked_again, "all": confusion.n_particles}
    return [
        ("picks of", *(f"on {name}" for name in confusion.particles), "on none", "all"),
        *rows,
        *((title, *map(str, counts.tolist()), "", "") for title, counts in below.items()),
    ]


def _radii(compared: ClassComparison) -> str:
    radii = {name: own.total.radius for name, own in compared.named.items()}
    if len(set(radii.values())) == 1:
        return f"{next(iter(radii.values())):g} voxels"
    return f"{', '.join(f'{radius:g} ({name})' for name, radius in radii.items())} voxels"
