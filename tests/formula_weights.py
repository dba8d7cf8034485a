"""Network weights by a closed formula, so that reference outputs need no weight file.

The formula belongs to the reference data: every entry of a state dictionary is filled from a
hash of its name and the position of the element, so any implementation with the published
names and shapes gets the same weights.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn


def uniform(name: str, count: int) -> np.ndarray:
    """`count` numbers in [0, 1), float64, from the hash of `name` and the flat index (integers modulo 2^32)."""
    mask = np.uint64(0xFFFFFFFF)
    seed = np.uint64(zlib.crc32(name.encode("ascii")) * 2246822519 & 0xFFFFFFFF)
    x = (np.arange(1, count + 1, dtype=np.uint64) * np.uint64(2654435761) + seed) & mask
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(2246822519)) & mask
    x = ((x ^ (x >> np.uint64(13))) * np.uint64(3266489917)) & mask
    return (x ^ (x >> np.uint64(16))).astype(np.float64) / 2.0**32


def formula_tensor(name: str, like: torch.Tensor) -> torch.Tensor:
    """The entry `name` of the state dictionary, with the shape and type of `like`."""
    if name.endswith("num_batches_tracked"):
        return torch.full_like(like, 7)
    u = uniform(name, like.numel()).reshape(like.shape)
    r = 2.0 * u - 1.0
    if name.endswith("running_mean") or name.endswith(".bias"):
        values = 0.2 * r
    elif name.endswith("running_var"):
        values = 0.5 + u
    elif like.ndim == 1:
        values = 0.75 + 0.5 * u
    else:
        fan = like.shape[0] if ".upconv." in name else like[0].numel()
        values = np.sqrt(6.0 / fan) * r * (4.0 if name == "hm.weight" else 1.0)
    return torch.from_numpy(values.astype(np.float32)).to(like.dtype)


def fill_by_formula(network: nn.Module) -> None:
    """Replace all parameters and buffers of `network` by the formula's."""
    network.load_state_dict({name: formula_tensor(name, value) for name, value in network.state_dict().items()})


def published_entries(golden: Path, levels: int) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and type of each entry of the published state dictionary, in its order."""
    rows = []
    for line in (golden / f"state_dict_unet_{levels}.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, shape, dtype = line.split("\t")
            rows.append((name, () if shape == "scalar" else tuple(map(int, shape.split("x"))), dtype))
    return rows
