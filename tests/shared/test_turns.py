"""Coordinates as of the turned tomogram, against what IMOD's programs do to the voxels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from milopyp_shared import axes
from milopyp_shared.formats import mod
from milopyp_shared.imod_header import Placement
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import Frame
from milopyp_shared.turns import turned_frame, turned_picks
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

HALF = np.array([0.5, 0.5, 0.0])


def as_imod_turns(stored: np.ndarray, turn: str) -> np.ndarray:
    """The file's array ``[z, y, x]`` after ``clip rotx`` or ``trimvol -yz``.

    eTomo's help: clip rotx rotates by -90 degrees about x; rotatevol's manual page: positive angles are
    counterclockwise. Each voxel is carried by the rotation, about the centre.
    """
    nz, ny, nx = stored.shape
    turned = np.full((ny, nz, nx), -1)
    rotation = Rotation.from_euler("x", -90, degrees=True)
    for z, y, x in np.ndindex(stored.shape):
        place = np.array([x - (nx - 1) / 2, y - (ny - 1) / 2, z - (nz - 1) / 2])
        place = rotation.apply(place) if turn == "rotx" else place[[0, 2, 1]]
        i, j, k = np.rint(place + np.array([(nx - 1) / 2, (nz - 1) / 2, (ny - 1) / 2])).astype(int)
        turned[k, j, i] = stored[z, y, x]
    return turned


@settings(max_examples=40)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    order=st.sampled_from(axes.ORDERS),
    turn=st.sampled_from(["rotx", "yz"]),
    downwards=st.booleans(),
    data=st.data(),
)
def test_the_turned_voxel_holds_the_same_value(
    shape: Any, order: str, turn: str, *, downwards: bool, data: Any
) -> None:
    stored = np.arange(np.prod(shape)).reshape(shape)
    nz, ny, nx = shape
    i, j, k = (data.draw(st.integers(0, size - 1)) for size in (nx, ny, nz))
    value = stored[k, j, i]
    xyz = axes.columns_to_xyz(np.array([[i, j, k]], dtype=float), order)
    frame = Frame(order, shape, (1.5, 2.0, 2.5), Placement(rows_downwards=downwards))
    picks, after = turned_picks(Picks(xyz, np.ones(1)), frame, turn), turned_frame(frame, turn)
    turned = as_imod_turns(stored[:, ::-1] if downwards else stored, turn)  # IMOD reads the last row as its first
    assert after.stored_shape == turned.shape
    assert after.voxel_size == (1.5, 2.5, 2.0)
    i, j, k = axes.xyz_to_columns(picks.xyz, after.order)[0].astype(int)
    assert turned[k, j, i] == value


def test_nothing_is_turned_unless_it_is_asked_for() -> None:
    frame, picks = Frame("xzy", (4, 5, 6)), Picks(np.array([[1.0, 2.0, 3.0]]), np.ones(1))
    assert turned_frame(frame, "none") == frame
    assert turned_picks(picks, frame, "none").xyz.tolist() == picks.xyz.tolist()


@pytest.mark.parametrize("turn", ["rotx", "yz"])
def test_picking_thresholding_and_converting_turn_alike(turn: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, "xzy", voxel_size=10.0, origin=(50, 60, 70))
    ny = clean_phantom().volume.shape[0]  # the file's y is the thickness
    infer = "milopyp-infer a.mrc --format relion5,tbl --with-score --out {} --turn {} --model"
    plain = run_line(infer.format("plain", "none"), TOY)
    assert "W07 " in plain.err
    assert "Y and Z would be swapped" in plain.err
    outcome = run_line(infer.format("turned", turn), TOY)
    assert (outcome.code, "W07" in outcome.err) == (0, False)
    x, y, z, score = np.loadtxt("plain/a.txt", ndmin=2).T
    x, y, z = x - 0.5, y - 0.5, z
    wanted = np.column_stack([x, z, ny - 1 - y if turn == "rotx" else y])
    found = np.loadtxt("turned/a.txt", ndmin=2)
    assert found[:, :3] - HALF == pytest.approx(wanted, abs=0.011)
    assert (found[:, 3] == score).all()
    model = mod.read_mod(Path("turned/a.mod"))
    assert model.minx is None
    assert mod.model_points(model) - HALF == pytest.approx(wanted, abs=0.006)
    # cut anew from the plain run; it warns unless it turns
    cut = run_line("milopyp threshold plain --distance 0 --out same")
    assert "W07 coordinates of relion5" in cut.err
    cut = run_line("milopyp threshold plain --out cut --turn", turn)
    assert (cut.code, "W07" in cut.err) == (0, False)
    assert np.loadtxt("cut/a.txt", ndmin=2) == pytest.approx(found, abs=0.011)
    points = mod.model_points(mod.read_mod(Path("cut/a.mod")))  # candidates have three decimals
    assert points - HALF == pytest.approx(wanted, abs=0.006)
    converted = run_line("milopyp convert plain/a.candidates.csv c.star --to relion5 --tomogram a.mrc --turn", turn)
    assert converted.code == 0, converted.err
    assert star_rows("cut/a.star") <= star_rows("c.star")


def star_rows(path: str) -> set[tuple[str, ...]]:
    return {tuple(line.split()[1:4]) for line in Path(path).read_text().splitlines() if line.startswith("a\t")}
