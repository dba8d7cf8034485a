"""Where 3dmod shows a point, by a statement of its own, against labels, models, masks and heat maps."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milopyp_inference.batch.heat_maps import write_heat_map
from milopyp_shared.errors import ContradictionError
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.header_checks import header_warnings, refuse_unequal_voxels
from milopyp_shared.labels import read_points_of
from milopyp_shared.masks import open_mask
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram, read_header
from running import run_line
from toys import TOY

SHAPE = (8, 20, 24)  # z, y, x
NZ, NY, NX = SHAPE
CLICKS = np.array([[3.0, 4.0, 2.0], [20.0, 1.0, 6.0], [11.0, 15.0, 0.0]])
IMOD = 1146047817


@dataclass(frozen=True)
class Header:
    """Every field that places a voxel; `origin` as it is stored, x, y, z."""

    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cell: tuple[float, float, float] = (240.0, 200.0, 80.0)
    grid: tuple[int, int, int] = (NX, NY, NZ)
    version: int = 20140
    flags: int | None = None  # None: without IMOD's stamp
    map_id: bool = True
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exttyp: bytes = b""
    mapr: int = 2
    announced: int = 0
    endian: str = "<"

    def write(self, path: Path, voxels: np.ndarray[Any, Any] | None = None) -> Path:
        voxels = np.zeros(SHAPE, np.float32) if voxels is None else voxels
        e, (nz, ny, nx) = self.endian, voxels.shape
        mode = {"int8": 0, "float32": 2}[voxels.dtype.name]
        head = bytearray(1024)
        struct.pack_into(f"{e}10i", head, 0, nx, ny, nz, mode, 0, 0, 0, *self.grid)
        struct.pack_into(f"{e}6f3i", head, 40, *self.cell, 90, 90, 90, 1, self.mapr, 3)
        struct.pack_into(f"{e}3f2i", head, 76, voxels.min(), voxels.max(), voxels.mean(), 1, self.announced)
        struct.pack_into(f"{e}4si", head, 104, self.exttyp, self.version)
        if self.flags is not None:
            struct.pack_into(f"{e}2i", head, 152, IMOD, self.flags)
        struct.pack_into(f"{e}3f", head, 184, *self.tilt)
        x, y, z = self.origin
        if self.map_id:
            struct.pack_into(f"{e}3f4s", head, 196, x, y, z, b"MAP ")
        else:
            struct.pack_into(f"{e}3f", head, 208, z, x, y)
        path.write_bytes(bytes(head) + voxels.astype(voxels.dtype.newbyteorder(e)).tobytes())
        return path


def as_imod_reads(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any], bool]:
    """Origin (IMOD's sign), spacing, tilt angles, rows from the top: as mrc_head_read says, from the bytes alone."""
    b = path.read_bytes()[:1024]
    e = "<" if 0 < struct.unpack("<i", b[:4])[0] < 65536 else ">"
    origin = struct.unpack(e + "3f", b[196:208])
    if b[208:211] != b"MAP":
        old = struct.unpack(e + "3f", b[208:220])
        origin = (old[1], old[2], old[0])
    stamp, flags = struct.unpack(e + "2i", b[152:160])
    version = struct.unpack(e + "i", b[108:112])[0]
    sign = -1 if (stamp == IMOD and flags & 4) or 20140 <= version < 20280 else 1
    m, cell = list(struct.unpack(e + "3i", b[28:40])), list(struct.unpack(e + "3f", b[40:52]))
    if not m[0] or cell[0] < 1e-5:
        m, cell = [1, 1, 1], [1.0, 1.0, 1.0]
    if cell[2] < 1e-5:
        cell[2] = m[2] * cell[0] / m[0]
    spacing = [c / n if c and n else 1.0 for c, n in zip(cell, m, strict=True)]
    top = stamp != IMOD and ((b[104:107] == b"FEI" and version == 20140) or struct.unpack(e + "i", b[68:72])[0] == -2)
    return sign * np.array(origin), np.array(spacing), np.array(struct.unpack(e + "3f", b[184:196])), top


def click(path: Path, volume: Path, voxels: np.ndarray[Any, Any]) -> Path:
    """The model that 3dmod saves when these voxels of the file are clicked."""
    origin, spacing, tilt, top = as_imod_reads(volume)
    shown = np.where([False, top, False], NY - 1 - voxels, voxels) + np.array([0.5, 0.5, 0.0])
    reference = (*spacing, *origin, *tilt)
    out = b"IMODV1.2" + struct.pack(
        ">128s4iI4i3f3f3i2ifii3f", b"", NX, NY, NZ, 1, 0xF400, 1, 1, 0, 255, 0, 0, 0, 1, 1, 1, 0, 0, 0, 3, 128,
        spacing[0] / 10, -9, 0, 0, 0, 0,
    )  # fmt: skip
    out += b"OBJT" + struct.pack(
        ">64s64siIii3fi8Bii", b"", bytes(64), 1, 1 << 9, 0, 1, 0, 1, 0, 5, 1, 3, 1, 1, 0, 0, 0, 0, 0, 0
    )
    out += b"CONT" + struct.pack(">iIii", len(shown), 0, 0, 0) + shown.astype(">f4").tobytes()
    path.write_bytes(out + b"MINX" + struct.pack(">i18f", 72, *reference, *reference) + b"IEOF")
    return path


def shown_at(model: Path, volume: Path) -> np.ndarray[Any, Any]:
    """The voxels of the file at which 3dmod shows a model that has the volume's own rotation."""
    data, points, at = model.read_bytes(), [], 0
    while (at := data.find(b"CONT", at)) >= 0:
        points.append(struct.unpack_from(">3f", data, at + 20))
        at += 32
    place = np.array(points) + np.array([0.0, 0.0, 0.5])
    origin, spacing, tilt, top = as_imod_reads(volume)
    if (at := data.find(b"MINX")) >= 0:
        own = np.array(struct.unpack_from(">18f", data, at + 8))
        assert own[15:18] == pytest.approx(tilt)
        place = (place * own[9:12] - own[12:15] + origin) / spacing
    index = place - 0.5
    return np.where([False, top, False], NY - 1 - index, index)


KINDS = {
    "IMOD 4": Header((-100.0, 30.0, 40.0), version=0, flags=1),
    "IMOD 4.7, inverted": Header((100.0, 30.0, -40.0), version=0, flags=5),
    "IMOD 5": Header((100.0, 30.0, -40.0), flags=5),
    "no stamp, no version": Header((-20.0, 0.0, 7.0), version=0),
    "MRC2014": Header((20.0, 0.0, 7.0), version=20141),
    "version of another program": Header((20.0, 0.0, 7.0), version=20300),
    "before the MAP id": Header((20.0, -5.0, 7.0), version=0, map_id=False),
    "before it, other bytes": Header((20.0, -5.0, 7.0), version=0, map_id=False, endian=">"),
    "rows from the top, FEI": Header((0.0, 10.0, 0.0), exttyp=b"FEI1"),
    "rows from the top, MAPR": Header(mapr=-2),
    "FEI of a later version": Header(exttyp=b"FEI1", version=20141),
    "tilted": Header((5.0, 6.0, 7.0), tilt=(90.0, 0.0, 0.0), flags=5),
    "half along z": Header(cell=(240.0, 200.0, 40.0)),
    "z cell is nz": Header(cell=(240.0, 200.0, 8.0)),
    "z cell is a pixel": Header(cell=(240.0, 200.0, 10.0)),
    "no z cell": Header(cell=(240.0, 200.0, 0.0)),
    "mz 1": Header(cell=(240.0, 200.0, 10.0), grid=(NX, NY, 1)),
    "nothing said": Header(cell=(0.0, 0.0, 0.0)),
}


def there_and_back(header: Header, clicks: np.ndarray[Any, Any], folder: Path) -> None:
    volume = header.write(folder / "a.mrc")
    tomogram = read_header(volume, "xyz")
    labels = read_points_of(click(folder / "a.mod", volume, clicks), tomogram)
    np.testing.assert_allclose(labels, clicks, atol=0.01)
    context = FormatContext.of(tomogram.frame, "a")
    picks = Picks(labels, np.linspace(1, 0.5, len(labels)))
    FORMATS["mod"].write(folder / "b.mod", picks, context)
    np.testing.assert_allclose(shown_at(folder / "b.mod", volume), clicks, atol=0.01)
    np.testing.assert_allclose(FORMATS["mod"].read(folder / "b.mod", context).xyz, clicks, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_clicks_come_back_where_they_were(kind: str, tmp_path: Path) -> None:
    there_and_back(KINDS[kind], CLICKS, tmp_path)


places = st.tuples(*(st.floats(0, size - 1, width=32) for size in (NX, NY, NZ)))
lengths = st.floats(-4000, 4000, width=32)
headers = st.builds(
    Header, origin=st.tuples(lengths, lengths, lengths),
    cell=st.tuples(st.floats(24, 480, width=32), st.floats(20, 400, width=32), st.floats(0, 160, width=32)),
    version=st.sampled_from([0, 20140, 20141, 20269]), flags=st.sampled_from([None, 0, 1, 4, 5]),
    map_id=st.booleans(), tilt=st.tuples(st.floats(-90, 90, width=32), st.just(0.0), st.floats(-9, 9, width=32)),
    exttyp=st.sampled_from([b"", b"FEI1", b"SERI"]), mapr=st.sampled_from([2, -2]), endian=st.sampled_from("<>"),
)  # fmt: skip


@given(header=headers, clicks=st.lists(places, min_size=1, max_size=4))
def test_clicks_come_back_whatever_the_header(
    header: Header, clicks: list[tuple[float, float, float]], tmp_path: Path
) -> None:
    there_and_back(header, np.array(clicks), tmp_path)


def test_clicks_on_the_volume_before_it_was_turned(tmp_path: Path) -> None:
    """After IMOD's rotx row y of the new volume is section z of the old one, section z is row ny - 1 - y."""
    before = Header((10.0, 20.0, 30.0), tilt=(90.0, 0.0, 0.0), flags=5).write(tmp_path / "tilt.rec")
    model = click(tmp_path / "a.mod", before, CLICKS)
    # clip.c: with centres c = n / 2 - origin / p, the new origins are (n' / 2 - c_z) p and (n' / 2 + c_y) p
    origin = (10.0, 30.0, -(NY * 10.0 + 20.0))
    turned = Header(origin, cell=(240.0, 80.0, 200.0), grid=(NX, NZ, NY), flags=5)
    after = turned.write(tmp_path / "rotx.rec", np.zeros((NY, NZ, NX), np.float32))
    x, y, z = CLICKS.T
    expected = np.stack([x, z, NY - 1 - y], axis=1)
    np.testing.assert_allclose(read_points_of(model, read_header(after, "xyz")), expected, atol=0.01)


@pytest.mark.parametrize(("flags", "zero"), [(1, -128), (5, -128), (None, 0)])
def test_a_mask_of_signed_bytes(flags: int | None, zero: int, tmp_path: Path) -> None:
    wanted = np.indices(SHAPE)[2] < 9
    mask = Header(flags=flags).write(tmp_path / "mask.mrc", (wanted + zero).astype(np.int8))
    tomogram = read_header(Header().write(tmp_path / "a.mrc"), "xyz")
    np.testing.assert_array_equal(open_mask(mask, tomogram).zyx, wanted)


@pytest.mark.parametrize(
    "kind", ["IMOD 4", "IMOD 5", "before the MAP id", "rows from the top, FEI", "half along z", "tilted"]
)
def test_heat_maps_lie_on_their_tomograms(kind: str, tmp_path: Path) -> None:
    volume = KINDS[kind].write(tmp_path / "a.mrc")
    write_heat_map(tmp_path / "hm.mrc", np.zeros((4, 10, 12), np.float32), read_header(volume, "xyz").frame, (2, 2, 2))
    origin, spacing, tilt, top = as_imod_reads(volume)
    own = as_imod_reads(tmp_path / "hm.mrc")
    np.testing.assert_allclose(own[1], 2 * spacing)
    np.testing.assert_allclose(own[0], origin - spacing / 2)  # IMOD's origin is minus the place of the first voxel
    assert (own[2].tolist(), own[3]) == (tilt.tolist(), top)


@pytest.mark.parametrize(
    ("cell_z", "warned", "refused"),
    [(80.0, False, False), (80.04, False, False), (83.0, True, False), (40.0, True, True), (8.0, True, True)],
)
def test_unequal_voxels(cell_z: float, warned: bool, refused: bool, tmp_path: Path) -> None:
    path = Header(cell=(240.0, 200.0, cell_z)).write(tmp_path / "a.mrc")
    header = read_header(path, "xyz")
    assert [text[:3] for text in header_warnings(header)] == ["W09"] * warned
    assert header.frame.voxel_size == pytest.approx((10.0, 10.0, cell_z / 8))
    if refused:
        with pytest.raises(ContradictionError, match="--voxel-size"):
            refuse_unequal_voxels(header)
    else:
        refuse_unequal_voxels(header)
    said = read_header(path, "xyz", 12.0)
    refuse_unequal_voxels(said)
    assert (said.frame.voxel_size, header_warnings(said)) == ((12.0,) * 3, [])


def test_angstrom_count_by_each_axis(tmp_path: Path) -> None:
    frame = read_header(Header(cell=(240.0, 200.0, 40.0)).write(tmp_path / "a.mrc"), "xyz").frame
    context, picks = FormatContext.of(frame, "a"), Picks(CLICKS, np.array([0.9, 0.8, 0.7]))
    for word in ("relion5", "copick"):
        FORMATS[word].write(tmp_path / word, picks, context)
        np.testing.assert_allclose(FORMATS[word].read(tmp_path / word, context).xyz, CLICKS, atol=1e-3)
    assert [*json.loads((tmp_path / "copick").read_text())["points"][0]["location"].values()] == [30.0, 40.0, 10.0]


@pytest.mark.parametrize("origin", [(np.nan, 0.0, 0.0), (0.0, np.inf, 0.0), (0.0, 0.0, 1e9)])
def test_origins_that_are_no_places(origin: tuple[float, float, float], tmp_path: Path) -> None:
    header = read_header(Header(origin).write(tmp_path / "a.mrc"), "xyz")
    assert [text[:3] for text in header_warnings(header)] == ["W10"]
    context = FormatContext.of(header.frame, "a")
    FORMATS["mod"].write(tmp_path / "a.mod", Picks(CLICKS, np.ones(3)), context)
    assert b"MINX" not in (tmp_path / "a.mod").read_bytes()
    np.testing.assert_allclose(FORMATS["mod"].read(tmp_path / "a.mod", context).xyz, CLICKS, atol=1e-3)


def test_an_extended_header_that_is_not_there(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    tomogram = open_tomogram(Header(announced=768).write(tmp_path / "a.mrc", voxels), "xyz")
    np.testing.assert_array_equal(tomogram.sections(0, NZ), voxels)
    assert [text[:3] for text in header_warnings(tomogram)] == ["W11"]


@pytest.mark.parametrize("cell", [(240.0, 200.0, 40.0), (240.0, 0.0, 80.0)])
def test_picking_refuses_unequal_voxels_in_one_line(cell: tuple[float, float, float], tmp_path: Path) -> None:
    path = Header(cell=cell).write(tmp_path / "in.mrc", np.random.default_rng(2).normal(size=SHAPE).astype(np.float32))
    outcome = run_line("milopyp-infer --order xyz", path, "--model", TOY, "--out", tmp_path / "out")
    assert outcome.code == 2 and "give --voxel-size" in outcome.err and len(outcome.errors) == 1


def test_a_copy_that_has_lost_size_and_origin(tmp_path: Path) -> None:
    model = click(tmp_path / "a.mod", KINDS["IMOD 5"].write(tmp_path / "before.rec"), CLICKS)
    copy = Header(cell=(24.0, 20.0, 8.0)).write(tmp_path / "copy.mrc")
    np.testing.assert_allclose(read_points_of(model, read_header(copy, "xyz")), CLICKS, atol=0.01)


def test_other_data_where_the_angles_stand_is_no_rotation(tmp_path: Path) -> None:
    """Other programs keep what they like there; a record could not hold it either."""
    for tilt, expected in (((0.0, 0.0, 90.0), (0.0, 0.0, 90.0)), ((0.0, 3e30, 0.0), None), ((-1234.5, 0.0, 0.0), None)):
        path = Header(tilt=tilt, flags=0).write(tmp_path / "a.mrc")
        assert read_header(path, "xyz").frame.placement.rotation == expected


def test_a_cell_that_nothing_can_have_says_nothing(tmp_path: Path) -> None:
    assert read_header(Header(cell=(3e38, 3e38, 3e38)).write(tmp_path / "a.mrc"), "xyz").voxel_size is None
