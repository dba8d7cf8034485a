"""Tomograms: header facts, plausibility, sections in the inside frame."""

from __future__ import annotations

import bz2
import gzip
import os
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from . import axes
from .atomic import is_full
from .errors import InputError
from .files import missing_file_error
from .voxel_reader import VoxelReader

HEADER_BYTES = 1024
SHORTEST_AXIS = 8
_WRITTEN_AT_ONCE = 4_000_000  # voxels

_MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
_REFUSED_MODES = {3: "complex int16", 4: "complex float32", 101: "4-bit"}
_IMOD_STAMP = 1146047817  # "IMOD" as an integer, at byte 152 of the header
_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}


@dataclass(frozen=True)
class Frame:
    """Where a tomogram's voxels are: all that is needed to write its picks for other programs.

    Attributes
    ----------
    order
        Order word: the file's axes from fastest to slowest.
    stored_shape
        Of the file, slowest axis first.
    voxel_size, header_voxel_size, origin
        As in `Tomogram`.
    """

    order: str
    stored_shape: tuple[int, int, int]
    voxel_size: float | None = None
    header_voxel_size: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Tomogram:
    """An open tomogram; voxels are read only when asked for.

    Attributes
    ----------
    path
        The file.
    order
        Order word: the file's axes from fastest to slowest.
    stored
        The voxels in the file's own axes (slowest first) and number type.
    voxel_size
        Angstrom, or None when neither the user nor the header says (0 and exactly 1.0 count as unsaid).
    header_voxel_size
        What the header says, whatever the user says: 3dmod places models by it.
    origin, start
        Header origin (Angstrom, 0 where it is no finite number) and nxstart, nystart, nzstart along the file's axes,
        fastest first.
    """

    path: Path
    order: str
    stored: VoxelReader
    voxel_size: float | None
    header_voxel_size: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start: tuple[int, int, int] = (0, 0, 0)

    @property
    def frame(self) -> Frame:
        """Where its voxels are."""
        z, y, x = self.stored.shape
        return Frame(self.order, (z, y, x), self.voxel_size, self.header_voxel_size, self.origin)

    @property
    def zyx(self) -> NDArray[Any]:
        """Memory map with axes ``(z, y, x)``, for a few voxels here and there."""
        return self.stored.mapped().transpose(axes.to_zyx(self.order))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes ``(z, y, x)``."""
        z, y, x = (self.stored.shape[axis] for axis in axes.to_zyx(self.order))
        return (z, y, x)

    def sections(self, first: int, last: int) -> NDArray[Any]:
        """Sections ``first <= z < last`` as a contiguous ``(z, y, x)`` array in the file's number type.

        Raises
        ------
        InputError
            The file has become shorter, or cannot be read.
        """
        to_zyx = axes.to_zyx(self.order)
        block = np.ascontiguousarray(self.stored.read_slices(to_zyx[0], first, last).transpose(to_zyx))
        return block.astype(block.dtype.newbyteorder("="), copy=False)

    def raise_if_modified(self) -> None:
        """Raise an `InputError` when the file has been written to since it was opened."""
        self.stored.raise_if_modified()


def open_tomogram(
    path: str | Path, order: str = axes.AUTO, voxel_size: float | None = None, *, shortest: int = SHORTEST_AXIS
) -> Tomogram:
    """Open an MRC file (also .rec, .st; gz and bz2 are unpacked to a temporary file).

    Parameters
    ----------
    path
        The file.
    order
        Order word or ``auto``.
    voxel_size
        Angstrom; overrides the header.
    shortest
        Voxels along every axis at least: what has fewer is no tomogram, but may be a mask or a heat map.

    Raises
    ------
    InputError
        Missing, truncated, not an MRC file, a number type without grey levels, sizes that the file cannot hold,
        or an axis that is too short.
    UsageError
        `order` is no order word.
    ContradictionError
        ``auto``, and no axis is clearly thinnest.
    """
    path = Path(path)
    try:
        return _open(path, order, voxel_size, shortest)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})", where=path, remedy="Check the path and its permissions."
        ) from error


def _open(path: Path, order: str, voxel_size: float | None, shortest: int) -> Tomogram:
    if not path.is_file():
        remedy = f"Give {path}/*.mrc or an image list." if path.is_dir() else "Check the path."
        raise missing_file_error(path, "a tomogram (.mrc, .rec)", remedy)
    with path.open("rb") as stream:
        start = stream.read(HEADER_BYTES)
        unpack = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
        if unpack is None:
            return _interpret(path, stream, start, os.fstat(stream.fileno()).st_size, order, voxel_size, shortest)
    with tempfile.TemporaryFile(prefix="milopyp-") as spool:
        start, size = _unpack(path, unpack, spool)
        return _interpret(path, spool, start, size, order, voxel_size, shortest)


def _interpret(
    path: Path,
    stream: IO[bytes],
    start: bytes,
    size: int,
    order: str,
    voxel_size: float | None,
    shortest: int,
) -> Tomogram:
    header = _header(path, start)
    dtype = _voxel_type(path, header, start)
    shape = _file_shape(path, header)
    offset = HEADER_BYTES + int(header["nsymbt"])
    needed = offset + _voxels(shape) * dtype.itemsize
    if size < needed:
        raise InputError(
            f"the file has {size} bytes",
            where=path,
            expected=f"{needed} for the {shape[2]} x {shape[1]} x {shape[0]} voxels its header claims",
            remedy="The file is truncated or its header is wrong: copy it again.",
        )
    if min(shape) < shortest:
        raise InputError(
            f"the volume has {shape[2]} x {shape[1]} x {shape[0]} voxels",
            where=path,
            expected=f"at least {shortest} along every axis",
            remedy="Give a tomogram, not an image or a crop of a few voxels.",
        )
    word = axes.resolve_order(order, shape, path)
    stored = VoxelReader(path, stream, dtype, shape, offset)
    origin = tuple(float(np.nan_to_num(header["origin"][axis], posinf=0.0, neginf=0.0)) for axis in "xyz")
    starts = tuple(int(header[f"n{axis}start"]) for axis in "xyz")
    stated = _voxel_size(header)
    return Tomogram(
        path,
        word,
        stored,
        voxel_size or stated,
        stated,
        (origin[0], origin[1], origin[2]),
        (starts[0], starts[1], starts[2]),
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
        return min(plausible, key=lambda header: _voxels(_file_shape(path, header)))
    little = np.frombuffer(start, dtype=HEADER_DTYPE.newbyteorder("<"))[0]
    raise InputError(
        f"no MRC header (mode {int(little['mode'])}, sizes {int(little['nx'])} x {int(little['ny'])} x "
        f"{int(little['nz'])})",
        where=path,
        expected="an MRC file of mode 0, 1, 2, 6 or 12 with positive sizes",
        remedy="Give a tomogram in MRC format.",
    )


def _file_shape(path: Path, header: Any) -> tuple[int, int, int]:
    return (int(header["nz"]), int(header["ny"]), int(header["nx"]))


def _voxels(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]  # Python integers: cannot overflow


def _voxel_type(path: Path, header: Any, start: bytes) -> np.dtype[Any]:
    mode = int(header["mode"])
    if mode not in _MODES:
        raise InputError(
            f"mode {mode} ({_REFUSED_MODES[mode]}) has no grey levels",
            where=path,
            expected="mode 0, 1, 2, 6 or 12",
            remedy="Convert it, e.g. with IMOD: newstack -mode 1 IN OUT.",
        )
    if mode == 0 and _bytes_are_unsigned(header, start):
        return np.dtype(np.uint8)
    return np.dtype(_MODES[mode]).newbyteorder(header.dtype["mode"].byteorder)


def _bytes_are_unsigned(header: Any, start: bytes) -> bool:
    """IMOD's flag where its stamp stands; else the header's own maximum, or an age before the MAP id.

    Source: IMOD's description of its MRC header (imodStamp at byte 152, bit 0 of imodFlags = signed bytes).
    """
    byte_order = header.dtype["mode"].byteorder
    stamp, flags = np.frombuffer(start, dtype=np.dtype(np.int32).newbyteorder(byte_order), count=2, offset=152)
    if stamp == _IMOD_STAMP:
        return not flags & 1
    older_than_map_id = bytes(header["map"]).rstrip(b"\0 ") != b"MAP"
    return bool(header["dmax"] > 127 or (older_than_map_id and header["dmin"] >= 0))


def _voxel_size(header: Any) -> float | None:
    lengths = np.array([header["cella"][axis] for axis in "xyz"], dtype=float)
    counts = np.array([header["mx"], header["my"], header["mz"]], dtype=float)
    if np.any(counts <= 0) or not np.all(np.isfinite(lengths)):
        return None
    size = float(np.median(lengths / counts))
    return size if size > 0 and size != 1.0 else None


def _unpack(path: Path, opener: Callable[..., Any], spool: IO[bytes]) -> tuple[bytes, int]:
    """Stream the packed file into `spool`, never more than its header claims."""
    try:
        with opener(path, "rb") as packed:
            start = packed.read(HEADER_BYTES)
            header = _header(path, start)
            dtype = _voxel_type(path, header, start)
            needed = HEADER_BYTES + int(header["nsymbt"]) + _voxels(_file_shape(path, header)) * dtype.itemsize
            spool.write(start)
            size = len(start)
            while size < needed and (block := packed.read(min(1 << 22, needed - size))):
                spool.write(block)
                size += len(block)
            packed.read(1)  # the end of the packed data is where its check sum is looked at
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and is_full(error):
            raise InputError(
                f"there is no room to unpack it ({error.strerror})",
                where=path,
                remedy="Set TMPDIR to a folder with free space.",
            ) from error
        raise InputError(
            f"cannot be unpacked ({error})", where=path, remedy="Unpack it by hand, or copy it again."
        ) from error
    spool.flush()
    return start, size


def write_mrc(
    path: Path,
    data: NDArray[Any],
    voxel_size: float | NDArray[np.float64] | None = None,
    origin: NDArray[np.float64] | tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> None:
    """Write a volume as MRC; equal data give equal bytes (mrcfile's time stamp is left out).

    Parameters
    ----------
    data
        In the file's own axes, slowest first; int8, int16, uint16, float16 or float32.
    voxel_size
        Angstrom, one number or one per file axis (fastest first); None when unknown.
    origin
        Angstrom, per file axis (fastest first).
    """
    header = _new_header(path, data, voxel_size, origin)
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


def _new_header(
    path: Path,
    data: NDArray[Any],
    voxel_size: float | NDArray[np.float64] | None,
    origin: NDArray[np.float64] | tuple[float, float, float],
) -> Any:
    """The header that mrcfile gives a file of one voxel, with the sizes of `data`."""
    import mrcfile

    with mrcfile.new(path, np.zeros((1, 1, 1), data.dtype), overwrite=True) as mrc:
        mrc.set_volume()
        header = mrc.header.copy()
    header.nz, header.ny, header.nx = header.mz, header.my, header.mx = data.shape
    size = np.zeros(3) if voxel_size is None else np.broadcast_to(voxel_size, 3)
    for number, axis in enumerate("xyz"):
        header.cella[axis] = size[number] * header[f"n{axis}"]
        header.origin[axis] = origin[number]
    header.label = b""
    header.label[0] = b"milopyp"
    header.nlabl = 1
    return header
