"""Fixtures of the training tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments import DIAMETER, lists
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread: small tensors gain nothing from two, and on a busy machine two wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory: ``data/`` as the manual lays it out, and smaller tomograms in ``small/``."""
    threads = torch.get_num_threads()
    common: dict[str, Any] = {"n_distractors": 0, "diameter": DIAMETER, "noise": 0.3, "background": 0.0}
    with contextlib.chdir(tmp_path_factory.mktemp("program")):
        wide = write_phantoms("data", 2, PhantomSettings((16, 68, 72), n_particles=4, **common), order="xzy")
        small = write_phantoms("small", 2, PhantomSettings((16, 48, 52), n_particles=5, **common))
        lists(
            Path("data"),
            wide,
            ("sample_train_explore_img.txt", "training_coordinates.txt", "sample_val_img.txt", "val_coordinates.txt"),
        )
        lists(Path("small"), small, ("train_img.txt", "train_coord.txt", "val_img.txt", "val_coord.txt"))
        yield Path.cwd()
    torch.set_num_threads(threads)
