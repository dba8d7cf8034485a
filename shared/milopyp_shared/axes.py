"""Order words: which file axis is the thickness, and how columns of coordinates are named.

An order word names the file's axes from fastest to slowest. ``xyz`` is what most programs write
(numpy shape (z, y, x)); ``xzy`` is IMOD's reconstruction before any rotation (numpy shape (y, z, x)).
Inside milopyp every array is ``(z, y, x)`` and every coordinate is ``(x, y, z)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import ContradictionError, InputError, UsageError

if TYPE_CHECKING:  # command lines take the words from here, and start without numpy
    import numpy as np
    from numpy.typing import NDArray

ORDERS = ("xyz", "xzy", "zyx", "zxy", "yxz", "yzx")
AUTO = "auto"
NO_TURN = "none"
TURNS = (NO_TURN, "rotx", "yz")  # what --turn takes; milopyp_shared.turns
ORDER_WORDS = (*ORDERS, AUTO)  # what --order takes

# The published program lists numpy axes (slowest first) and calls rows "x", columns "y".
_FROM_PUBLISHED = {"xzy": "xzy", "zxy": "xyz", "xyz": "zxy", "yxz": "zyx"}

# Per numpy axis that holds the thickness: the words that say so, the usual one first.
_WORDS_OF_THIN_AXIS = (("xyz", "yxz"), ("xzy", "yzx"), ("zxy", "zyx"))

CLEARLY_THINNER = 0.75


def from_published(word: str) -> str:
    """Our word for an order word of the published program.

    Raises
    ------
    InputError
        The published program does not know the word.
    """
    try:
        return _FROM_PUBLISHED[word]
    except KeyError:
        known = ", ".join(_FROM_PUBLISHED)
        raise InputError(f"order word {word!r}", expected=f"one of {known} (published meaning)") from None


def to_zyx(order: str) -> tuple[int, int, int]:
    """Axes for ``file_array.transpose(...)`` that give ``(z, y, x)``."""
    slowest_first = order[::-1]
    return (slowest_first.index("z"), slowest_first.index("y"), slowest_first.index("x"))


def from_zyx(order: str) -> tuple[int, int, int]:
    """Axes for ``zyx_array.transpose(...)`` that give the file's array."""
    a, b, c = ("zyx".index(letter) for letter in order[::-1])
    return (a, b, c)


def mirrors(order: str) -> bool:
    """Whether arrays ``(z, y, x)`` of such files show molecules mirrored: two of the file's axes are swapped."""
    return order in ("xzy", "zyx", "yxz")


def columns_to_xyz(columns: NDArray[np.float64], order: str) -> NDArray[np.float64]:
    """``(n, 3)`` coordinates in the file's axis order (fastest first) -> ``(n, 3)`` x, y, z."""
    return columns[:, [order.index(letter) for letter in "xyz"]]


def xyz_to_columns(xyz: NDArray[np.float64], order: str) -> NDArray[np.float64]:
    """``(n, 3)`` x, y, z -> ``(n, 3)`` in the file's axis order (fastest first)."""
    return xyz[:, ["xyz".index(letter) for letter in order]]


def resolve_order(word: str, file_shape: Sequence[int], where: object) -> str:
    """The order word to use for a file.

    Parameters
    ----------
    word
        One of `ORDERS`, or ``auto``: z is the axis that is clearly thinnest (less than 0.75 of both others).
    file_shape
        numpy shape of the file, slowest axis first.
    where
        The file, for messages.

    Raises
    ------
    UsageError
        Not an order word.
    ContradictionError
        ``auto``, and no axis is clearly thinnest.
    """
    if word in ORDERS:
        return word
    if word != AUTO:
        raise UsageError(f"order {word!r}", where=where, expected=f"{AUTO} or one of {', '.join(ORDERS)}")
    thin = _thinnest(file_shape)
    others = [size for axis, size in enumerate(file_shape) if axis != thin]
    if file_shape[thin] >= CLEARLY_THINNER * min(others):
        fastest_first = " x ".join(str(size) for size in reversed(file_shape))
        raise ContradictionError(
            f"the thickness cannot be told from the size {fastest_first}",
            where=where,
            expected="an axis clearly thinner than both others",
            remedy="Give --order xyz (most programs) or --order xzy (IMOD before trimvol -rx).",
        )
    return _WORDS_OF_THIN_AXIS[thin][0]


def order_warning(order: str, file_shape: Sequence[int]) -> str | None:
    """One sentence when `order` makes an axis the thickness that is not the thinnest, else None."""
    thickness = to_zyx(order)[0]
    thin = _thinnest(file_shape)
    if file_shape[thickness] <= file_shape[thin]:
        return None
    text = (
        f"W04 --order {order} makes an axis of {file_shape[thickness]} voxels the thickness, although another has only "
        f"{file_shape[thin]}; {' or '.join(_WORDS_OF_THIN_AXIS[thin])} would take the thinnest"
    )
    published = _FROM_PUBLISHED.get(order)
    if published in _WORDS_OF_THIN_AXIS[thin]:
        text += f" (what the published program calls {order} is {published} here)"
    return text


def _thinnest(shape: Sequence[int]) -> int:
    return min(range(len(shape)), key=shape.__getitem__)


def inside(xyz: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Which of the ``(n, 3)`` x, y, z voxel coordinates lie in a volume of sizes ``(z, y, x)``, faces included."""
    import numpy as np

    return np.asarray(np.all((xyz >= -0.5) & (xyz <= np.array(shape[::-1]) - 0.5), axis=1))


def file_orders_that_fit(xyz: NDArray[np.float64], file_shape: Sequence[int]) -> list[str]:
    """Words for a file of numpy shape `file_shape` under which all x, y, z labels lie inside the volume."""
    return [order for order in ORDERS if inside(xyz, [file_shape[axis] for axis in to_zyx(order)]).all()]


def column_orders_that_fit(columns: NDArray[np.float64], shape: Sequence[int]) -> list[str]:
    """Words for three label columns under which all labels lie in a volume of sizes ``(z, y, x)``."""
    return [order for order in ORDERS if inside(columns_to_xyz(columns, order), shape).all()]
