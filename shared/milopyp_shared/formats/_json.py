"""JSON that others wrote: parts of it with the checks that make a bad file an `InputError`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..textfile import read_lines


def read_json(path: str | Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises
    ------
    InputError
        Unreadable, no JSON, or no object.
    """
    return parse("\n".join(line for _, line in read_lines(path)), path)


def parse(text: str, where: object) -> dict[str, Any]:
    """`text` as a JSON object; anything else is an `InputError`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"is no JSON ({str(error)[:80]})", where=where, expected="a JSON object", remedy="Check its format."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"holds a JSON {type(content).__name__}", where=where, expected="a JSON object")
    return content


def number(value: Any, where: object) -> float:
    """A JSON value as a finite number; anything else is an `InputError`."""
    try:
        result = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        result = math.nan
    if not math.isfinite(result):
        raise InputError(f"{json.dumps(value)[:40]}", where=where, expected="a finite number")
    return result


def location(item: Any, where: object) -> list[float]:
    """x, y, z of ``{"location": {"x": ..., "y": ..., "z": ...}}``."""
    place = item.get("location") if isinstance(item, dict) else None
    if not isinstance(place, dict):
        raise InputError("has no 'location'", where=where, expected="an object with location x, y, z")
    return [number(place.get(axis), f"{where}, location {axis}") for axis in "xyz"]
