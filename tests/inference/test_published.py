"""Decoding as the published program does it, against what that program found and wrote."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imodmodel
import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from milopyp_inference.batch import outputs
from milopyp_inference.decode import published
from milopyp_inference.decode.filaments import FibreOptions
from milopyp_inference.decode.published import PublishedOptions
from milopyp_shared.errors import InputError
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

UNPAIRED, PAIRED = (1, 2, 2), (2, 2, 2)
Golden = dict[str, np.ndarray[Any, Any]]

# per file of golden/picks: options, threshold, full-resolution voxels per heat-map voxel
CASES = {
    "default": (PublishedOptions(1500), 0.25, UNPAIRED),
    "noscore": (PublishedOptions(1500), 0.25, UNPAIRED),
    "thresh0.6": (PublishedOptions(1500), 0.6, UNPAIRED),
    "K400": (PublishedOptions(400), 0.25, UNPAIRED),
    "K25": (PublishedOptions(25, cutoff_z=5), 0.25, UNPAIRED),
    "cutoffz5": (PublishedOptions(1500, cutoff_z=5), 0.25, UNPAIRED),
    "cutoffz0": (PublishedOptions(1500, cutoff_z=0), 0.25, UNPAIRED),
    "compress": (PublishedOptions(1500, cutoff_z=5), 0.25, PAIRED),
    "compress_noscore": (PublishedOptions(1500, cutoff_z=5), 0.25, PAIRED),
    "nms5": (PublishedOptions(1500, nms=5, cutoff_z=5), 0.25, UNPAIRED),
}
FIBRES = {
    "default": (3, FibreOptions()),
    "curv0.03": (3, FibreOptions(curvature_cutoff=0.03)),
    "curv0.03_scale5_dist8": (3, FibreOptions(distance_cutoff=8, curvature_cutoff=0.03, distance_scale=5)),
    # the reference's names leave out that these two have 0.03 as well
    "nms5": (5, FibreOptions(curvature_cutoff=0.03)),
    "r2_1": (3, FibreOptions(r2_cutoff=1, curvature_cutoff=0.03)),
}

# Fibres as text, written by a process of its own because the kind of least squares is chosen when numpy is loaded.
WRITE_FIBRES = """
import sys
from pathlib import Path
import numpy as np
from inference.test_published import FIBRES, PAIRED
from milopyp_inference.batch import outputs
from milopyp_inference.decode import published
golden, out = map(Path, sys.argv[1:])
heat = np.load(golden / "decode.npz")["fiber_hm"]
for name, (nms, fibre) in FIBRES.items():
    options = published.PublishedOptions(600, nms, 3, fibre)
    outputs.write_published_text(out / f"fiber_{name}.txt", *published.pick(heat, options, 0.3, PAIRED)[:2])
"""


@pytest.fixture(scope="module")
def decoded(golden: Path) -> Golden:
    with np.load(golden / "decode.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("nms", [3, 5])
def test_suppression(nms: int, decoded: Golden) -> None:
    assert np.array_equal(published.window_maxima(decoded["hm"], nms), decoded[f"nms{nms}"])
    assert np.array_equal(published.window_maxima(decoded["hm"], nms, fibre=True), decoded[f"nms_fiber{nms}"])


@pytest.mark.parametrize("name", CASES)
def test_candidates(name: str, decoded: Golden) -> None:
    """The published list, less the zeros that fill it up; equal scores in any order."""
    options = CASES[name][0]
    expected = decoded[f"dets_{name}"]
    assert len(expected) == options.limit
    found = published.decode(decoded["hm"], nms=options.nms, limit=options.limit)
    table = np.column_stack([found.zyx[:, 2] + 0.25, found.zyx[:, 1] + 0.25, found.zyx[:, 0], found.score, found.score])
    assert np.array_equal(found.score, expected[: len(found), 3])
    assert (expected[len(found) :, 3] == 0).all()
    assert {tuple(row) for row in table} == {tuple(row) for row in expected[: len(found)].tolist()}


@pytest.mark.parametrize("name", CASES)
def test_text(name: str, golden: Path, decoded: Golden, tmp_path: Path) -> None:
    """Byte for byte, but for the order of lines of one section with equal scores, which is undefined there."""
    options, threshold, voxel_per_output = CASES[name]
    xyz, score, _ = published.pick(decoded["hm"], options, threshold, voxel_per_output)
    outputs.write_published_text(tmp_path / "a.txt", xyz, None if "noscore" in name else score)
    written = (tmp_path / "a.txt").read_text().splitlines(keepends=True)
    expected = (golden / "picks" / f"{name}.txt").read_text().splitlines(keepends=True)
    keys = np.column_stack([xyz[:, 2], score]).tolist() if score is not None else []
    start = 0
    for _, group in itertools.groupby(keys):
        end = start + len(list(group))
        assert sorted(written[start:end]) == sorted(expected[start:end])
        start = end
    assert start == len(written) == len(expected) > 0


def test_candidates_of_fibres(decoded: Golden) -> None:
    found = published.decode(decoded["fiber_hm"], limit=600, fibre=True)
    assert np.allclose(found.score, decoded["fiber_dets"][:, 3], rtol=0, atol=1e-7)
    points = published.above_threshold(found, decoded["fiber_hm"].shape, 0.3, cutoff_z=3, voxel_per_output=PAIRED)
    assert np.array_equal(points.xyz, decoded["fiber_points_xyz"])


@pytest.mark.parametrize("name", FIBRES)
def test_text_of_fibres(name: str, golden: Path, decoded: Golden) -> None:
    """Up to the cut of coordinates that are whole numbers but for rounding: see the next test for these."""
    nms, fibre = FIBRES[name]
    xyz, score, _ = published.pick(decoded["fiber_hm"], PublishedOptions(600, nms, 3, fibre), 0.3, PAIRED)
    expected = np.loadtxt(golden / "picks" / f"fiber_{name}.txt", dtype=np.int64)[:, [0, 2, 1]]
    assert score is None
    assert xyz.shape == expected.shape
    assert np.array_equal(xyz[:, 0], expected[:, 0])
    assert np.abs(xyz - expected).max() <= 1


def test_text_of_fibres_to_the_byte(golden: Path, tmp_path: Path) -> None:
    """With the least squares of the processor that the reference was made on."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if " avx512dq" not in flags:
        pytest.skip("needs AVX-512, as on the machine of the reference")
    paths = os.pathsep.join(["tests", os.environ.get("PYTHONPATH", "")])
    environment = {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
    words = [sys.executable, "-c", WRITE_FIBRES, str(golden), str(tmp_path)]
    root = golden.parents[2]
    subprocess.run(words, env=environment, cwd=root, check=True, timeout=120)
    for name in FIBRES:
        file = f"fiber_{name}.txt"
        assert (tmp_path / file).read_bytes() == (golden / "picks" / file).read_bytes(), name


def test_large_indices_are_divided_as_whole_numbers(decoded: Golden) -> None:
    """The published program divides them in float32; without that slip the rows agree."""
    shape = (128, 512, 512)
    heat = np.zeros(shape, np.float32)
    index = decoded["bigindex"]
    heat.ravel()[index] = np.linspace(0.9, 0.5, len(index), dtype=np.float32)
    found = published.decode(heat, nms=1, limit=10)
    rows = np.stack(np.unravel_index(index, shape), axis=1)
    assert np.array_equal(found.zyx, rows)
    slipped = decoded["bigindex_zyx"]
    wrong = slipped[:, 1] < 0
    assert np.array_equal(slipped[~wrong], rows[~wrong])
    assert np.array_equal(slipped[wrong] + [-1, 512, 0], rows[wrong])


def test_the_reference_run(reference: Path) -> None:
    """The heat map and the text of a whole run; the map is stored in half precision."""
    with np.load(reference / "golden" / "published_dev04_hm.npz") as stored:
        heat = stored["hm_zyx"].astype(np.float32)
    xyz, score, _ = published.pick(heat, PublishedOptions(), 0.2, PAIRED)
    expected = np.loadtxt(reference / "golden" / "published_dev04_picks.txt")
    assert {tuple(row) for row in xyz[:, [0, 2, 1]].tolist()} == {tuple(row) for row in expected[:, :3].tolist()}
    assert score is not None
    assert np.allclose(np.sort(score), np.sort(expected[:, 3]), rtol=0, atol=2e-4)


@settings(max_examples=60)
@given(
    heat=arrays.arrays(np.float32, (5, 6, 7), elements=st.sampled_from([np.float32(v) for v in (0, 0.1, 0.5, 0.9)])),
    limit=st.integers(1, 300),
    nms=st.sampled_from([1, 3, 5]),
)
def test_decode_is_its_definition(heat: np.ndarray[Any, Any], limit: int, nms: int) -> None:
    r = nms // 2
    peaks = {}
    for z, y, x in itertools.product(*map(range, heat.shape)):
        window = heat[max(z - 1, 0) : z + 2, max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1]
        if heat[z, y, x] == window.max() > 0:
            peaks[z, y, x] = heat[z, y, x]
    best_first = sorted(peaks, key=lambda zyx: (-peaks[zyx], zyx))[:limit]
    found = published.decode(heat, nms=nms, limit=limit)
    assert [tuple(row) for row in found.zyx.tolist()] == best_first
    assert found.score.tolist() == [peaks[zyx] for zyx in best_first]


def test_an_empty_map_has_no_picks(tmp_path: Path) -> None:
    heat = np.zeros((30, 40, 40), np.float32)
    for fibre in (None, FibreOptions()):
        xyz, score, _ = published.pick(heat, PublishedOptions(fibre=fibre), 0.0, PAIRED)
        outputs.write_published_text(tmp_path / "a.txt", xyz, score)
        assert xyz.shape == (0, 3)
        assert (tmp_path / "a.txt").read_bytes() == b""


def test_a_text_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        outputs.write_published_text(tmp_path / "file" / "a.txt", np.zeros((1, 3), np.int64))


@pytest.mark.parametrize(
    ("shape", "cutoff_z", "nothing"),
    [((40, 60, 60), 10, False), ((38, 60, 60), 10, True), ((40, 42, 60), 10, True), ((40, 60, 44), 0, False)],
)
def test_margins_that_leave_nothing(shape: tuple[int, int, int], cutoff_z: int, nothing: bool) -> None:
    options = PublishedOptions(100_000, cutoff_z=cutoff_z, nms=1)
    assert options.leaves_nothing(shape, PAIRED) is nothing
    heat = np.full((shape[0] // 2, shape[1] // 2, shape[2] // 2), 0.5, np.float32)
    assert (len(published.pick(heat, options, 0.1, PAIRED)[0]) == 0) is nothing


# ---------------------------------------------------------------- the command


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tomogram whose file axes are x, y, z, large enough for the margins."""
    monkeypatch.chdir(tmp_path)
    volume = clean_phantom(3, shape_zyx=(48, 96, 112), particles=12).volume
    write_tomogram(tmp_path / "a.mrc", volume, "xyz", voxel_size=10.0, origin=(100.0, 200.0, 300.0))
    return tmp_path


LINE = f"milopyp-infer a.mrc --model {TOY} --threads 1 -q --published --out-thresh 0.3"


def test_command(work: Path) -> None:
    assert run_line(f"{LINE} --out picks --with-score --cutoff-z 5").code == 0
    lines = Path("picks/a.txt").read_text().splitlines()
    table = np.array([[float(word) for word in line.split("\t")] for line in lines])
    assert 3 <= len(table) <= 12 * 27
    assert all(word.isdecimal() for line in lines for word in line.split("\t")[:3])
    x, z, y, score = table.T
    assert (table[:, :3] % 2 == 0).all()
    assert (np.diff(z) >= 0).all()
    assert ((x > 20) & (x < 92) & (y > 20) & (y < 76) & (z >= 10) & (z <= 38)).all()
    with mrcfile.open("picks/a_hm.mrc") as mrc:
        assert mrc.data.dtype == np.float32
        assert mrc.data.shape == (48, 24, 56)  # rows, depth, columns of the map
        assert mrc.header.origin.tolist() == (105.0, 305.0, 205.0)
        heat = mrc.data.transpose(1, 0, 2)
    assert np.array_equal(heat[z.astype(int) // 2, y.astype(int) // 2, x.astype(int) // 2], score.astype(np.float32))
    # the model is a usual one: best first, in the tomogram's axes, at the centres of the voxels
    points = imodmodel.read("picks/a.mod")[["x", "y", "z"]].to_numpy()
    expected = np.column_stack([x + 0.5, y + 0.5, z])[np.argsort(-score, kind="stable")]
    assert np.array_equal(points, expected)
    assert json.loads(Path("picks/records/a.json").read_text())["picks"] == len(table)
    assert Path("picks/a.candidates.csv").exists()


def test_every_option_of_the_decoding_changes_results(work: Path) -> None:
    """A second run goes by them, and picks again only what they change."""
    lines = {
        "as it is": "",
        "another limit": "--K 2",
        "another window": "--nms 9",
        "another margin": "--cutoff-z 3",
        "fibres": "--fiber --cutoff-z 0",
        "other chains": "--fiber --cutoff-z 0 --distance_cutoff 9",
        "other residuals": "--fiber --cutoff-z 0 --r2_cutoff 9",
        "other curvatures": "--fiber --cutoff-z 0 --curvature_cutoff 9",
        "other distances": "--fiber --cutoff-z 0 --distance_scale 9",
        "not as published": "",
    }
    for name, words in lines.items():
        line = f"{LINE.replace(' -q', '')} --out picks {words}"
        first = run_line(line.replace(" --published", "") if name == "not as published" else line)
        assert (first.code, "already done" in first.out) == (0, False), name
    assert "already done" in run_line(line.replace(" --published", "")).out


def test_the_published_limit_and_defaults(work: Path) -> None:
    assert run_line(f"{LINE} --out picks").code == 0
    stored = json.loads(Path("picks/records/a.json").read_text())["options"]["published"]
    assert stored == {"limit": 900, "nms": 3, "cutoff_z": 10, "fibre": None}
    assert run_line(f"{LINE} --out picks --fiber --with-score").code == 0
    stored = json.loads(Path("picks/records/a.json").read_text())["options"]["published"]["fibre"]
    assert stored == {"distance_cutoff": 15, "r2_cutoff": 30, "curvature_cutoff": 0.003, "distance_scale": 2}


def test_margins_without_room_are_a_warning(work: Path) -> None:
    write_tomogram(work / "a.mrc", clean_phantom().volume)
    outcome = run_line(f"{LINE} --out picks")
    assert outcome.code == 0
    assert "warning: a: W06 the published margins leave nothing of 80 x 64 x 32 voxels" in outcome.err
    assert Path("picks/a.txt").read_bytes() == b""


def test_picking_as_published_loads_no_framework(work: Path) -> None:
    body = f"""
import sys
from milopyp_shared.commandline import run
from milopyp_inference.cli import infer_command
try:
    run(infer_command, {[*LINE.split()[1:], "--fiber", "--cutoff-z", "0", "--out", "picks"]!r})
except SystemExit as leave:
    assert leave.code == 0
print(sorted({{"torch", "onnx", "scipy.stats", "matplotlib", "pandas"}} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "[]\n"
