"""Labels of several classes, as ``milopyp prepare --labels`` says where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from milopyp_shared.errors import UsageError
from milopyp_shared.label_files import How
from milopyp_shared.lengths import Length
from milopyp_shared.particles import Particle, check_names, of_class, one_diameter, particles_of


def of_classes(how: How, given: Mapping[str, Any], folder: str | None) -> dict[str, How]:
    """How labels of each class are read; "" where there is one.

    Raises
    ------
    UsageError
        ``--labels`` says nothing usable, or ``--bbox`` not the diameters of its classes.
    """
    bbox, said = given["bbox"], given["labels"]
    if not said:
        return {"": replace(_chosen(how, given["object_"]), bbox=how.bbox or one_diameter(bbox))}
    if given["picks"] is not None or given["object_"] or given["class_"]:
        raise UsageError(
            "given beside --picks, --object or --class", where="--labels", expected="it alone",
            remedy="Say it for each class: --labels NAME=FILE#CLASS.",
        )  # fmt: skip
    classes = dict(_class_labels(text, how, folder) for text in said)
    if len(classes) < len(said):
        raise UsageError("a class is there twice", where="--labels", expected="each once")
    check_names(classes, "--labels")
    if bbox is None:
        return classes
    return {one.name: replace(classes[one.name], bbox=of_class(bbox, one.name, None)) for one in _sized(bbox, classes)}


def _chosen(how: How, object_: str | None) -> How:
    """How labels are read, of the object of the models that ``--object`` says."""
    if object_ is None:
        return how
    if not object_:
        raise UsageError("is empty", where="--object", expected="the number or the name of an object")
    if how.class_ is not None:
        raise UsageError(
            "given beside --class", where="--object", expected="one of them: objects are the classes of models"
        )
    return replace(how, class_=object_, class_option="--object")


def _sized(bbox: Mapping[str, Length], classes: Mapping[str, How]) -> Sequence[Particle]:
    """The classes, each of which has a diameter."""
    return particles_of({name: length.value for name, length in bbox.items()}, list(classes))


def _class_labels(text: str, how: How, folder: str | None) -> tuple[str, How]:
    """A class, and where its labels are: ``ribosome=_ribo.mod``, ``ribosome=particles.star#2``, ``ribosome=#1``."""
    name, equals, place = text.partition("=")
    path, _, part = place.partition("#")
    if not equals or not (path or part):
        raise UsageError(
            f"{text!r}", where="--labels",
            expected="NAME=ENDING (_ribo.mod), NAME=FILE, NAME=FILE#CLASS, or NAME=#OBJECT of the models",
        )  # fmt: skip
    how = replace(how, class_=part or None, class_option="--labels", kind=name)
    if not path:
        return name, how
    beside = folder is not None and "/" not in path and path[0] in "_.-"
    picks = Path(folder or ".", f"*{path}") if beside else Path(path)
    return name, replace(how, picks=picks)
