"""Options of every command that learns from labelled tomograms: what the tomograms and the particles in them are."""

from __future__ import annotations

from pathlib import Path

import click

from .axes import ORDER_WORDS
from .commandline import option
from .option_types import Number

DATA, PARTICLE = "Data", "Particle"

order_option = option(
    "--order", type=click.Choice(ORDER_WORDS), default="auto", group=DATA,
    help="File axes from fastest to slowest; auto takes the clearly thinnest axis as z.",
)  # fmt: skip
mask_option = option(
    "--mask", type=click.Path(path_type=Path), group=DATA,
    help="MRC mask of all tomograms, or a folder of NAME_mask.mrc: nothing outside (0) is a particle or background.",
)  # fmt: skip
voxel_size_option = option(
    "--voxel-size", type=Number(min=0, min_open=True), group=DATA,
    help="Angstrom, of all tomograms; overrides their headers.",
)  # fmt: skip
may_overlap_option = option(
    "--may-overlap", is_flag=True, group=PARTICLE,
    help="Of several classes: a particle of one says nothing of the others at its place. Without it, it is background "
    "for them.",
)  # fmt: skip
rejected_option = option(
    "--rejected", type=click.Path(path_type=Path), metavar="FILE", group=PARTICLE,
    help="Coordinate list of places in labelled tomograms that hold no particle, however much they look like one.",
)  # fmt: skip
contrast_option = option(
    "--contrast", type=click.Choice(["dark", "bright"]), default="dark", group=PARTICLE,
    help="Are particles darker or brighter than their surroundings?",
)  # fmt: skip
