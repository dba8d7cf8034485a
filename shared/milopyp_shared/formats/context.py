"""What must be known of a tomogram to read and write its picks, beside the file that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..imod_header import UNSAID, Placement, Three, middle
from ..tomogram import Frame

REMEDIES = {
    "order": "Say it with --tomogram FILE or --order WORD of milopyp convert.",
    "size": "Say it with --tomogram FILE or --shape X Y Z of milopyp convert.",
    "voxel_size": "Say it with --voxel-size ANGSTROM of this command or of milopyp convert.",
    "coords": "Say it with --coords model2point (numbers of IMOD's models) or --coords voxel (indices from 0), of this "
    "command or of milopyp convert.",
}


@dataclass(frozen=True)
class FormatContext:
    """What is known beside the picks.

    Attributes
    ----------
    order
        Order word of the tomogram's file, or None.
    size
        Of the tomogram's file, voxels, fastest axis first, or None.
    voxel_size
        Angstrom, one number or one along each axis of the file, fastest first; or None.
    frame
        Of the tomogram itself, when it is at hand: header values that models are placed by.
    coords
        What text counts; None: not said.
    with_score
        Text has a fourth column.
    name
        Tomogram to select; None: there is only one.
    label
        Name of the tomogram to write.
    binning
        Voxel of the tomogram over voxel of the files that count in other voxels.
    dynamo_zero, dynamo_tomogram
        Number of the first voxel, number of the tomogram (None: the only one, or 1).
    class_
        Number or name of the only class to read; None: all that the file allows to be taken together.
    class_option
        That `class_` is given by, for messages.
    known_class
        Name of the class that is meant, where the picks beside the file are of one: a coordinate list with classes has
        it, and so has a model with objects that are called so; other files need not know it.
    all_listed
        Of a coordinate list with classes, a tomogram that has rows of any class has been looked at for this one.
    class_number, optics_group
        Of the picks that are written into a STAR file or a Dynamo table; None: nothing is said.
    radius
        Of spheres in models, voxels.
    particle
        Name of the particle for formats that have one.
    as_labels
        What is read will be labels: a tomogram that a list names at its head, without a row, is not known to be empty.
    """

    order: str | None = None
    size: tuple[int, int, int] | None = None
    voxel_size: float | Three | None = None
    frame: Frame | None = None
    coords: Literal["model2point", "voxel"] | None = None
    with_score: bool = False
    name: str | None = None
    label: str = "tomogram"
    binning: float = 1.0
    dynamo_zero: int = 1
    dynamo_tomogram: int | None = None
    class_: str | None = None
    class_option: str = "--class"
    known_class: str | None = None
    all_listed: bool = False
    class_number: int | None = None
    optics_group: int | None = None
    radius: float = 5.0
    particle: str = "particle"
    as_labels: bool = False

    @classmethod
    def of(cls, frame: Frame, label: str, **more: Any) -> FormatContext:
        """What a tomogram itself says, and `more`."""
        return cls(order=frame.order, size=frame.size, voxel_size=frame.voxel_size, frame=frame, label=label, **more)

    @property
    def placement(self) -> Placement:
        """What the header of the tomogram says; that it says nothing where it is not at hand."""
        return UNSAID if self.frame is None else self.frame.placement

    @property
    def one_voxel_size(self) -> float | None:
        """Angstrom, the middle one where they differ; None where it is not known."""
        return middle(self.voxel_size) if isinstance(self.voxel_size, tuple) else self.voxel_size

    def voxel_sizes(self, where: Path) -> NDArray[np.float64]:
        """Angstrom along each axis of the file, ``(3,)``; raises as `require` does."""
        return np.broadcast_to(np.asarray(self.require("voxel_size", where), dtype=np.float64), 3)

    def require(self, need: str, where: Path) -> Any:
        """The value of ``order``, ``size``, ``voxel_size`` or ``coords``.

        Raises
        ------
        UsageError
            It is not known; the message names the option that says it.
        """
        value = getattr(self, need)
        if value is None:
            what = f"{need.replace('_', ' ')} of the tomogram" if need != "coords" else "meaning of its numbers"
            raise UsageError(
                f"the {what} is not known", where=where, remedy=REMEDIES[need],
                expected="a statement of it: this format's positions depend on it",
            )  # fmt: skip
        return value
