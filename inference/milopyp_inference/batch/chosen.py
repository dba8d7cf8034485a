"""What was chosen with ``milopyp threshold`` stays until something else is asked for.

Options that need no network differ between three things: what a call of ``milopyp-infer`` says, what the call before
said, and what is there now. Where the two calls agree, what is there now stays; where they differ, the new call counts,
and so it does where it gives an option that the one before did not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

from milopyp_shared.axes import NO_TURN
from milopyp_shared.commandline import spelled

from .outputs import suffixes
from .records import PickOptions, RunSummary

OF_SELECTION = ("threshold", "limit", "margin", "exclusive", "distance")
OF_FILES = ("with_score", "coords", "formats", "turn")


@dataclass(frozen=True)
class Chosen:
    """The options that count, and what there is to say of them.

    Attributes
    ----------
    stays, replaced
        Of what was chosen: what goes on to count, and what does not any more.
    """

    options: PickOptions
    stays: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """One line of each kind."""
        notes = []
        if self.stays:
            notes.append(
                f"chosen with milopyp threshold, and stays: {', '.join(self.stays)} (an option that is new to "
                "this command counts)"
            )
        if self.replaced:
            notes.append(f"chosen with milopyp threshold, and is replaced: {', '.join(self.replaced)}")
        return notes


def as_chosen(call: PickOptions, typed: Collection[str], before: RunSummary | None, model_sha256: str) -> Chosen:
    """The options of a call, but for what has been chosen since the one before.

    Parameters
    ----------
    typed
        Names of those of `call` that stand on the command line.
    """
    if before is None or call.published is not None or before.options.published is not None:
        return Chosen(call)
    said, now, asked = parts_of(before.call), parts_of(before.options), parts_of(call)
    changed = {name: value for name, value in now.items() if value != said[name]}
    if before.model_sha256 != model_sha256:  # another model's scores
        return Chosen(call, replaced=tuple(_words(name, value) for name, value in changed.items()))
    new = {name for name, value in asked.items() if value != said[name]} | {*typed} - {*before.typed}
    stays = {name: value for name, value in changed.items() if name not in new}
    return Chosen(
        with_parts(call, **stays),
        tuple(_words(name, value) for name, value in stays.items()),
        tuple(
            f"{_words(name, value)} by {_words(name, asked[name])}"
            for name, value in changed.items()
            if name in new and asked[name] != value
        ),
    )


def cut_as(options: PickOptions, wanted: PickOptions) -> PickOptions:
    """`options` with all of `wanted` that needs no network, but the distance, a model's or each tomogram's."""
    parts = parts_of(wanted)
    del parts["distance"]
    return with_parts(options, **parts)


def of_the_network(one: PickOptions, other: PickOptions) -> list[str]:
    """Options on the command line without which these two would have other candidates; masks are compared as files."""
    if other.published is None is one.published:
        one = replace(cut_as(one, other), mask=other.mask)
        one = replace(one, selection=replace(one.selection, distance=other.selection.distance))
    names = _different(one, other)
    if "selection" in names:
        names[names.index("selection")] = "out_thresh"
    if "published" in names and one.published is not None is not other.published:
        names = [name for name in names if name != "published"] + _different(one.published, other.published)
    return [spelled(name) for name in names]


def written_words(options: PickOptions) -> str:
    """Which files of picks there are of each tomogram, for people."""
    files = [f"NAME{suffix} ({word})" for word, suffix in suffixes(options.formats).items()]
    turned = f", all of the tomogram turned by {options.turn}" if options.turn != NO_TURN else ""
    return f"picks above {options.selection.threshold:g} as {', '.join(['NAME.txt', 'NAME.mod', *files])}{turned}"


def _different(one: Any, other: Any) -> list[str]:
    """Names of the fields in which two objects of one class differ."""
    return [own.name for own in fields(one) if getattr(one, own.name) != getattr(other, own.name)]


def with_parts(options: PickOptions, **parts: Any) -> PickOptions:
    """Options with other values of those that need no network, by their names."""
    selected = {name: value for name, value in parts.items() if name in OF_SELECTION}
    rest = {name: value for name, value in parts.items() if name not in OF_SELECTION}
    return replace(options, selection=replace(options.selection, **selected), **rest)


def parts_of(options: PickOptions) -> dict[str, Any]:
    """The options that need no network, by their names."""
    selection = {name: getattr(options.selection, name) for name in OF_SELECTION}
    return selection | {name: getattr(options, name) for name in OF_FILES}


def _words(name: str, value: Any) -> str:
    """One of the options for people."""
    if name == "formats":
        return f"formats {','.join(value)}" if value else "no other formats"
    if name == "with_score":
        return "scores in the text" if value else "no scores in the text"
    if name == "exclusive":
        return "one class at a place" if value else "several classes at a place"
    if name == "limit":
        return "no limit" if value is None else f"the best {value}"
    units = {"margin": " Angstrom", "distance": " voxels"}
    return f"{name} {value:g}{units.get(name, '')}" if isinstance(value, float) else f"{name} {value}"
