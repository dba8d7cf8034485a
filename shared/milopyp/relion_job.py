"""RELION's External job: the tomograms that it gives, and what it wants to find in the job's folder.

In: RELION's list of tomograms, and a folder. Out: tomograms, and RELION's files. Paths count from its project folder.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milopyp_shared import stores
from milopyp_shared.atomic import make_folder, write_text
from milopyp_shared.errors import InputError
from milopyp_shared.formats.relion import TOMOGRAM
from milopyp_shared.formats.star import Block, read_star, write_tables
from milopyp_shared.lists import ImageEntry, check_image_name
from milopyp_shared.names import listed

SUCCESS, FAILURE, ABORTED = (f"RELION_JOB_EXIT_{end}" for end in ("SUCCESS", "FAILURE", "ABORTED"))
ABORT = "RELION_JOB_ABORT_NOW"
COLUMNS = tuple(f"rlnTomoReconstructedTomogram{kind}" for kind in ("Denoised", "", "Half1"))
PARTICLES, SET, NODES = "particles.star", "optimisation_set.star", "RELION_OUTPUT_NODES.star"
_NOTHING = ("none", "n/a", "null", "")  # as programs say that there is no file
_LOOKS_EVERY = 1.0  # seconds


def reconstructed(path: Path, column: str | None) -> tuple[str, list[ImageEntry], list[str]]:
    """The tomograms of RELION's list, called as there: from which column, those, and the names of others without one.

    Parameters
    ----------
    column
        None: the first of `COLUMNS` that names a file.

    Raises
    ------
    InputError
        It is no such list, or names no tomogram, a file that is not there, or one that cannot be a file's name.
    """
    block = next((each for each in read_star(path).values() if TOMOGRAM in each.labels), None)
    if block is None:
        raise InputError(f"has no table with {TOMOGRAM}", where=path, expected="RELION's list of tomograms")
    column = column or next((each for each in COLUMNS if any(_files(block, each).values())), COLUMNS[1])
    files = _files(block, column)
    for name in files:
        check_image_name(name, path, remedy="Name it otherwise in RELION.")
    found = [ImageEntry(name, Path(file)) for name, file in files.items() if file]
    if not found:
        raise InputError(
            f"names no tomogram in {column}", where=path, expected="tomograms that are reconstructed",
            remedy="Give the list of a job Reconstruct tomograms or Denoise, or --column.",
        )  # fmt: skip
    if gone := [str(image.path) for image in found if not stores.is_there(image.path)]:
        raise InputError(
            f"names {listed(gone)}, which {'is' if len(gone) == 1 else 'are'} not there", where=path,
            expected="files below the working directory, RELION's project folder",
            remedy="Start it there, or reconstruct them again.",
        )  # fmt: skip
    return column, found, [name for name, file in files.items() if not file]


def _files(block: Block, column: str) -> dict[str, str]:
    """What a column says of each tomogram; empty where it says that there is no file."""
    names = block.words(TOMOGRAM)
    words = block.words(column) if column in block.labels else [""] * len(names)
    return {name: "" if word.lower() in _NOTHING else word for name, word in zip(names, words, strict=True)}


@contextmanager
def job(folder: Path) -> Iterator[None]:
    """Say in RELION's way how the block ended, and end it as Ctrl-C does when RELION asks for that.

    Raises
    ------
    InputError, FullDiskError
        The folder cannot be written.
    """
    make_folder(folder)
    for name in (SUCCESS, FAILURE, ABORTED, ABORT):
        (folder / name).unlink(missing_ok=True)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(folder / ABORT, over), name="milopyp-relion", daemon=True)
    watch.start()
    how = FAILURE
    try:
        yield
        how = SUCCESS
    except KeyboardInterrupt:
        how = ABORTED
        raise
    finally:
        over.set()
        watch.join()
        (folder / ABORT).unlink(missing_ok=True)
        write_text(folder / how, "")


def _watch(abort: Path, over: threading.Event) -> None:
    while not over.wait(_LOOKS_EVERY):
        if abort.exists():
            os.kill(os.getpid(), signal.SIGTERM)
            return


def write_nodes(folder: Path, tomograms: Path) -> None:
    """Write what RELION's next job takes: particles and tomograms as one set, and the list of the job's outputs.

    Raises
    ------
    InputError, FullDiskError
        They cannot be written.
    """
    particles = str(folder / PARTICLES)
    labels = ["rlnTomoParticlesFile", "rlnTomoTomogramsFile"]
    write_tables(folder / SET, {"optimisation_set": (labels, [[particles, str(tomograms)]])})
    nodes = [
        [particles, "ParticleGroupMetadata.star.relion.tomo"],
        [str(folder / SET), "TomoOptimisationSet.star.relion.tomo"],
    ]
    write_tables(folder / NODES, {"output_nodes": (["rlnPipeLineNodeName", "rlnPipeLineNodeTypeLabel"], nodes)})
