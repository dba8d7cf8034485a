"""``--shard``: which tomograms of a list this process picks, of several that share the list."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from milopyp_shared.errors import UsageError
from milopyp_shared.files import file_size
from milopyp_shared.lists import ImageEntry
from milopyp_shared.wording import counted

AUTO = "auto"
ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` parts, from 1."""

    number: int
    count: int


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """``2/4``, or ``auto`` in a task of a SLURM array.

    Raises
    ------
    UsageError
        Anything else, or ``auto`` outside an array.
    """
    if text == AUTO:
        values = [environment.get(name, "") for name in ARRAY]
        if not all(value.isdecimal() for value in values):
            raise UsageError(
                "auto", where="--shard", expected=f"a task of a SLURM array, which sets {', '.join(ARRAY)}",
                remedy="Give --shard 2/4 for the second of four parts.",
            )  # fmt: skip
        task, count, first, last = map(int, values)
        if last - first + 1 != count:
            raise UsageError(
                f"an array of {counted(count, 'task')} from {first} to {last}", where="--shard",
                expected="one without gaps: a task that is missing would pick nothing",
                remedy="Submit the whole array again; what is done is skipped.",
            )  # fmt: skip
        return Shard(task - first + 1, count)
    words = text.split("/")
    if len(words) == 2 and all(word.isdecimal() for word in words):
        shard = Shard(*map(int, words))
        if 1 <= shard.number <= shard.count:
            return shard
    raise UsageError(text, where="--shard", expected="I/N with I from 1 to N, e.g. 2/4, or auto")


def part_of(images: Sequence[ImageEntry], shard: Shard) -> list[ImageEntry]:
    """The tomograms of one part: every process that splits the same files gets the same parts.

    The largest tomogram goes to the first part, and each following one to the part that has the fewest bytes so far, so
    that all take about equally long.
    """
    sizes = {image.name: file_size(image.path) for image in images}
    loads = [0] * shard.count
    own = []
    for image in sorted(images, key=lambda image: (-sizes[image.name], image.name)):
        lightest = loads.index(min(loads))
        loads[lightest] += max(sizes[image.name], 1)
        if lightest == shard.number - 1:
            own.append(image)
    return own
