"""IMOD models against the reference files, the `imodmodel` package, a walker of its own and real models."""

import struct
from pathlib import Path

import imodmodel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from milopyp_shared.errors import InputError
from milopyp_shared.formats.mod import (
    PointObject,
    model_points,
    model_scores,
    of_object,
    read_mod,
    to_voxel_index,
    write_mod,
    write_objects,
)
from milopyp_shared.imod_header import Placement
from toys import placed

GOLDEN = [
    "scattered_integers",
    "scattered_float",
    "three_objects_contours",
    "long_open_contours",
    "one_point_per_contour",
    "sizes_and_empty_object",
]
REAL = ["two_contour", "slicer_angle", "multiple_objects", "point_sizes", "meshed_curvature"]
SIZE = (512, 256, 400)
CENTRE = np.array([0.5, 0.5, 0.0])  # of voxel (0, 0, 0), in model coordinates


def chunks(data: bytes) -> list[tuple[str, bytes]]:
    """Every chunk behind the model header, by IMOD's description alone (no meshes)."""
    assert data[:8] == b"IMODV1.2"
    found, at = [], 240
    while True:
        tag = data[at : at + 4].decode()
        if tag == "IEOF":
            assert at + 4 == len(data)
            return found
        if tag == "OBJT":
            start, size = at + 4, 176
        elif tag == "CONT":
            start, size = at + 4, 16 + 12 * struct.unpack_from(">i", data, at + 4)[0]
        else:
            start, size = at + 8, struct.unpack_from(">i", data, at + 4)[0]
        found.append((tag, data[start : start + size]))
        at = start + size


@pytest.mark.parametrize("name", GOLDEN)
def test_reference_models(golden: Path, name: str) -> None:
    expected = np.load(golden / "imod" / "coordinates.npz")[name]
    model = read_mod(golden / "imod" / f"{name}.mod")
    rows = [
        (number, index, *point)
        for number, item in enumerate(model.objects)
        for index, contour in enumerate(item.contours)
        for point in contour.points
    ]
    assert np.array_equal(np.array(rows), expected.astype(np.float32))
    assert np.array_equal(model_points(model), expected[:, 2:].astype(np.float32))
    assert model_scores(model) is None


def test_sizes_and_an_object_without_contours(golden: Path) -> None:
    path = golden / "imod" / "sizes_and_empty_object.mod"
    model, independent = read_mod(path), imodmodel.ImodModel.from_file(path)
    assert (model.size_xyz, model.units, model.pixel_size) == ((400, 400, 200), -9, 1.0)
    for item, other in zip(model.objects, independent.objects, strict=True):
        assert (item.name, item.radius) == (other.header.name.strip("\0"), other.header.pdrawsize)
        for contour, other_contour in zip(item.contours, other.contours, strict=True):
            sizes = other_contour.point_sizes
            assert (contour.sizes is None) if sizes is None else np.array_equal(contour.sizes, sizes)
    assert any(contour.sizes is not None for item in model.objects for contour in item.contours)
    assert any(not item.contours for item in model.objects)


@pytest.mark.parametrize("name", REAL)
def test_real_models_read_as_by_imodmodel(reference: Path, name: str) -> None:
    path = reference / "data" / "real" / f"{name}_example.mod"
    model, independent = read_mod(path), imodmodel.ImodModel.from_file(path)
    header = independent.header
    assert model.size_xyz == (header.xmax, header.ymax, header.zmax)
    assert len(model.objects) == header.objsize
    for number, other in enumerate(independent.objects):
        expected = np.concatenate([np.empty((0, 3)), *(contour.points for contour in other.contours)])
        assert np.array_equal(model_points(of_object(model, str(number + 1), path)), expected)
    assert model.minx is not None
    assert model.minx.scale == pytest.approx(independent.minx.cscale)
    assert model.minx.translation == pytest.approx(independent.minx.ctrans)
    # the volume they were drawn on is taken when no other is given: half a voxel in the two fast axes
    assert np.array_equal(to_voxel_index(model_points(model), model), model_points(model) - CENTRE)


def test_clicks_of_a_real_model_are_whole_voxels(reference: Path) -> None:
    model = read_mod(reference / "data" / "real" / "point_sizes_example.mod")
    index = to_voxel_index(model_points(model), model)
    assert np.abs(index - np.round(index)).max() < 1e-4


points = arrays(np.float32, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(-2000, 4000, width=32))


@settings(max_examples=80)
@given(points, st.booleans(), st.integers(0, 2**32 - 1))
def test_round_trip_is_exact_to_float32(tmp_path: Path, xyz: np.ndarray, scored: bool, seed: int) -> None:
    path = tmp_path / "picks.mod"
    scores = np.random.default_rng(seed).integers(0, 4, len(xyz)) / 7 if scored else None
    volume = placed(13.48, (-120.5, 0.0, 77.25))
    write_mod(path, xyz, scores=scores, radius=12.4, size_xyz=SIZE, placement=volume)
    model = read_mod(path)
    stored = (xyz.astype(np.float64) + CENTRE).astype(np.float32)
    order = np.arange(len(xyz)) if scores is None else np.argsort(-scores, kind="stable")
    assert np.array_equal(model_points(model), stored[order])
    # back on the volume it was written for, the transform does nothing
    index = to_voxel_index(model_points(model), model, volume, SIZE)
    assert np.abs(index - xyz[order]).max(initial=0) <= np.spacing(np.float32(4000)) / 2
    if scores is not None and len(xyz):
        assert np.array_equal(model_scores(model), scores[order].astype(np.float32))
    else:
        assert model_scores(model) is None
    # the independent reader sees the same
    if len(xyz):
        table = imodmodel.read(path)
        assert np.array_equal(table[["x", "y", "z"]].to_numpy(), stored[order])
        assert table["contour_id"].tolist() == list(range(len(xyz)))


def test_written_chunks_by_an_independent_walker(tmp_path: Path) -> None:
    path = tmp_path / "picks.mod"
    xyz, scores = np.array([[10, 20, 30], [1.25, 2, 3], [7, 8, 9]]), [0.25, 0.875, 0.5]
    write_mod(
        path, xyz, scores=scores, radius=12.4, size_xyz=SIZE, placement=placed(10.5, (-30, 0, 5)), name="ribosome"
    )
    data = path.read_bytes()
    found = chunks(data)
    assert [tag for tag, _ in found] == ["OBJT", "CONT", "CONT", "CONT", "IMAT", "OBST", "MINX"]
    content = dict(found)

    assert struct.unpack_from(">3iiI", data, 136) == (*SIZE, 1, 0xFC00)
    assert struct.unpack_from(">fi", data, 216) == (np.float32(1.05), -9)  # nm
    assert content["OBJT"].startswith(b"ribosome\0")
    n_contours, flags = struct.unpack_from(">iI", content["OBJT"], 128)
    assert (n_contours, flags) == (3, 1 << 3 | 1 << 12)  # open, drawn by value
    assert struct.unpack_from(">i", content["OBJT"], 156) == (12,)
    best_first = [struct.unpack(">4i3f", chunk)[4:] for tag, chunk in found if tag == "CONT"]
    assert best_first == [(1.75, 2.5, 3), (7.5, 8.5, 9), (10.5, 20.5, 30)]

    black, white, skip_and_constant = content["IMAT"][12:15]
    assert (black, white, skip_and_constant, len(content["IMAT"])) == (0, 255, 5, 16)
    items = list(struct.iter_unpack(">hHif", content["OBST"]))
    assert items[:-1] == [(10, 4, 0, 0.875), (10, 4, 1, 0.5), (10, 4, 2, 0.25)]
    assert struct.unpack(">hHff", content["OBST"][-12:]) == (11, 0x15, 0.25, 0.875)
    reference = (10.5, 10.5, 10.5, 30, 0, -5, 0, 0, 0)
    assert struct.unpack(">18f", content["MINX"]) == reference * 2

    # and imodmodel parses the scores and the sphere radius
    [item] = imodmodel.ImodModel.from_file(path).objects
    assert [(extra.type, extra.index, extra.value) for extra in item.extra[:3]] == [
        (10, 0, 0.875),
        (10, 1, 0.5),
        (10, 2, 0.25),
    ]
    assert (item.header.pdrawsize, item.imat.matflags2) == (12, 5)


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    xyz, scores = np.arange(30.0).reshape(10, 3), np.ones(10)
    for name in ("a.mod", "b.mod"):
        write_mod(tmp_path / name, xyz, scores=scores, radius=3, size_xyz=SIZE, placement=placed(8.0))
    assert (tmp_path / "a.mod").read_bytes() == (tmp_path / "b.mod").read_bytes()
    # equal scores keep their order, and 3dmod's slider gets a range that it can divide by
    assert np.array_equal(model_points(read_mod(tmp_path / "a.mod")), xyz + CENTRE)
    _, _, low, high = struct.unpack(">hHff", dict(chunks((tmp_path / "a.mod").read_bytes()))["OBST"][-12:])
    assert low < high == 1.0


def test_without_pixel_size_or_picks(tmp_path: Path) -> None:
    path = tmp_path / "none.mod"
    write_mod(path, [], scores=[], radius=0.2, size_xyz=SIZE)
    model = read_mod(path)
    assert (model.units, model.minx, model.size_xyz) == (0, None, SIZE)
    assert model_points(model).shape == (0, 3)
    assert [tag for tag, _ in chunks(path.read_bytes())] == ["OBJT", "IMAT"]
    assert model.objects[0].radius == 1


# 3dmod keeps a point at its place in space: (voxel + 0.5) * voxel size + origin (MRC2014) stays the same in all axes
@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (placed(10.0), [99.0, 49.0, 9.0]),
        (placed(10.0, (100.0, -50.0, 20.0)), [89.0, 54.0, 7.0]),  # a volume cut out further in
        (placed(20.0), [49.25, 24.25, 4.25]),  # binned by two: edges stay, centres move by half a voxel
        (placed(5.0), [198.5, 98.5, 18.5]),
        (Placement((10.0, 10.0, 20.0)), [99.0, 49.0, 4.25]),
        (placed(None, (0, 0, -10.0)), [99.0, 49.0, 10.0]),
        (None, [99.0, 49.0, 9.0]),
    ],
)
def test_model_of_another_volume(tmp_path: Path, volume: Placement | None, expected: list[float]) -> None:
    path = tmp_path / "picks.mod"
    write_mod(path, [[99.0, 49.0, 9.0]], radius=5, size_xyz=SIZE, placement=placed(10.0))
    model = read_mod(path)
    index = to_voxel_index(model_points(model), model, volume, SIZE)
    assert index == pytest.approx(np.array([expected]))


def patched(tmp_path: Path, edit) -> Path:
    """A written model whose bytes went through `edit`."""
    path = tmp_path / "picks.mod"
    write_mod(path, [[1, 2, 3], [4, 5, 6]], scores=[0.9, 0.1], radius=5, size_xyz=SIZE, placement=placed(10.0))
    path.write_bytes(edit(path.read_bytes()))
    return path


def overwritten(at: int, layout: str, *values: float):
    return lambda data: data[:at] + struct.pack(layout, *values) + data[at + struct.calcsize(layout) :]


def minx(old_translation: tuple[float, ...], scale: tuple[float, ...], translation: tuple[float, ...]):
    content = struct.pack(">18f", *[0] * 3, *old_translation, *[0] * 3, *scale, *translation, *[0] * 3)
    return lambda data: data[: data.index(b"MINX") + 8] + content + b"IEOF"


def test_model_saved_on_a_loaded_sub_volume(tmp_path: Path) -> None:
    """Its coordinates count from the part; IMOD's asciispec.html: add (old translation - translation) / scale."""
    model = read_mod(patched(tmp_path, minx((0, 0, 0), (10, 10, 10), (-100, -200, -50))))
    assert to_voxel_index(model_points(model), model)[0] == pytest.approx([1 + 10, 2 + 20, 3 + 5])


def test_transform_without_a_scale_is_as_good_as_none(tmp_path: Path) -> None:
    assert read_mod(patched(tmp_path, minx((0, 0, 0), (0, 0, 0), (1, 2, 3)))).minx is None


def test_flipped_model(tmp_path: Path) -> None:
    model = read_mod(patched(tmp_path, overwritten(152, ">I", 0x7C00 | 1 << 16)))
    assert model.flipped
    assert model.objects[0].contours[0].points.tolist() == [[1.5, 2.5, 3]]
    assert model_points(model).tolist() == [[1.5, 3, 2.5], [4.5, 6, 5.5]]


def test_stored_values_that_are_no_scores(tmp_path: Path) -> None:
    """Whole numbers, surfaces, other types and contours that do not exist are left out; a contour may have none."""
    items = [
        (10, 0x00, 1, 5.0),
        (10, 0x44, 1, 5.0),
        (7, 4, 1, 5.0),
        (10, 4, 2, 5.0),
        (10, 4, -1, 5.0),
        (10, 4, 0, 0.75),
    ]
    content = b"".join(struct.pack(">hHif", *item) for item in items)
    chunk = b"OBST" + struct.pack(">i", len(content)) + content
    model = read_mod(patched(tmp_path, lambda data: data[: data.index(b"OBST")] + chunk + b"IEOF"))
    assert model_scores(model) == pytest.approx([0.75, np.nan], nan_ok=True)


def test_unknown_chunks_are_skipped(tmp_path: Path) -> None:
    unknown = b"XYZ1" + struct.pack(">i", 7) + b"OBJTOBJ"
    model = read_mod(patched(tmp_path, lambda data: data[:-4] + unknown + data[-4:] + b"behind the end"))
    assert len(model_points(model)) == 2
    assert model.minx is not None


CONTOUR = 240 + 180 + 4  # the first contour's point count


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: b"", "begins with b''; expected a binary IMOD model"),
        (lambda data: b"imod 1\nobject 0", "begins with b'imod 1"),
        (lambda data: b"IMODV1.1" + data[8:], "begins with b'IMODV1.1'"),
        (lambda data: data[:100], "ends inside the model header: 232 bytes needed, 92 left"),
        (lambda data: data[:-4], "ends inside a chunk's name"),
        (lambda data: data[: CONTOUR + 28 + 20 + 8], "announces 1 points where 8 bytes are left"),
        (overwritten(148, ">i", 2), "announces 2 objects and holds 1"),
        (overwritten(148, ">i", 2**31 - 1), "announces 2147483647 objects where"),
        (overwritten(148, ">i", -1), "announces -1 objects"),
        (overwritten(240 + 4 + 128, ">i", 3), "announces 3 contours in an object and holds 2"),
        (overwritten(240 + 4 + 128, ">i", 2**30), "announces 1073741824 contours where"),
        (overwritten(CONTOUR, ">i", 2**31 - 1), "announces 2147483647 points where"),
        (overwritten(CONTOUR, ">i", -5), "announces -5 points"),
        (overwritten(CONTOUR + 16, ">f", np.nan), "holds points that are not finite"),
        (lambda data: data.replace(b"IMAT\0\0\0\x10", b"IMAT\0\0\0\x30"), "holds no chunk name|announces|ends inside"),
        (lambda data: data.replace(b"OBST\0\0\0", b"OBST\x7f\0\0"), "bytes of OBST where"),
        (lambda data: data.replace(b"IMAT", b"MESH"), "announces .* mesh"),
        (
            lambda data: data.replace(b"IMAT\0\0\0\x10", b"SIZE\0\0\0\0"),
            "ends inside point sizes: 4 bytes needed, 0 left",
        ),
    ],
)
def test_damaged_models_are_refused(tmp_path: Path, edit, message: str) -> None:
    path = patched(tmp_path, edit)
    with pytest.raises(InputError, match=message) as caught:
        read_mod(path)
    assert str(caught.value).startswith(str(path))


@settings(max_examples=200)
@given(st.integers(8, 700), st.binary(min_size=1, max_size=4), st.booleans())
def test_any_damage_is_an_input_error_or_readable(tmp_path: Path, at: int, patch: bytes, cut: bool) -> None:
    path = patched(tmp_path, lambda data: data[:at] + (b"" if cut else patch + data[at + len(patch) :]))
    try:
        model_points(read_mod(path))
    except InputError:
        return


def test_missing_file_and_object(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_mod(tmp_path / "none.mod")
    model = read_mod(patched(tmp_path, bytes))
    assert len(model_points(of_object(model, "1", "a.mod"))) == 2
    for word in ("0", "2", "-1", "ribosome"):
        with pytest.raises(InputError, match=rf"^a\.mod: the model has no object {word}; expected one of 1"):
            of_object(model, word, "a.mod")


@pytest.mark.parametrize(
    ("xyz", "options", "message"),
    [
        ([[1, 2, np.nan]], {}, "finite"),
        ([[1, 2]], {}, "finite"),
        ([[1, 2, 3]], {"scores": [np.nan]}, "scores"),
        ([[1, 2, 3]], {"scores": [1, 2]}, "scores"),
        ([[1, 2, 3]], {"placement": placed(0.0)}, r"pixel size \(0.0, "),
        ([[1, 2, 3]], {"placement": placed(10.0, (0, np.inf, 0))}, "origin"),
    ],
)
def test_values_that_cannot_be_written(tmp_path: Path, xyz, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_mod(tmp_path / "picks.mod", xyz, radius=5, size_xyz=SIZE, **options)
    assert not list(tmp_path.iterdir())


def test_a_model_of_several_classes_has_an_object_for_each(tmp_path: Path) -> None:
    """Name, colour, size and scores of each, as an independent reader has them."""
    ribosomes, none = np.array([[1.0, 2.0, 3.0], [4.5, 5.0, 6.0]]), np.empty((0, 3))
    path = tmp_path / "two.mod"
    write_objects(
        path,
        [
            PointObject(ribosomes, [0.2, 0.9], 12.0, "ribosome", (0.9, 0.6, 0.0)),
            PointObject(none, none[:, 0], 8.0, "proteasome", (0.3, 0.7, 0.9)),
        ],
        size_xyz=(20, 20, 20),
        name="classes",
    )
    model = imodmodel.ImodModel.from_file(path)
    assert [item.header.name for item in model.objects] == ["ribosome", "proteasome"]
    assert [item.header.pdrawsize for item in model.objects] == [12, 8]
    colours = [(item.header.red, item.header.green, item.header.blue) for item in model.objects]
    np.testing.assert_allclose(colours, [(0.9, 0.6, 0.0), (0.3, 0.7, 0.9)], atol=1e-6)
    first = np.concatenate([contour.points for contour in model.objects[0].contours])
    np.testing.assert_allclose(first - [0.5, 0.5, 0], ribosomes[::-1])
    again = read_mod(path)
    assert [len(item.contours) for item in again.objects] == [2, 0]
    np.testing.assert_allclose(model_scores(again), [0.9, 0.2], atol=1e-6)
