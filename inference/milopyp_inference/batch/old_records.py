"""Records and summaries that versions of before have written, in the words of today."""

from __future__ import annotations

from typing import Any

from milopyp_shared import axes
from milopyp_shared.formats.registry import DYNAMO


def in_todays_words(stored: Any) -> Any:
    """What was stored by versions of before, as of today; see `_complete_options` and `_complete_frame`."""
    if not isinstance(stored, dict):
        return stored
    tomograms = stored.get("tomograms")
    for each in (stored, *(tomograms if isinstance(tomograms, list) else ())):
        if not isinstance(each, dict):
            continue
        options = each.get("options")
        if isinstance(options, dict):
            _complete_options(each, options)
        if isinstance(frame := each.get("frame"), dict) and "placement" not in frame:
            _complete_frame(frame)
    return stored


def _complete_options(each: dict[str, Any], options: dict[str, Any]) -> None:
    """Nothing was turned, measured from a mask's surface, claimed by two classes or known by its digest.

    What had been chosen since a call was not told apart from it.
    """
    options.setdefault("turn", axes.NO_TURN)
    options.setdefault("precision", None)
    options.setdefault("mask_distance", None)
    options.setdefault("normals", False)
    if isinstance(selection := options.get("selection"), dict):
        selection.setdefault("exclusive", True)
    if "tomograms" in each:
        each.setdefault("call", options)
        each.setdefault("typed", [])
    if "status" in each:
        each.setdefault("outputs", {})
    if each.get("status") == "done":
        each.setdefault("levels", None)
    if "name" in each:
        _complete_names(each, options)


def _complete_names(record: dict[str, Any], options: dict[str, Any]) -> None:
    """Every tomogram was called as its outputs are, and had the number 1."""
    formats = options.get("formats")
    record.setdefault("tomo_name", record["name"])
    record.setdefault("called", record["tomo_name"])
    record.setdefault("model", "")  # its digest alone was kept
    record.setdefault("dynamo_tomogram", 1 if isinstance(formats, list) and DYNAMO in formats else None)


def _complete_frame(frame: dict[str, Any]) -> None:
    """A frame held one voxel size, and knew nothing of IMOD's rules."""
    frame["placement"] = {
        "voxel_size": _cube(frame.pop("header_voxel_size", None)),
        "origin": frame.pop("origin", [0.0, 0.0, 0.0]),
        "rotation": None,
        "rows_downwards": False,
    }
    frame["voxel_size"] = _cube(frame.get("voxel_size"))


def _cube(size: Any) -> Any:
    """One voxel size, along each axis."""
    return None if size is None else [size] * 3
