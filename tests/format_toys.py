"""Picks, contexts and small files for tests of pick formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.imod_header import Placement
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame

SIZES = {"xyz": (201, 300, 64), "xzy": (201, 64, 300)}  # file axes, fastest first; an odd one among them


def setting(order: str = "xyz", **changes: Any) -> FormatContext:
    size = SIZES[order]
    frame = Frame(order, size[::-1], (10.52,) * 3, Placement((10.52,) * 3, (-35.0, 20.0, 7.5)))
    given = {"size": size, "voxel_size": 10.52, "frame": frame, "coords": "model2point", "label": "TS_01"}
    return FormatContext(**{"order": order, **given, **changes})


def some_picks(count: int = 200, seed: int = 1) -> Picks:
    random = np.random.default_rng(seed)
    return Picks(random.uniform(-0.5, [200.5, 299.5, 63.5], (count, 3)), np.sort(random.uniform(0, 1, count))[::-1])


def write(name: str, path: Path, picks: Picks, how: FormatContext) -> Path:
    writer = FORMATS[name].write
    assert writer is not None
    writer(path, picks, how)
    return path


def file(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def column(frame: Any, *names: str) -> Any:
    return frame[list(names)].to_numpy(dtype=float)


RELION5 = """
data_particles

loop_
_rlnTomoName #1
_rlnCenteredCoordinateXAngst #2
_rlnCenteredCoordinateYAngst #3
_rlnCenteredCoordinateZAngst #4
_rlnOriginXAngst #5
TS_01 0.0 -20.0 30.0 0.0
TS_01 5.0 10.0 -40.0 20.0
"""


RELION3 = """data_
loop_
_rlnMicrographName
_rlnCoordinateX
_rlnCoordinateY
_rlnCoordinateZ
_rlnOriginX
"folder/TS 1.mrc"  40 80 # the second one follows
"""
