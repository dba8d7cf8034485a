"""The recipe: everything a model file says of itself, so that there is nothing to remember and to mistype.

Stored as JSON in the checkpoint and in the ONNX file's ``metadata_props["milopyp"]``. A field that a file of an older
schema does not have means what it meant when the file was written; unknown fields and newer schemas are refused. So a
new field costs a new schema and a row of `_ABSENT`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Protocol

from msgspec import Meta

from .calibration import Calibration, Threshold
from .errors import InputError
from .grey_statistics import Levels
from .particles import name_fault
from .preprocessing import Contrast, Preprocessing
from .scale import LARGEST, SMALLEST, Factors
from .typed_json import decode

SCHEMA = 6
_MOMENTS = {"statistics": "moments"}
_ONE_CLASS: dict[str, Any] = {"particle": "", "others": []}
#: By schema and part, what a field that is absent there meant when the file was written. Rows are never changed.
_ABSENT: dict[int, dict[str, dict[str, Any]]] = {
    1: {
        "": {
            "architecture_options": {},
            "contrast": "dark",
            "voxel_size": None,
            "labels": {},
            "versions": {},
            "parity": {},
            "checkpoint_sha256": "",
            "flips": 1,
            "precision": "fp32",
            "order": None,
            "chunks": None,
            "calibration": None,
            "working_bytes": 400,
            "scale": 1.0,
            "tile_bytes": None,
            "levels": None,
        }
        | _ONE_CLASS,
        "grey": {"pairing": "mean", "sigma": [0.4, 0.8, 0.8], "limits": [-4.0, 4.0], "stretch": False} | _MOMENTS,
        "threshold": {"calibrated": False},
    },
    2: {"": {"scale": 1.0, "tile_bytes": None, "levels": None} | _ONE_CLASS, "grey": _MOMENTS},
    3: {"": {"tile_bytes": None, "levels": None} | _ONE_CLASS},
    4: {"": {"levels": None} | _ONE_CLASS},
    5: {"": _ONE_CLASS},
}
_NotNegative = Annotated[int, Meta(ge=0)]
_Positive = Annotated[int, Meta(ge=1)]
METADATA_KEY = "milopyp"
CHUNKS_KEY = "milopyp.chunks"  # the graph that `Chunks` describes
#: The graph of 3D convolutions for volumes of any size, and one for sizes that are multiples of the alignment.
VOLUME_KEY, ALIGNED_KEY = "milopyp.volume", "milopyp.volume_aligned"


@dataclass(frozen=True)
class Geometry:
    """What an engine must know to cut a volume into tiles; axes ``(z, y, x)``, input voxels (sections after pairing).

    Attributes
    ----------
    halo
        Input that a tile needs beyond its own on either side for exact results.
    alignment
        Tiles must begin at multiples of this.
    stride
        Input voxels per output voxel.
    """

    halo: tuple[_NotNegative, _NotNegative, _NotNegative]
    alignment: tuple[_Positive, _Positive, _Positive]
    stride: tuple[_Positive, _Positive, _Positive]


@dataclass(frozen=True)
class Chunks:
    """The file's streaming graph, for chunks of sections one after the other: no section is computed twice.

    Attributes
    ----------
    delay
        Sections by which its heat map lags behind its input.
    multiple
        Chunks hold a multiple of this many sections.
    states
        What goes from chunk to chunk: ``(sections, channels, n)`` with rows and columns halved n times, rounded up.
    """

    delay: int
    multiple: int
    states: tuple[tuple[int, int, int], ...]

    def state_bytes(self, rows: int, columns: int) -> int:
        """Memory of the states for tiles of that size."""
        return sum(4 * n * c * -(-rows // 2**h) * -(-columns // 2**h) for n, c, h in self.states)


class Runnable(Protocol):
    """What an engine must know of a network; attributes as in a `Recipe`, which is one."""

    @property
    def geometry(self) -> Geometry:
        """Of tiles."""
        ...

    @property
    def chunks(self) -> Chunks | None:
        """The streaming graph."""
        ...

    @property
    def precision(self) -> str:
        """Of the arithmetic."""
        ...

    @property
    def working_bytes(self) -> int:
        """Memory per input voxel."""
        ...

    @property
    def tile_bytes(self) -> int | None:
        """The same in tiles on a CPU; None: no less."""
        ...


@dataclass(frozen=True)
class OtherParticle:
    """A further class of particles that a network finds; attributes as in a `Recipe`."""

    particle: str
    diameter: Annotated[float, Meta(gt=0)]
    threshold: Threshold
    labels: dict[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Recipe:
    """Facts about a trained model.

    Attributes
    ----------
    architecture
        Name of the network, e.g. ``unet3d`` or ``unet_4``.
    architecture_options
        Its parameters, e.g. ``{"last_k": 3}``.
    preset
        ``pretrained``, ``scratch`` (``default`` in older files), ``learn`` or ``published``.
    grey
        How grey levels are made.
    contrast
        Of the particles in the training tomograms.
    geometry
        Halo, alignment and stride of the network.
    diameter
        Particle diameter, full-resolution voxels.
    voxel_size
        Of the training tomograms, Angstrom; None when their headers did not say.
    threshold
        Suggested score threshold.
    labels
        Training labels per tomogram.
    versions
        Programs that made the model.
    parity
        Figures of the export's comparison; empty in a checkpoint.
    checkpoint_sha256
        Of the checkpoint an ONNX file was made from; empty in a checkpoint.
    flips
        Mirrored copies that picking averages over: 1, 2 or 4.
    precision
        Of the arithmetic: ``fp32``, ``fp16`` (for GPUs) or ``int8`` (for CPUs only).
    order
        Axis order of the training tomograms' files, as far as it is known. A hint: every file has its own.
    chunks
        The streaming graph of files for CPUs; None in a checkpoint and in files for GPUs.
    calibration
        What is to be expected of picks; None when the labels do not tell.
    working_bytes
        Memory that the network needs per input voxel that goes through it at once, whatever runs it.
    tile_bytes
        The same in tiles on a CPU, where it is less; None: not known.
    scale
        Voxels that the network sees per voxel of the tomogram, along every axis: tomograms are resampled to it.
    levels
        Of the grey levels of the training tomograms, their mean; None: not known, or simulated.
    particle
        What its particles are called; empty where it has one class that nobody has named.
    others
        Further classes of particles, of which there is a heat map each, behind that of the first one. What is said of
        the first class stands in `diameter`, `threshold`, `labels` and `calibration`.
    """

    architecture: str
    preset: str
    grey: Preprocessing
    geometry: Geometry
    diameter: Annotated[float, Meta(gt=0)]
    threshold: Threshold
    architecture_options: dict[str, int] = field(default_factory=dict)
    contrast: Contrast = "dark"
    voxel_size: float | None = None
    labels: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    checkpoint_sha256: str = ""
    flips: int = 1
    precision: str = "fp32"
    order: str | None = None
    chunks: Chunks | None = None
    calibration: Calibration | None = None
    working_bytes: int = 400
    tile_bytes: Annotated[int, Meta(ge=1)] | None = None
    scale: Annotated[float, Meta(ge=SMALLEST, le=LARGEST)] = 1.0
    levels: Levels | None = None
    particle: str = ""
    others: tuple[OtherParticle, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names of classes that could not stand in the names of files.

        Raises
        ------
        ValueError
            There is one.
        """
        names = [self.particle, *(other.particle for other in self.others)]
        if names != [""] and (fault := name_fault(names)):
            raise ValueError(fault)

    @property
    def classes(self) -> tuple[Recipe, ...]:
        """What the recipe would be for each class alone, in the order of the heat maps."""
        own = [{item.name: getattr(other, item.name) for item in fields(other)} for other in self.others]
        return tuple(replace(self, others=(), **facts) for facts in ({}, *own))

    def with_classes(self, classes: Sequence[Recipe]) -> Recipe:
        """The recipe whose `classes` these are, as far as they differ in what is said of each class."""
        names = [item.name for item in fields(OtherParticle)]
        first, *others = ({name: getattr(one, name) for name in names} for one in classes)
        return replace(self, **first, others=tuple(OtherParticle(**facts) for facts in others))

    @property
    def voxel_per_output(self) -> Factors:
        """Full-resolution voxels per heat-map voxel ``(z, y, x)``."""
        z, y, x = self.geometry.stride
        return (z * self.grey.sections_per_pair / self.scale, y / self.scale, x / self.scale)

    @property
    def suppression_distance(self) -> float:
        """Full-resolution voxels below which the weaker of two peaks is dropped: 0.6 diameters.

        Touching spheres are one diameter apart; elongated particles can come closer side by side.
        """
        return 0.6 * self.diameter

    def to_json(self) -> str:
        """One JSON object, schema number included."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: object) -> Recipe:
        """Read what `to_json` wrote, of this schema or an older one.

        Raises
        ------
        InputError
            Not JSON, a newer schema, or a field that is missing, unknown or wrong.
        """
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"the recipe is no JSON ({error})", where=where, expected="a file of milopyp") from error
        schema = stored.pop("schema", None) if isinstance(stored, dict) else None
        if type(schema) is not int or schema < 1:
            raise InputError("the recipe has no schema number", where=where, expected="a file of milopyp")
        if schema > SCHEMA:
            raise InputError(
                "the recipe was written by a newer milopyp",
                where=where,
                expected=f"schema {SCHEMA} or older",
                remedy="Update milopyp: pip install -U milopyp.",
            )
        for part, meant in _ABSENT.get(schema, {}).items():
            place = stored.get(part) if part else stored
            if isinstance(place, dict):
                place.update(meant | place)
        recipe: Recipe = decode(cls, stored, "recipe", where)
        return recipe
