"""What a page may ask for, as it stands in the bodies of its requests; whatever else comes is refused."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from .labels import PARTICLE

Number: TypeAlias = Annotated[float, Meta(ge=-1e6, le=1e6)]
Index: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000)]
Kind: TypeAlias = Annotated[int, Meta(ge=0, le=1)]
Species: TypeAlias = Annotated[int, Meta(ge=0, le=8)]
Score: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Xyz: TypeAlias = tuple[Number, Number, Number]
Places: TypeAlias = Annotated[list[Xyz], Meta(max_length=10_000)]


class _Edit(Struct, tag_field="do", forbid_unknown_fields=True):
    pass


class Add(_Edit, tag="add"):
    """A click."""

    tomogram: Index
    xyz: Xyz
    kind: Kind = PARTICLE
    snap: bool = True
    species: Species = 0


class Move(_Edit, tag="move"):
    """A label is dragged."""

    id: int
    xyz: Xyz
    snap: bool = False


class Remove(_Edit, tag="remove"):
    """A label goes."""

    id: int


class ChangeKind(_Edit, tag="kind"):
    """A label says the opposite, or something of another class."""

    id: int
    kind: Kind
    species: Species | None = None


class Diameter(_Edit, tag="diameter"):
    """Particles have another size."""

    diameter: Annotated[float, Meta(gt=0, le=1e6)]
    species: Species = 0


class Undo(_Edit, tag="undo"):
    """The last step is taken back."""


class Redo(_Edit, tag="redo"):
    """And taken again."""


class Accept(_Edit, tag="accept"):
    """Suggestions are right."""

    tomogram: Index
    places: Places
    species: Species = 0


class Reject(_Edit, tag="reject"):
    """Suggestions are wrong."""

    tomogram: Index
    places: Places
    species: Species = 0


Edit = Add | Move | Remove | ChangeKind | Diameter | Undo | Redo | Accept | Reject


class View(Struct, forbid_unknown_fields=True):
    """What is looked at, and which class is being labelled."""

    tomogram: Index
    species: Species = 0


class CloseUps(Struct, forbid_unknown_fields=True):
    """Places to show small pictures of."""

    tomogram: Index
    places: Annotated[list[Xyz], Meta(max_length=200)]
    reach: Annotated[float, Meta(gt=0, le=1000)]
    pixels: Annotated[int, Meta(ge=8, le=256)] = 96


class Train(Struct, forbid_unknown_fields=True):
    """A wish for a model."""

    method: Literal["train", "learn"]


class Pick(Struct, forbid_unknown_fields=True):
    """A wish for picks."""

    tomograms: Annotated[list[Index], Meta(min_length=1, max_length=100_000)]
    scores: Annotated[list[Score | None], Meta(max_length=9)] = []  # by class; None: as the model suggests


class Stop(Struct, forbid_unknown_fields=True):
    """A job is to end."""

    number: int


class Source(Struct, forbid_unknown_fields=True):
    """Whose suggestions are shown; None: those of the clicks."""

    model: str | None


class Leave(Struct, forbid_unknown_fields=True):
    """The page goes; whether jobs go on without it."""

    keep: bool
