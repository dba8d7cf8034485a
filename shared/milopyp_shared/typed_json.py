"""JSON's plain values as dataclasses: what does not fit is refused with the path of the field that is wrong."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from .errors import InputError

LARGEST = 1e30  # no size, score or figure is as large; NaN fails the comparison, too
OURS = "what milopyp writes there"
_LONGEST = 60  # characters of a wrong value that are shown


class FieldError(ValueError):
    """A field that does not fit: `found` names it with its path, `expected` is what would fit."""

    def __init__(self, found: str, expected: str = OURS) -> None:
        self.found, self.expected = found, expected
        super().__init__(found)


def decode(kind: Any, stored: object, name: str, where: object, *, complete: bool = True) -> Any:
    """`stored` as a `kind`: a dataclass, a struct of msgspec, or a union of structs with tags.

    Parameters
    ----------
    stored
        What `json.loads` gives.
    name
        What the whole is called in errors, e.g. ``recipe``.
    where
        The file.
    complete
        Refuse a field that is absent even if `kind` has a default: it may not be what the file's writer meant.

    Raises
    ------
    InputError
        A field is missing, unknown, of another type, out of its range or no finite number.
    """
    try:
        try:
            made = msgspec.convert(stored, kind)
        except msgspec.ValidationError as error:
            raise _translated(str(error), stored) from error
        _compare(stored, made, "", complete)
    except FieldError as error:
        raise InputError(f"the {name}{error.found}", where=where, expected=error.expected) from error
    return made


def _compare(stored: Any, made: Any, path: str, complete: bool) -> None:
    """Refuse what `msgspec.convert` lets through: unknown fields, absent ones, and numbers of no use."""
    if (parts := _parts(made)) is not None:
        _compare_fields(stored, parts, path, complete)
    elif isinstance(made, tuple):
        for number, (one, own) in enumerate(zip(stored, made, strict=True)):
            _compare(one, own, f"{path}[{number}]", complete)
    elif isinstance(made, float) and not abs(made) < LARGEST:
        raise FieldError(f"'s {path} is {stored}", f"a number below {LARGEST:g}")


def _compare_fields(stored: dict[str, Any], parts: dict[str, Any], path: str, complete: bool) -> None:
    if unknown := [key for key in stored if key not in parts]:
        raise FieldError(f" has an unknown field {_below(path, unknown[0])}", "fields that this version knows")
    for key, value in parts.items():
        if key in stored:
            _compare(stored[key], value, _below(path, key), complete)
        elif complete and value is not msgspec.UNSET:
            raise FieldError(f" lacks {_below(path, key)}")


def _parts(made: Any) -> dict[str, Any] | None:
    """Names and values of what an object has; None for what has no names."""
    if isinstance(made, msgspec.Struct):
        settings = made.__struct_config__
        return msgspec.structs.asdict(made) | ({settings.tag_field: settings.tag} if settings.tag_field else {})
    if is_dataclass(made):
        return {field.name: getattr(made, field.name) for field in fields(made)}
    return made if isinstance(made, dict) else None


def _translated(text: str, stored: object) -> FieldError:
    """What msgspec says in its words, in ours."""
    parts = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", text, re.DOTALL)
    said, path = (parts[1], parts[2] or "") if parts else (text, "")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", said):
        return FieldError(f" lacks {_below(path, missing[1])}")
    owner = f"'s {path}" if path else ""
    if wrong := re.fullmatch(r"Expected (.*?)(, got .*)?", said):
        return FieldError(f"{owner} is {_shown(stored, path)}", wrong[1].replace("`", ""))
    if said.startswith(("Invalid", "Number")):
        return FieldError(f"{owner} is {_shown(stored, path)}")
    return FieldError(f"{owner} {said}")  # of a ``__post_init__``


def _shown(stored: Any, path: str) -> str:
    """The value at `path`, or the object that holds it where msgspec does not say under which key (``[...]``)."""
    for word in re.findall(r"[^.\[\]]+|\.\.\.", path):
        if word == "...":
            break
        stored = stored[int(word)] if isinstance(stored, list) else stored[word]
    return repr(stored)[:_LONGEST]


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
