"""The pre-trained weights that every installation has: plain arrays, what they are, and a hash that tells if they are.

``features.npz`` holds the arrays by their names in the network, ``features.onnx`` the same network as a graph for
machines without PyTorch, ``features.json`` the rest. They are rebuilt by ``milopyp pretrain``.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from .atomic import atomic_write, write_text
from .errors import InputError
from .files import missing_file_error
from .preprocessing import Preprocessing
from .recipe import Chunks, Geometry
from .typed_json import decode

FOLDER = Path(__file__).with_name("pretrained")
ARRAYS, GRAPH, DESCRIPTION = "features.npz", "features.onnx", "features.json"
FEATURE_BYTES = 2  # of every feature, which its graph gives out, per input voxel; measured
LARGEST = 64 * 2**20  # bytes of a file that is read at all; real ones have a few megabytes
REINSTALL = (
    "Install milopyp again (pip install --force-reinstall --no-deps milopyp), or give --preset scratch of "
    "milopyp-train."
)

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class NetworkOptions:
    """Parameters of the network; see `milopyp_training.networks.unet3d`."""

    channels: Annotated[int, Meta(ge=1, le=1024)]
    levels: Annotated[int, Meta(ge=1, le=8)]
    features: Annotated[int, Meta(ge=1, le=1024)]
    projected: Annotated[int, Meta(ge=0, le=1)]
    coarse: Annotated[int, Meta(ge=0, le=1024)] = 0


@dataclass(frozen=True)
class GraphFacts:
    """What an engine must know of ``features.onnx``; attributes as in a recipe.

    Attributes
    ----------
    sha256
        Of the file.
    """

    geometry: Geometry
    chunks: Chunks
    working_bytes: int
    sha256: str
    tile_bytes: int | None = None

    @property
    def precision(self) -> str:
        """Of its arithmetic."""
        return "fp32"


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
        Smallest and largest particles that it knows well, full-resolution voxels.
    settings
        Every number of the pre-training, for people.
    versions
        Programs that made them.
    sha256
        Of the file of arrays.
    graph
        The same network as ONNX; None before it is exported.
    """

    architecture: Literal["unet3d"]
    options: NetworkOptions
    grey: Preprocessing
    diameters: tuple[float, float]
    settings: dict[str, str]
    versions: dict[str, str]
    sha256: str = ""
    graph: GraphFacts | None = None


@dataclass(frozen=True)
class PretrainedWeights:
    """Arrays by their names in the network's state, what they are, and the file that they come from."""

    arrays: Arrays
    description: Description
    path: Path


def write_pretrained(folder: Path, arrays: Arrays, description: Description) -> None:
    """Write arrays and description; convolutions in half precision, which halves the size and moves no pick.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    stored: dict[str, Any] = {
        name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stored)
    sha256 = _write(folder / ARRAYS, buffer.getvalue())
    _write_description(folder, replace(description, sha256=sha256))


def write_graph(folder: Path, graph: bytes, facts: GraphFacts) -> None:
    """Put the network as ONNX beside its arrays; `facts` need no hash yet.

    Raises
    ------
    InputError
        There is no description, or the folder cannot be written.
    """
    description = read_description(folder)
    _write_description(folder, replace(description, graph=replace(facts, sha256=_write(folder / GRAPH, graph))))


def read_pretrained(folder: Path | None = None) -> PretrainedWeights:
    """The weights in float32 and their description.

    Parameters
    ----------
    folder
        None: the one that every installation has, `FOLDER`.

    Raises
    ------
    InputError
        A file is missing, damaged or not the one that was described.
    """
    folder = folder or FOLDER
    description = read_description(folder)
    content = _read(folder / ARRAYS, description.sha256)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return PretrainedWeights(
        {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in arrays.items()},
        description,
        folder / ARRAYS,
    )


def read_graph(folder: Path | None = None) -> tuple[bytes, Description]:
    """The network as ONNX, and its description, which has the facts of the graph; the same errors."""
    folder = folder or FOLDER
    description = read_description(folder)
    if description.graph is None:
        raise InputError("says nothing of a graph", where=folder / DESCRIPTION, expected=GRAPH, remedy=REINSTALL)
    return _read(folder / GRAPH, description.graph.sha256), description


def read_description(folder: Path | None = None) -> Description:
    """What the weights are, without reading them; the same errors."""
    path = (folder or FOLDER) / DESCRIPTION
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise missing_file_error(path, "the description of the pre-trained weights", REINSTALL) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", where=path, remedy=REINSTALL) from error
    try:
        description: Description = decode(Description, stored, "description", path)
    except InputError as error:
        raise InputError(error.found, where=path, expected=error.expected, remedy=REINSTALL) from error
    return description


def _write_description(folder: Path, description: Description) -> None:
    """Write what the weights are."""
    write_text(folder / DESCRIPTION, json.dumps(asdict(description), indent=1, sort_keys=True) + "\n")


def _write(path: Path, content: bytes) -> str:
    """Write a file; its SHA-256."""
    with atomic_write(path) as part:
        part.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, sha256: str) -> bytes:
    """The file, provided that it is the one that was described."""
    if not path.is_file():
        raise missing_file_error(path, "the pre-trained weights", REINSTALL)
    content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(
            "has been altered", where=path, expected=f"the file with SHA-256 {sha256[:12]}...", remedy=REINSTALL
        )
    return content
