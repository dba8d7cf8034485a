"""Colours of classes of particles, which are told apart without colour vision.

After M. Okabe and K. Ito, "Color Universal Design" (2008), without black and in an order whose first ones differ most
in lightness.
"""

from __future__ import annotations

#: Red, green and blue, 0..255; more classes than colours begin anew.
CLASS_COLOURS = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)


def colour_of(kind: int) -> tuple[int, int, int]:
    """That of a class by its number, from 0."""
    return CLASS_COLOURS[kind % len(CLASS_COLOURS)]


def hex_colour_of(kind: int) -> str:
    """The same as pages write it: ``#e69f00``."""
    return "#{:02x}{:02x}{:02x}".format(*colour_of(kind))
