"""Small tomograms, and the command at work on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from labelling.asking import Page, labelling
from toys import DIAMETER, VOXEL_SIZE, clean_phantom, noise, write_tomogram


@pytest.fixture(scope="session")
def particles() -> np.ndarray:
    """``(10, 3)`` x, y, z of the particles in tomogram 0 of `page`."""
    return np.asarray(clean_phantom().particles_xyz)


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The command with two tomograms, the second one of noise, which tests of requests share."""
    folder = tmp_path_factory.mktemp("labelling")
    write_tomogram(folder / "a.mrc", clean_phantom().volume, voxel_size=VOXEL_SIZE)
    write_tomogram(folder / "b.mrc", noise((20, 40, 50)), voxel_size=VOXEL_SIZE)
    with labelling(f"a.mrc b.mrc --bbox {DIAMETER:g}", folder) as found:
        found.settle()
        yield found
