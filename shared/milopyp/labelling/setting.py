"""What the command line says of a labelling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from milopyp_shared.preprocessing import Contrast
from milopyp_shared.tomogram import Tomogram


@dataclass(frozen=True)
class Setting:
    """What stays as long as the page is open.

    Attributes
    ----------
    tomograms
        By name, open.
    out
        Folder of everything that is written.
    contrast
        Of the particles.
    order, voxel_size
        As for all commands; handed to those that are started.
    """

    tomograms: Mapping[str, Tomogram]
    out: Path
    contrast: Contrast = "dark"
    order: str = "auto"
    voxel_size: float | None = None

    @property
    def names(self) -> list[str]:
        """The page knows tomograms by their place in this list."""
        return list(self.tomograms)

    def options(self) -> list[str]:
        """For commands that read the tomograms."""
        given = [] if self.order == "auto" else ["--order", self.order]
        return given if self.voxel_size is None else [*given, "--voxel-size", f"{self.voxel_size:g}"]
