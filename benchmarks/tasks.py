"""The accuracy tasks: simulated tomograms with exact truth, found through MILOPYP_REFERENCE."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """One particle to learn: `dataset` folder, species, equivalent-sphere diameter and radius in voxels."""

    dataset: str
    species: str
    diameter: float
    radius: float


TASKS = (
    Task("dev", "ribosome70S", 21, 10.7),
    Task("dev", "proteasome26S", 20, 10.1),
    Task("dev", "thyroglobulin", 17, 8.4),
    Task("mid", "betagal", 13, 6.6),
    Task("mid", "apoferritin", 14, 6.8),
    Task("mid", "nmdar", 12, 6.0),
)


def reference_data() -> Path:
    """The folder with the data sets; leaves with a message when it is not known."""
    folder = os.environ.get("MILOPYP_REFERENCE")
    if not folder:
        sys.exit("MILOPYP_REFERENCE is not set: give --data, or set it to the folder that holds data/ and golden/")
    return Path(folder) / "data"
