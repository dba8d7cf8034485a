"""What IMOD's programs take from an MRC header: every rule that places a voxel or a point of a model, in one module.

Source: IMOD's own reading (``mrc_head_read``, ``mrcGetStandardVersion`` and ``mrcGetExtendedType`` in libiimod's
mrcfiles.c, ``readBytesSigned`` in b3dutil.c, ``imodSetRefImage`` in libimod's imodel.c) and its mrc_format.txt. A
header is a numpy record of `mrcfile.dtypes.HEADER_DTYPE`, in the byte order of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Three: TypeAlias = tuple[float, float, float]  # along the axes of a file, fastest first

STAMP = 1146047817  # "IMOD" as an integer, at byte 152
SIGNED_BYTES, INVERTED_ORIGIN = 1, 4  # bits of imodFlags, at byte 156
ROTATION_AT = 184  # of the current tilt angles, the last three of six
STANDARD = range(20140, 20280)  # nversion: MRC2014 and later. IMOD's end moves with the year
AS_UNSIGNED = 128  # IMOD adds it to signed bytes, so that all bytes count from 0 to 255
ROUNDING = 1e-3  # sizes that differ by less, relatively, are one size written with fewer digits
FURTHEST = 1000.0  # an origin that is more lengths of the volume away says nothing

_SMALLEST_CELL, _LARGEST_VOXEL = 1e-5, 1e6


@dataclass(frozen=True)
class Placement:
    """Where 3dmod has a file's voxels, which decides where it shows a model.

    Attributes
    ----------
    voxel_size
        Angstrom along each axis as IMOD reads them; None where the header does not say (0 and exactly 1.0).
    origin
        Angstrom, in the sense of MRC2014: position of the first voxel. None where it is no place: not finite, or
        further away than the volume is long by far.
    rotation
        Current tilt angles about x, y and z, degrees. None where they are not known, or no angles.
    rows_downwards
        Whether IMOD takes the rows from top to bottom, so that its first row is the file's last.
    """

    voxel_size: Three | None = None
    origin: Three | None = (0.0, 0.0, 0.0)
    rotation: Three | None = (0.0, 0.0, 0.0)
    rows_downwards: bool = False

    @property
    def says_nothing(self) -> bool:
        """Whether neither size nor origin is said, as in copies whose header is lost."""
        return self.voxel_size is None and not any(self.origin or ())

    def is_close(self, other: Placement) -> bool:
        """Whether voxels are in the same places but for the rounding of single precision."""
        pairs = (self.voxel_size, other.voxel_size), (self.origin, other.origin), (self.rotation, other.rotation)
        if any((one is None) != (another is None) for one, another in pairs):
            return False
        same = all(np.allclose(one or 0.0, another or 0.0, rtol=ROUNDING, atol=ROUNDING) for one, another in pairs)
        return same and self.rows_downwards == other.rows_downwards


UNSAID = Placement()


def middle(size: Three) -> float:
    """The middle one of the voxel sizes along three axes."""
    return sorted(size)[1]


def placement_of(header: Any, start: bytes) -> Placement:
    """What a header says of the places of its voxels; `start` are the file's first bytes."""
    size = voxel_size_of(header)
    return Placement(size, _origin(header, start, size), _rotation(header, start), _rows_downwards(header, start))


def bytes_are_signed(header: Any, start: bytes) -> bool:
    """Whether voxels of mode 0 are signed: by IMOD's flag under its stamp, else by the smallest and largest value."""
    if is_stamped(header, start):
        return bool(_flags(header, start) & SIGNED_BYTES)
    low, high = float(header["dmin"]), float(header["dmax"])
    return low < 0 and (high < AS_UNSIGNED or -low > high - AS_UNSIGNED)


def is_stamped(header: Any, start: bytes) -> bool:
    """Whether IMOD has written the header: only then its flags mean something."""
    return bool(_integers(header, start, 152, 1)[0] == STAMP)


def voxel_size_of(header: Any) -> Three | None:
    """Angstrom along each axis; no cell along z is that of x, no cell along y is 1 A, none along x says nothing."""
    cell = np.array([header["cella"][axis] for axis in "xyz"], dtype=float)
    grid = np.array([header["mx"], header["my"], header["mz"]], dtype=float)
    if np.any(grid <= 0) or not np.isfinite(cell).all() or cell[0] < _SMALLEST_CELL:
        return None
    size = cell / grid
    if cell[2] < _SMALLEST_CELL:
        size[2] = size[0]
    if cell[1] < _SMALLEST_CELL:
        size[1] = 1.0
    return None if np.all(size == 1.0) or size.max() > _LARGEST_VOXEL else _three(size)


def _origin(header: Any, start: bytes, size: Three | None) -> Three | None:
    if has_map_id(header):
        stored = np.array([header["origin"][axis] for axis in "xyz"], dtype=float)
    else:  # IMOD 2.6.19 and older: z, x, y where the id, the stamp and the deviation are now
        stored = _floats(header, start, 208, 3)[[1, 2, 0]]
    extent = np.array([header["nx"], header["ny"], header["nz"]], dtype=float) * (size or 1.0)
    if not np.isfinite(stored).all() or np.abs(stored).max() > FURTHEST * extent.max():
        return None
    inverted = int(header["nversion"]) in STANDARD or bool(
        is_stamped(header, start) and _flags(header, start) & INVERTED_ORIGIN
    )
    return _three(stored + 0.0 if inverted else 0.0 - stored)  # 0.0 is never written as -0.0


def _rotation(header: Any, start: bytes) -> Three | None:
    angles = _floats(header, start, ROTATION_AT, 3)
    return _three(angles + 0.0) if np.all(np.abs(angles) <= 360.0) else None  # other programs keep other things there


def _rows_downwards(header: Any, start: bytes) -> bool:
    """FEI's first files of MRC2014, and a MAPR of -2."""
    first_of_fei = bytes(header["exttyp"]).startswith(b"FEI") and int(header["nversion"]) == STANDARD.start
    return not is_stamped(header, start) and bool(first_of_fei or header["mapr"] == -2)


def has_map_id(header: Any) -> bool:
    """Whether the header is of the form of MRC2000 and later."""
    return bytes(header["map"]).startswith(b"MAP")


def _flags(header: Any, start: bytes) -> int:
    return int(_integers(header, start, 156, 1)[0])


def _integers(header: Any, start: bytes, offset: int, count: int) -> NDArray[Any]:
    return np.frombuffer(start, header.dtype["nx"], count, offset)


def _floats(header: Any, start: bytes, offset: int, count: int) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling NaN is as good as any
        return np.frombuffer(start, header.dtype["dmin"], count, offset).astype(np.float64)


def _three(values: NDArray[np.float64]) -> Three:
    x, y, z = values.tolist()
    return x, y, z
