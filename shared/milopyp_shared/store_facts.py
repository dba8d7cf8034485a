"""What tells a store from another one, and what is doubtful in it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import stores
from .urls import Url
from .zarr_image import OpenImage, array_of, open_image, reading

if TYPE_CHECKING:
    from zarr import Array

    from .remote_store import RemoteStore

_SAMPLES = 16  # chunks that a server is asked about


def facts_of(path: Path) -> object:
    """What is another once somebody has written to a store: names, bytes and times of its files, or `remote_facts`.

    Raises
    ------
    OSError, MilopypError
        There is nothing, or it cannot be looked at.
    """
    if isinstance(path, Url):
        return remote_facts(path)
    return [(name, facts.st_size, facts.st_mtime_ns) for name, facts in stores.files(path)]


def remote_facts(path: Url) -> tuple[int, str]:
    """What tells a store that is not on disk from another: bytes of some chunks, and a SHA-256.

    The latter is of the metadata that are needed, and of what the server says of some chunks all over the array
    (``ETag``, or else when it was changed, and bytes). Chunks between these may change unseen.

    Raises
    ------
    MilopypError
        As `milopyp_shared.zarr_image.open_image`.
    """
    with reading(path):
        opened = open_image(path)
        array, store = array_of(opened), _remote_store(opened)
        found = store.facts_of(_some_keys(array))
        said = json.dumps([sorted(store.metadata.items()), found])
        return sum(size for size, _ in found), hashlib.sha256(said.encode()).hexdigest()


def store_doubts(path: Path, missed: int = 0) -> list[str]:
    """One sentence, with its W number, for everything in a store that is not taken as it stands; none of files.

    Parameters
    ----------
    missed
        Chunks that were looked for and not there: web servers do not say which they have.

    Raises
    ------
    MilopypError
        As `open_image`.
    """
    if stores.split(path) is None:
        return []
    with reading(path):
        opened = open_image(path)
        array, doubts = array_of(opened), []
        told = opened.group.store.supports_listing
        absent = array.nchunks - array.nchunks_initialized if told else missed or _some_absent(opened, array)
    if absent > 0:
        doubts.append(
            f"W16 {'' if told else 'at least '}{absent} of {array.nchunks} chunks are not in the store: their voxels "
            f"are read as its fill value, {array.fill_value!s} (is the copy complete?)"
        )
    if opened.level.voxel_size is None and set(opened.level.scale) != {1.0}:
        doubts.append(
            "W17 the axes have no unit: the scales of the store are left aside (--voxel-size says the voxel size)"
        )
    return doubts


def _remote_store(opened: OpenImage) -> RemoteStore:
    from .remote_store import RemoteStore

    store = opened.group.store
    assert isinstance(store, RemoteStore)  # of a URL
    return store


def _some_keys(array: Array[Any]) -> list[str]:
    """Where some chunks are, the first and the last among them; of shards these."""
    grid = [-(-size // own) for size, own in zip(array.shape, array.shards or array.chunks, strict=True)]
    last = math.prod(grid) - 1
    places = sorted({last * number // (_SAMPLES - 1) for number in range(_SAMPLES)})
    corners = (tuple(map(int, np.unravel_index(place, grid))) for place in places)
    return [f"{array.path}/{array.metadata.encode_chunk_key(corner)}" for corner in corners]


def _some_absent(opened: OpenImage, array: Array[Any]) -> int:
    """How many of some chunks are not there."""
    return sum(fact == (0, "") for fact in _remote_store(opened).facts_of(_some_keys(array)))
