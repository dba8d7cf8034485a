"""A data set in the layout of the CryoET Data Portal, with the commands of docs/copick.md as they stand there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from milopyp_shared.coordinate_lists import read_coordinate_list
from running import run_line
from toys import TOY, clean_phantom, write_tomogram
from zarr_toys import write_store

PAGE = Path(__file__).parents[2] / "docs/copick.md"
RUNS = ("TS_026", "TS_027")
RECONSTRUCTIONS = "10000/{}/Reconstructions/VoxelSpacing13.480"


def command(beginning: str) -> str:
    """The line of the page that begins so."""
    return next(line for line in PAGE.read_text().splitlines() if line.startswith(beginning))


@pytest.fixture(autouse=True)
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Positions by run, of which the portal's file has points and oriented ones."""
    monkeypatch.chdir(tmp_path)
    places = {}
    for seed, (run, kind) in enumerate(zip(RUNS, ("point", "orientedPoint"), strict=True), 1):
        phantom, place = clean_phantom(seed, (24, 48, 64), particles=4), Path(RECONSTRUCTIONS.format(run))
        places[run] = phantom.particles_xyz
        write_tomogram(place / f"Tomograms/100/{run}.mrc", phantom.volume, voxel_size=13.48)
        write_store(place / f"Tomograms/100/{run}.zarr", phantom.volume, voxel_size=13.48)
        more = {"xyz_rotation_matrix": np.eye(3).tolist()} if kind == "orientedPoint" else {}
        lines = [
            json.dumps({"type": kind, "location": dict(zip("xyz", xyz, strict=True)), **more})
            for xyz in phantom.particles_xyz.tolist()
        ]
        folder = place / "Annotations/101"
        folder.mkdir(parents=True)
        (folder / f"cytosolic_ribosome-1.0_{kind.lower()}.ndjson").write_text("\n".join(lines))
        (folder / "cytosolic_ribosome-1.0.json").write_text('{"object_count": 4}')
    return places


@pytest.mark.parametrize("ext", [".mrc", ".zarr"])
def test_labels(ext: str, truth: dict[str, np.ndarray]) -> None:
    script = PAGE.read_text().partition("```bash\n")[2].partition("```")[0]
    subprocess.run(["bash", "-ec", script.replace(".mrc", ext)], check=True)
    line = command("milopyp prepare -d labels").replace(".mrc", ext).replace("260A", "120A")
    assert run_line(f"{line} --no-pictures").code == 0
    found = read_coordinate_list("labels/ribo_train_coords.txt")
    assert list(found) == [*RUNS]
    for run, xyz in truth.items():
        np.testing.assert_allclose(found[run], xyz, atol=0.006)


def test_picks(truth: dict[str, np.ndarray]) -> None:
    shutil.copy(TOY, "ribosome.onnx")
    outcome = run_line(command("milopyp-infer '10000"), "--threads", "1", "--out-thresh", "0.1")
    assert outcome.code == 0, outcome.err
    for run, xyz in truth.items():
        points = [json.loads(line) for line in Path(f"picks/{run}.ndjson").read_text().splitlines()]
        assert {frozenset(point) for point in points} == {frozenset({"type", "location"})}
        assert {point["type"] for point in points} == {"point"}
        found = np.array([[point["location"][axis] for axis in "xyz"] for point in points])
        assert (found >= 0).all() and (found <= [63, 47, 23]).all()  # as the portal's own check has it
        assert np.linalg.norm(found[:, None] - xyz, axis=2).min(axis=0).max() < 2.0
