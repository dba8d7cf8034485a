"""The recipe: everything a model file says of itself, so that there is nothing to remember and to mistype.

Stored as JSON in the checkpoint and in the ONNX file's ``metadata_props["milopyp"]``. Readers fill fields that
an older schema did not have with their defaults, and refuse a newer schema.
"""

from __future__ import annotations

import itertools
import json
import types
import typing
from bisect import bisect_right
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import InputError
from .preprocessing import Contrast, Preprocessing

SCHEMA = 1
_HUGE = 1e30  # no size, score or figure is as large; NaN fails the comparison, too
METADATA_KEY = "milopyp"
CHUNKS_KEY = "milopyp.chunks"  # the graph that `Chunks` describes


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

    halo: tuple[int, int, int]
    alignment: tuple[int, int, int]
    stride: tuple[int, int, int]


@dataclass(frozen=True)
class Chunks:
    """The file's second graph, for chunks of sections one after the other: no section is computed twice.

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


@dataclass(frozen=True)
class Threshold:
    """The suggested score threshold and how it was found."""

    score: float
    method: str
    calibrated: bool = False


@dataclass(frozen=True)
class Calibration:
    """What is to be expected of picks in tomograms like those of the training.

    Made by `milopyp_training.evaluation.calibration`.

    Attributes
    ----------
    particles
        Estimated number per training tomogram.
    score
        Thresholds, rising.
    precision, recall
        Expected of the picks above each.
    """

    particles: float
    score: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]

    def at(self, threshold: float) -> tuple[float, float]:
        """Precision and recall of picks above `threshold`, interpolated."""
        upper = min(max(bisect_right(self.score, threshold), 1), len(self.score) - 1)
        low, high = self.score[upper - 1], self.score[upper]
        part = min(max((threshold - low) / (high - low), 0.0), 1.0)
        precision, recall = (
            values[upper - 1] + part * (values[upper] - values[upper - 1]) for values in (self.precision, self.recall)
        )
        return precision, recall

    def threshold_for(self, precision: float) -> float | None:
        """The lowest threshold above which at least this precision is expected; None when there is none."""
        return next((s for s, p in zip(self.score, self.precision, strict=True) if p >= precision), None)


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
        ``default`` or ``published``.
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
        The second graph of files for CPUs; None in a checkpoint and in files for GPUs.
    calibration
        What is to be expected of picks; None when the labels do not tell.
    working_bytes
        Memory that the network needs per input voxel that goes through it at once.
    """

    architecture: str
    preset: str
    grey: Preprocessing
    geometry: Geometry
    diameter: float
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

    @property
    def voxel_per_output(self) -> tuple[int, int, int]:
        """Full-resolution voxels per heat-map voxel ``(z, y, x)``."""
        z, y, x = self.geometry.stride
        return (z * self.grey.sections_per_pair, y, x)

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
            Not JSON, a newer schema, a missing field, or a field of another type.
        """
        try:
            stored = json.loads(text)
        except ValueError as error:
            raise InputError(f"the recipe is no JSON ({error})", where=where, expected="a file of milopyp") from error
        if not isinstance(stored, dict) or not isinstance(stored.get("schema"), int):
            raise InputError("the recipe has no schema number", where=where, expected="a file of milopyp")
        if stored.pop("schema") > SCHEMA:
            raise InputError(
                "the recipe was written by a newer milopyp",
                where=where,
                expected=f"schema {SCHEMA} or older",
                remedy="Update milopyp: pip install -U milopyp.",
            )
        recipe: Recipe = _build(cls, stored, where)
        if recipe.calibration is not None:
            _check_calibration(recipe.calibration, where)
        sizes = recipe.geometry
        if min(*sizes.alignment, *sizes.stride) < 1 or min(sizes.halo) < 0 or recipe.diameter <= 0:
            raise InputError(
                f"the recipe's geometry is {sizes} for particles of {recipe.diameter:g} voxels",
                where=where,
                expected="strides and alignments from 1, halos from 0, a positive diameter",
            )
        return recipe


def read_calibration(stored: Any, where: object) -> Calibration:
    """A calibration from JSON's plain types.

    Raises
    ------
    InputError
        It is none.
    """
    calibration: Calibration = _build(Calibration, stored, where, "calibration")
    _check_calibration(calibration, where)
    return calibration


def _check_calibration(found: Calibration, where: object) -> None:
    rising = all(a < b for a, b in itertools.pairwise(found.score))
    if len(found.score) < 2 or not len(found.score) == len(found.precision) == len(found.recall) or not rising:
        raise InputError(
            "the recipe's calibration is no table of rising scores", where=where, expected="what milopyp writes there"
        )


def _build(kind: Any, stored: Any, where: object, name: str = "recipe") -> Any:
    """A dataclass from JSON's plain types, each field checked against its annotation."""
    if not isinstance(stored, dict):
        raise _wrong(name, stored, where)
    known = typing.get_type_hints(kind)
    missing = [f.name for f in fields(kind) if f.name not in stored and not _has_default(f)]
    if missing:
        raise InputError(f"the recipe lacks {', '.join(missing)}", where=where, expected="a file of milopyp")
    return kind(**{key: _value(known[key], stored[key], where, key) for key in known if key in stored})


def _value(kind: Any, stored: Any, where: object, name: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__"):
        return _build(kind, stored, where, name)
    if origin is typing.Literal:
        fits = stored in arguments
    elif origin is tuple:
        if isinstance(stored, list) and arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(stored)
        fits = isinstance(stored, list) and len(stored) == len(arguments)
        if fits:
            return tuple(_value(k, v, where, name) for k, v in zip(arguments, stored, strict=True))
    elif origin is dict:
        fits = isinstance(stored, dict)
        if fits:
            return {str(k): _value(arguments[1], v, where, name) for k, v in stored.items()}
    elif origin is types.UnionType:
        fits = stored is None
        if not fits:
            return _value(arguments[0], stored, where, name)
    elif kind is float:
        fits = isinstance(stored, int | float) and not isinstance(stored, bool) and abs(stored) < _HUGE
        stored = float(stored) if fits else stored
    else:
        fits = isinstance(stored, kind) and (kind is bool or not isinstance(stored, bool))
    if not fits:
        raise _wrong(name, stored, where)
    return stored


def _has_default(entry: Any) -> bool:
    from dataclasses import MISSING

    return entry.default is not MISSING or entry.default_factory is not MISSING


def _wrong(name: str, stored: Any, where: object) -> InputError:
    return InputError(f"the recipe's {name} is {str(stored)[:60]!r}", where=where, expected="what milopyp writes there")
