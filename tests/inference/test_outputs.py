"""What picking writes, read back by other means: columns and half voxels, IMOD models, heat maps that overlay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import imodmodel
import mrcfile
import numpy as np
import pytest

from milopyp_inference.batch import outputs
from milopyp_shared.axes import ORDERS
from milopyp_shared.matching import evaluate
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram
from running import run_line, tree
from toys import DIAMETER, TOY, VOXEL_SIZE, clean_phantom, noise, write_tomogram

ORIGIN = (-310.0, 52.5, 1000.0)  # Angstrom, along the file's axes
HALF = np.array([0.5, 0.5, 0.0])  # of IMOD's model coordinates, along the file's axes


@dataclass(frozen=True)
class Run:
    """One tomogram picked from a file of some axis order."""

    order: str
    folder: Path
    tomogram: Path
    truth: np.ndarray

    @property
    def table(self) -> np.ndarray:
        """The candidates: x, y, z, score."""
        return np.loadtxt(self.folder / "a.candidates.csv", delimiter=",", comments="#", skiprows=3)

    def text(self) -> np.ndarray:
        return np.loadtxt(self.folder / "a.txt", ndmin=2)

    def in_file_order(self, xyz: np.ndarray) -> np.ndarray:
        """Columns x, y, z in the file's axis order, by the letters of the order word alone."""
        column = dict(zip("xyz", xyz.T, strict=True))
        return np.stack([column[letter] for letter in self.order], axis=1)


@pytest.fixture(scope="module", params=ORDERS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same phantom in a file of each axis order, picked by the command."""
    order, folder = request.param, tmp_path_factory.mktemp(request.param)
    phantom = clean_phantom()
    path = write_tomogram(folder / "a.mrc", phantom.volume, order, voxel_size=VOXEL_SIZE, origin=ORIGIN)
    line = f"milopyp-infer --order {order} --with-score --threads 1 --quiet"
    outcome = run_line(line, path, "--model", TOY, "--out", folder / "picks")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    return Run(order, folder / "picks", path, phantom.particles_xyz)


def test_candidates_are_in_the_inside_frame(run: Run) -> None:
    text = (run.folder / "a.candidates.csv").read_text()
    header = next(line for line in text.splitlines() if not line.startswith("#"))
    assert header == "x,y,z,score"
    table = run.table
    assert (np.diff(table[:, 3]) <= 0).all()
    result = evaluate(Picks(table[:, :3], table[:, 3]), run.truth, DIAMETER / 2)
    assert result.n_hits == len(run.truth)
    # a half-voxel mistake, or two exchanged axes, would show
    assert np.abs(result.mean_offset).max() < 0.25
    assert result.mean_absolute_error.max() < 0.4


def test_text_has_the_columns_of_the_file_and_the_half_voxels_of_imod(run: Run) -> None:
    text, table = run.text(), run.table
    picked = table[table[:, 3] > 0.5]
    assert len(text) == len(run.truth) == len(picked)
    expected = run.in_file_order(picked[:, :3]) + HALF
    assert np.abs(text[:, :3] - expected).max() < 0.0056  # two decimals of three
    assert text[:, 3] == pytest.approx(picked[:, 3], abs=2e-6)


def test_model_holds_the_points_of_the_text(run: Run) -> None:
    """Read by imodmodel, which knows nothing of this project."""
    model = imodmodel.ImodModel.from_file(run.folder / "a.mod")
    points = np.concatenate([contour.points for item in model.objects for contour in item.contours])
    assert np.abs(points - run.text()[:, :3]).max() < 0.0051
    with mrcfile.mmap(run.tomogram, mode="r", permissive=True) as mrc:
        z, y, x = mrc.data.shape
    assert (model.header.xmax, model.header.ymax, model.header.zmax) == (x, y, z)
    assert {item.header.pdrawsize for item in model.objects} == {DIAMETER / 2}
    # 3dmod subtracts the volume's origin by these when it loads model and volume together
    assert model.minx is not None
    assert model.minx.cscale == pytest.approx((VOXEL_SIZE,) * 3)
    assert np.array(model.minx.ctrans) == pytest.approx(-np.array(ORIGIN))


def test_heat_map_lies_on_the_tomogram(run: Run) -> None:
    with mrcfile.open(run.folder / "a_hm.mrc") as mrc:
        heat = np.array(mrc.data)
        size = np.array([mrc.voxel_size[axis] for axis in "xyz"])
        origin = np.array([mrc.header.origin[axis] for axis in "xyz"])
    with mrcfile.mmap(run.tomogram, mode="r") as mrc:
        assert heat.shape == tuple(n // 2 for n in mrc.data.shape)
    assert size == pytest.approx(2 * VOXEL_SIZE)
    # the first voxel of the heat map covers voxels 0 and 1 of the tomogram: its centre is between them
    assert origin == pytest.approx(np.array(ORIGIN) + VOXEL_SIZE / 2)
    # at the place in space of each candidate, the heat map has the candidate's score; one that lies between two voxels
    # of nearly equal value may be refined to the nearer half of the other one
    table = run.table
    space = run.in_file_order(table[:, :3]) * VOXEL_SIZE + ORIGIN
    nearest = np.rint((space - origin) / size).astype(int)
    assert heat[tuple(nearest[:, ::-1].T)] == pytest.approx(table[:, 3], abs=1e-4)


def test_the_axis_order_changes_nothing_in_the_inside_frame(tmp_path: Path) -> None:
    phantom = clean_phantom(2)
    tables = set()
    for order in ("xyz", "xzy", "zyx"):
        path = write_tomogram(tmp_path / order / "a.mrc", phantom.volume, order)
        outcome = run_line(f"milopyp-infer --order {order}", path, "--model", TOY, "--out", tmp_path / f"{order}_picks")
        assert outcome.code == 0
        tables.add((tmp_path / f"{order}_picks" / "a.candidates.csv").read_bytes())
    assert len(tables) == 1


def test_plain_voxel_indices_on_request(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, "xzy")
    for coords in ("voxel", "model2point"):
        outcome = run_line("milopyp-infer", path, "--model", TOY, "--out", tmp_path / coords, "--coords", coords)
        assert outcome.code == 0
        assert "order xzy" in outcome.out
    voxel, imod = (np.loadtxt(tmp_path / coords / "a.txt") for coords in ("voxel", "model2point"))
    assert voxel.shape[1] == 3
    assert imod - voxel == pytest.approx(np.broadcast_to(HALF, voxel.shape))
    models = [(tmp_path / coords / "a.mod").read_bytes() for coords in ("voxel", "model2point")]
    assert models[0] == models[1]  # the option speaks of text only


def test_at_most_k_picks_the_best_first(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    for words, out in (("", "all"), ("--K 3", "three"), ("--K 3 --out-thresh 0", "low"), ("--out-thresh 1", "none")):
        outcome = run_line(f"milopyp-infer --with-score {words}", path, "--model", TOY, "--out", tmp_path / out)
        assert outcome.code == 0
    best, three, low = (np.loadtxt(tmp_path / out / "a.txt", ndmin=2) for out in ("all", "three", "low"))
    assert len(best) == 10
    assert np.array_equal(three, best[:3])
    assert np.array_equal(low, three)
    assert (tmp_path / "none" / "a.txt").read_text() == ""
    assert imodmodel.ImodModel.from_file(tmp_path / "none" / "a.mod").header.xmax == 80


def test_known_picks_are_written_to_the_last_digit(tmp_path: Path) -> None:
    """Without the network: a point of three different fractions, in a file whose axes are x, z, y."""
    tomogram = open_tomogram(write_tomogram(tmp_path / "a.mrc", noise((16, 24, 40)), "xzy"))
    picks = Picks(np.array([[30.25, 20.75, 4.5], [1.0, 2.0, 3.0]]), np.array([0.75, 0.5]))
    files = outputs.OutputFiles.of(tmp_path / "out", "a")
    outputs.write_picks(files, picks, tomogram.frame, 6.0, with_score=True)
    assert files.text.read_text() == "30.75\t5.00\t20.75\t0.750000\n1.50\t3.50\t2.00\t0.500000\n"
    outputs.write_picks(files, picks, tomogram.frame, 6.0, with_score=False, model2point=False)
    assert files.text.read_text() == "30.25\t4.50\t20.75\n1.00\t3.00\t2.00\n"
    points = imodmodel.read(files.model)[["x", "y", "z"]].to_numpy()
    assert points.tolist() == [[30.75, 5.0, 20.75], [1.5, 3.5, 2.0]]


def test_heat_map_of_a_tomogram_without_voxel_size(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "a.mrc", clean_phantom().volume)
    assert run_line("milopyp-infer", path, "--model", TOY, "--out", tmp_path / "unsaid").code == 0
    line = "milopyp-infer --voxel-size 7.5"
    assert run_line(line, path, "--model", TOY, "--out", tmp_path / "given").code == 0
    records = [json.loads((tmp_path / out / "records" / "a.json").read_text()) for out in ("unsaid", "given")]
    assert [record["frame"]["voxel_size"] for record in records] == [None, [7.5] * 3]
    with mrcfile.open(tmp_path / "given" / "a_hm.mrc") as mrc:
        assert mrc.voxel_size.tolist() == (15.0, 15.0, 15.0)
        assert mrc.header.origin.tolist() == (3.75, 3.75, 3.75)
    with mrcfile.open(tmp_path / "unsaid" / "a_hm.mrc") as mrc:
        assert mrc.header.origin.tolist() == (0.0, 0.0, 0.0)
    # 3dmod places a model by the header of the volume, whatever the option says
    models = [(tmp_path / out / "a.mod").read_bytes() for out in ("unsaid", "given")]
    assert models[0] == models[1]


def test_odd_sizes(tmp_path: Path) -> None:
    """The heat map rounds up, and picks stay where the particles are."""
    phantom = clean_phantom(3, shape_zyx=(31, 63, 81))
    path = write_tomogram(tmp_path / "a.mrc", phantom.volume, voxel_size=VOXEL_SIZE)
    assert run_line("milopyp-infer", path, "--model", TOY, "--out", tmp_path / "picks").code == 0
    with mrcfile.open(tmp_path / "picks" / "a_hm.mrc") as mrc:
        assert mrc.data.shape == (16, 32, 41)
    picks = np.loadtxt(tmp_path / "picks" / "a.txt")
    result = evaluate(Picks(picks - HALF, np.ones(len(picks))), phantom.particles_xyz, DIAMETER / 2)
    assert (result.n_hits, result.n_picks) == (10, 10)
    assert np.abs(result.mean_offset).max() < 0.25


def test_other_formats_are_written_at_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, voxel_size=10.0)
    line = "milopyp-infer --format relion5,tbl,txt,copick,csv,ndjson --out picks --model"
    assert run_line(line, TOY, path).code == 0
    for suffix, word in (("star", "relion5"), ("tbl", "tbl"), ("json", "copick"), ("csv", "csv"), ("ndjson", "ndjson")):
        outcome = run_line(f"milopyp convert picks/a.{suffix} back_{word}.csv --from {word} --tomogram a.mrc")
        assert outcome.code == 0, outcome.err
        found = np.loadtxt(f"back_{word}.csv", delimiter=",", skiprows=3, ndmin=2)
        text = np.loadtxt("picks/a.txt", ndmin=2)
        order = np.lexsort(found[:, :3].round(1).T), np.lexsort((text[:, :3] - HALF).round(1).T)
        assert found[order[0], :3] == pytest.approx((text[:, :3] - HALF)[order[1]], abs=0.011)
    before = tree(tmp_path / "picks")
    again = run_line(line, TOY, path)
    assert "a is already done" in again.out
    (tmp_path / "picks" / "a.tbl").unlink()
    assert "already done" not in run_line(line, TOY, path).out
    assert set(tree(tmp_path / "picks")) == set(before)


def test_axes_that_other_programs_do_not_expect_are_said(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "a.mrc", clean_phantom().volume, "xzy", voxel_size=10.0)
    outcome = run_line("milopyp-infer --format tbl,relion5 --model", TOY, path, "--out", tmp_path / "picks")
    assert outcome.code == 0
    assert "W07 coordinates of relion5 are taken along the axes of the tomogram's file (order xzy)" in outcome.err
