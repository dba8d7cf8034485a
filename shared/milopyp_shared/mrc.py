"""The MRC format: what a header says, and files written."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mrcfile import constants, utils
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from .errors import InputError
from .imod_header import ROTATION_AT, STANDARD, UNSAID, Placement, bytes_are_signed, is_stamped, placement_of

HEADER_BYTES = 1024
_VERSION = 20141  # of MRC2014, that mrcfile writes
_WRITTEN_AT_ONCE = 250_000  # voxels: they stay in the processor while they are summed

_MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
_REFUSED_MODES = {3: "complex int16", 4: "complex float32", 101: "4-bit"}


@dataclass(frozen=True)
class MrcHeader:
    """What the first kilobyte of a file says.

    Attributes
    ----------
    stored_shape
        Slowest axis first.
    dtype
        Of a voxel, with its byte order.
    offset
        Bytes before the first voxel.
    placement
        Where IMOD has the voxels.
    start
        nxstart, nystart, nzstart.
    absent
        Bytes of an extended header that is announced and not there.
    stamped
        Whether IMOD has written it.
    biased
        Whether it has written signed bytes, of which -128 stands for 0.
    """

    stored_shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int = HEADER_BYTES
    placement: Placement = UNSAID
    start: tuple[int, int, int] = (0, 0, 0)
    absent: int = 0
    stamped: bool = False
    biased: bool = False

    @property
    def file_bytes(self) -> int:
        """Length of a file that holds all the voxels."""
        return self.offset + math.prod(self.stored_shape) * self.dtype.itemsize

    def of_length(self, size: int) -> MrcHeader:
        """The header of a file of `size` bytes: if these are just its voxels, no extended header lies before them."""
        absent = self.offset - HEADER_BYTES
        if absent == 0 or size != self.file_bytes - absent:
            return self
        return replace(self, offset=HEADER_BYTES, absent=absent)


def parse_header(path: Path, start: bytes) -> MrcHeader:
    """Read a header from the first `HEADER_BYTES` of a file; `path` is for messages.

    Raises
    ------
    InputError
        Too short, not MRC, or a number type without grey levels.
    """
    header = _header(path, start)
    dtype, stamped = _voxel_type(path, header, start), is_stamped(header, start)
    return MrcHeader(
        _file_shape(header),
        dtype,
        HEADER_BYTES + int(header["nsymbt"]),
        placement_of(header, start),
        (int(header["nxstart"]), int(header["nystart"]), int(header["nzstart"])),
        stamped=stamped,
        biased=stamped and dtype == np.int8 and bool(header["dmin"] < 0),
    )


def _header(path: Path, start: bytes) -> Any:
    """The MRC2014 header in the byte order that makes its mode and sizes plausible (old files carry no stamp)."""
    if len(start) < HEADER_BYTES:
        raise InputError(
            f"the file ends after {len(start)} bytes",
            where=path,
            expected=f"an MRC header of {HEADER_BYTES} bytes",
            remedy="Give a tomogram in MRC format.",
        )
    plausible = []
    for byte_order in "<>":
        header = np.frombuffer(start, dtype=HEADER_DTYPE.newbyteorder(byte_order))[0]
        known = int(header["mode"]) in _MODES or int(header["mode"]) in _REFUSED_MODES
        if known and all(0 < int(header[n]) < 2**24 for n in ("nx", "ny", "nz")) and 0 <= int(header["nsymbt"]) < 2**30:
            plausible.append(header)
    if plausible:  # both for bytes of, say, 512 x 512 x 256, which swapped are 131072 x 131072 x 65536
        return min(plausible, key=lambda header: math.prod(_file_shape(header)))
    little = np.frombuffer(start, dtype=HEADER_DTYPE.newbyteorder("<"))[0]
    raise InputError(
        f"no MRC header (mode {int(little['mode'])}, sizes {int(little['nx'])} x {int(little['ny'])} x "
        f"{int(little['nz'])})",
        where=path,
        expected="an MRC file of mode 0, 1, 2, 6 or 12 with positive sizes",
        remedy="Give a tomogram in MRC format.",
    )


def _file_shape(header: Any) -> tuple[int, int, int]:
    return (int(header["nz"]), int(header["ny"]), int(header["nx"]))


def _voxel_type(path: Path, header: Any, start: bytes) -> np.dtype[Any]:
    mode = int(header["mode"])
    if mode not in _MODES:
        raise InputError(
            f"mode {mode} ({_REFUSED_MODES[mode]}) has no grey levels",
            where=path,
            expected="mode 0, 1, 2, 6 or 12",
            remedy="Convert it, e.g. with IMOD: newstack -mode 1 IN OUT.",
        )
    if mode == 0 and not bytes_are_signed(header, start):
        return np.dtype(np.uint8)
    return np.dtype(_MODES[mode]).newbyteorder(header.dtype["mode"].byteorder)


def write_mrc(
    path: Path,
    data: NDArray[Any],
    voxel_size: float | NDArray[np.float64] | None = None,
    origin: NDArray[np.float64] | tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    like: Placement | None = None,
) -> None:
    """Write a volume as MRC; equal data give equal bytes (mrcfile's time stamp is left out).

    Parameters
    ----------
    data
        In the file's own axes, slowest first; int8, int16, uint16, float16 or float32.
    voxel_size
        Angstrom, one number or one per file axis (fastest first); None when unknown.
    origin
        Angstrom, per file axis (fastest first), in the sense of MRC2014.
    like
        Of a file whose rotation and direction of rows this one is to have, so that it lies on it in 3dmod.
    """
    header = _new_header(data, voxel_size, origin)
    if like is not None:
        header = _turned_like(header, like)
    total, squares, lowest, highest = 0.0, 0.0, np.inf, -np.inf
    at_once = max(1, _WRITTEN_AT_ONCE // (data.shape[1] * data.shape[2]))
    with path.open("wb") as stream:
        stream.write(header.tobytes())
        for first in range(0, len(data), at_once):
            block = np.ascontiguousarray(data[first : first + at_once])
            stream.write(block.data)
            total += float(block.sum(dtype=np.float64))
            squares += float(np.square(block, dtype=np.float64).sum())
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
        mean = total / data.size
        header.dmin, header.dmax, header.dmean = lowest, highest, mean
        header.rms = np.sqrt(max(squares / data.size - mean**2, 0.0))
        stream.seek(0)
        stream.write(header.tobytes())


def _turned_like(header: Any, like: Placement) -> Any:
    """The header with a rotation, and, for rows from top to bottom, with the name and version that tell IMOD so."""
    if like.rows_downwards:
        header.exttyp, header.nversion = b"FEI1", STANDARD.start
    content = bytearray(header.tobytes())
    struct.pack_into("<3f", content, ROTATION_AT, *(like.rotation or (0.0, 0.0, 0.0)))
    return np.frombuffer(content, HEADER_DTYPE).view(np.recarray).reshape(())


def _new_header(
    data: NDArray[Any],
    voxel_size: float | NDArray[np.float64] | None,
    origin: NDArray[np.float64] | tuple[float, float, float],
) -> Any:
    """An MRC2014 header, as mrcfile writes it, for `data`."""
    order = data.dtype.byteorder.replace("|", "=")  # single bytes have none
    header: Any = np.zeros((), HEADER_DTYPE.newbyteorder(order)).view(np.recarray)
    header.mode, header.machst = utils.mode_from_dtype(data.dtype), utils.machine_stamp_from_byte_order(order)
    header.map, header.nversion, header.ispg = constants.MAP_ID, _VERSION, constants.VOLUME_SPACEGROUP
    header.mapc, header.mapr, header.maps, header.cellb = 1, 2, 3, 90.0
    header.nz, header.ny, header.nx = header.mz, header.my, header.mx = data.shape
    size = np.zeros(3) if voxel_size is None else np.broadcast_to(voxel_size, 3)
    for number, axis in enumerate("xyz"):
        header.cella[axis] = size[number] * header[f"n{axis}"]
        header.origin[axis] = origin[number]
    header.label = b""
    header.label[0] = b"milopyp"
    header.nlabl = 1
    return header
