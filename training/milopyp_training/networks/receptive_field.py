"""How far a U-Net looks: followed through its layers, not guessed."""

from __future__ import annotations


def unet_halo(poolings: int, head: int = 0, up: int = 2) -> int:
    """Voxels of the finest level that an output voxel depends on, beyond its own, on the larger side.

    For a U-Net with two 3-wide convolutions per level on the way down and `up` on the way up, pooling by 2 (rounded
    up) and up-sampling by 2, followed by layers that reach `head` voxels to either side. The reach depends on where in
    its pooling window a voxel lies; the largest one is returned.
    """
    return max(_reach(position, poolings, head, up) for position in range(2**poolings))


def _reach(position: int, poolings: int, head: int, up: int) -> int:
    low, high = position - head, position + head
    skips = []  # interval of every level's result that is read over its skip connection
    for _ in range(poolings):
        low, high = low - up, high + up
        skips.append((low, high))
        low, high = low // 2, high // 2
    for skip_low, skip_high in reversed(skips):
        low, high = low - 2, high + 2  # the down block
        low, high = min(2 * low, skip_low), max(2 * high + 1, skip_high)
    low, high = low - 2, high + 2
    return max(position - low, high - position)
