"""The pre-trained weights that every installation has: plain arrays, what they are, and a hash that tells if they are.

``features.npz`` holds the arrays by their names in the network; ``features.json`` the rest. They are rebuilt by
``milopyp pretrain``.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .atomic import atomic_write, write_text
from .errors import InputError
from .files import missing_file_error
from .preprocessing import Preprocessing
from .typed_json import decode

FOLDER = Path(__file__).with_name("pretrained")
ARRAYS, DESCRIPTION = "features.npz", "features.json"
REINSTALL = "Install milopyp again: pip install --force-reinstall --no-deps milopyp."

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Description:
    """What the weights are.

    Attributes
    ----------
    architecture, options
        Of the network, as in a recipe.
    grey
        How the grey levels that it has learned from are made.
    diameters
        Smallest and largest particles that it has seen, full-resolution voxels.
    settings
        Every number of the pre-training, for people.
    versions
        Programs that made them.
    sha256
        Of the file of arrays.
    """

    architecture: str
    options: dict[str, int]
    grey: Preprocessing
    diameters: tuple[float, float]
    settings: dict[str, str]
    versions: dict[str, str]
    sha256: str = ""


@dataclass(frozen=True)
class PretrainedWeights:
    """Arrays by their names in the network's state, and what they are."""

    arrays: Arrays
    description: Description


def write_pretrained(folder: Path, arrays: Arrays, description: Description) -> None:
    """Write both files; convolutions in half precision, which halves the size and moves no pick.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    stored = {name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **stored)
    content = buffer.getvalue()
    with atomic_write(folder / ARRAYS) as part:
        part.write_bytes(content)
    described = replace(description, sha256=hashlib.sha256(content).hexdigest())
    write_text(folder / DESCRIPTION, json.dumps(asdict(described), indent=1, sort_keys=True) + "\n")


def read_pretrained(folder: Path = FOLDER) -> PretrainedWeights:
    """The weights in float32 and their description.

    Raises
    ------
    InputError
        A file is missing, damaged or not the one that was described.
    """
    description = read_description(folder)
    path = folder / ARRAYS
    if not path.is_file():
        raise missing_file_error(path, "the pre-trained weights", REINSTALL)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != description.sha256:
        raise InputError(
            "has been altered", where=path, expected=f"the file with SHA-256 {description.sha256[:12]}...",
            remedy=REINSTALL,
        )  # fmt: skip
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return PretrainedWeights(
        {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in arrays.items()},
        description,
    )


def read_description(folder: Path = FOLDER) -> Description:
    """What the weights are, without reading them; the same errors."""
    path = folder / DESCRIPTION
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise missing_file_error(path, "the description of the pre-trained weights", REINSTALL) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=path, remedy=REINSTALL) from error
    description: Description = decode(Description, stored, "description", path)
    return description
