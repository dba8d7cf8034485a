"""``--mask-distance`` and ``--normals``: picks by their distance from a membrane, oriented, in every file."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import dynamotable
import numpy as np
import pytest
import starfile

from milopyp_shared.coordinate_lists import write_coordinate_list
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.picks import Picks
from running import run_line
from toys import TOY, noise, write_tomogram
from vesicles import from_membrane, vesicle

VOXEL = 10.0
SHAPE, CENTRE, RADIUS, HALF = (24, 48, 64), np.array([31.0, 23.5, 12.0]), 11.0, 2.0
ORDERS = {"a": "xyz", "b": "xzy"}
LINE = "milopyp-infer a.mrc b.mrc --model toy.onnx --threads 1 --out-thresh 0.02"  # noise has a hundred candidates
NEAR = "--mask masks --mask-distance -10:80 --normals"


@pytest.fixture(autouse=True)
def tomograms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tomograms, the second one with its axes turned, and a vesicle's membrane in each."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(TOY, "toy.onnx")
    membrane = vesicle(SHAPE, CENTRE, RADIUS, HALF)
    for seed, (name, order) in enumerate(ORDERS.items(), start=1):
        write_tomogram(Path(f"{name}.mrc"), noise(SHAPE, seed), order, voxel_size=VOXEL)
        write_tomogram(Path("masks") / f"{name}_mask.mrc", membrane, order)


def picked(*more: str, line: str = LINE) -> str:
    outcome = run_line(line, *more)
    assert outcome.code == 0, outcome.err
    return outcome.out + outcome.err


def candidates(folder: str, name: str) -> Picks:
    return read_candidates(Path(folder, f"{name}.candidates.csv"))


def relion_z(table: object) -> np.ndarray:
    """Where the z axes of particles point, from RELION's columns."""
    _, tilt, psi = np.radians(table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy(float).T)  # type: ignore[index]
    return np.column_stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.arccos(np.clip(np.sum(one * other, axis=1), -1, 1))))


def test_the_distance_decides_and_is_reported() -> None:
    picked("--out", "all")
    picked("--out", "near", *NEAR.split())
    for name in ORDERS:
        near, everything = candidates("near", name), candidates("all", name)
        assert near.distance is not None and everything.distance is None and len(near) > 10
        exact, facing = from_membrane(near.xyz, CENTRE, RADIUS, HALF)
        assert np.abs(near.distance / VOXEL - exact).max() < 0.9
        assert near.distance.min() >= -10 and near.distance.max() <= 80
        outside = from_membrane(everything.xyz, CENTRE, RADIUS, HALF)[0]
        kept = {tuple(xyz) for xyz in near.xyz}
        assert {tuple(xyz) for xyz in everything.xyz[(outside > 0) & (outside < 7)]} <= kept
        assert not {tuple(xyz) for xyz in everything.xyz[outside > 9]} & kept
        assert near.angles is not None
        _, tilt, psi = np.radians(near.angles[exact > 0].T)
        z = np.column_stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])
        assert np.percentile(degrees(z, facing[exact > 0]), 90) < 15
        assert np.nanstd(near.angles[:, 0]) > 60  # all around
    assert not np.array_equal(candidates("near", "a").angles[:5, 0], candidates("near", "b").angles[:5, 0])


def test_grey_levels_do_not_depend_on_the_membrane() -> None:
    """Outside the membrane the network sees what it sees without a mask."""
    picked("--out", "all")
    picked("--out", "near", "--mask", "masks", "--mask-distance", "-500:500")
    ours, theirs = candidates("near", "a"), candidates("all", "a")
    assert np.array_equal(ours.xyz, theirs.xyz) and np.array_equal(ours.score, theirs.score)
    assert ours.angles is None


def test_every_format_has_them() -> None:
    said = picked("--out", "near", *NEAR.split(), "--format", "relion4,relion5,warp,tbl,copick,ndjson,csv")
    assert "inside the mask: taken to face the nearer side" in said
    star = starfile.read("near/a.relion5.star")
    xyz = star[[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy() / VOXEL + np.array(SHAPE[::-1]) / 2
    z = relion_z(star)
    for word in ("relion4", "warp"):
        assert np.allclose(relion_z(starfile.read(f"near/a.{word}.star")), z)
    exact, facing = from_membrane(xyz, CENTRE, RADIUS, HALF)
    assert np.percentile(degrees(z, facing)[exact > 0], 90) < 15
    table = dynamotable.read("near/a.tbl")
    tdrot, tilt = np.radians(table[["tdrot", "tilt"]].to_numpy().T)
    assert np.allclose(
        np.column_stack([np.sin(tdrot) * np.sin(tilt), np.cos(tdrot) * np.sin(tilt), np.cos(tilt)]), z, atol=1e-4
    )
    copick = json.loads(Path("near/a.json").read_text())
    moved = np.array([point["transformation_"] for point in copick["points"]])
    assert copick["trust_orientation"] and np.allclose(moved[:, :3, 2], z, atol=1e-4) and not moved[:, :3, 3].any()
    points = [json.loads(line) for line in Path("near/a.ndjson").read_text().splitlines()]
    assert {point["type"] for point in points} == {"orientedPoint"}
    assert np.allclose(np.array([point["xyz_rotation_matrix"] for point in points])[:, :, 2], z, atol=1e-4)
    assert run_line("milopyp convert near/a.csv again.star --to relion4").code == 0
    assert np.allclose(relion_z(starfile.read("again.star")), z, atol=1e-4)


def test_axes_of_the_file_turn_angles_along() -> None:
    """File axes x, z, y: so its second coordinate, and the normal's, is along the thickness."""
    picked("--out", "near", *NEAR.split(), "--format", "relion5")
    picked("--out", "turned", *NEAR.split(), "--format", "relion5", "--turn", "rotx")
    for folder, order, flips in (("near", (0, 2, 1), (1, 1, 1)), ("turned", (0, 1, 2), (1, 1, -1))):
        found = candidates(folder, "b")
        assert found.angles is not None
        _, tilt, psi = np.radians(found.angles.T)
        z = np.column_stack([-np.cos(psi) * np.sin(tilt), np.sin(psi) * np.sin(tilt), np.cos(tilt)])
        written = relion_z(starfile.read(f"{folder}/b.star"))
        best = np.argsort(-found.score, kind="stable")
        expected = (z[best][:, order] * flips)[: len(written)]
        unlike = np.abs(written[:, None] - expected[None]).max(axis=2).min(axis=1)
        assert unlike.max() < 1e-3


def test_they_survive_edits_thresholds_and_collecting() -> None:
    picked("--out", "near", *NEAR.split(), "--format", "relion4")
    table, before = candidates("near", "a"), starfile.read("near/a.star")
    assert table.angles is not None
    low = table[-3:]  # candidates that are no picks of the threshold below
    assert run_line("milopyp threshold near --value 0.2").code == 0
    high = starfile.read("near/a.star")
    assert len(high) < len(before) and np.allclose(relion_z(high), relion_z(before)[: len(high)])
    xyz = high[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy()
    new = [3.0, 4.0, 5.0]
    write_coordinate_list(Path("mended.tsv"), {"a": np.concatenate([xyz[1:], low.xyz[:1], [new]])})
    said = run_line("milopyp apply near mended.tsv")
    assert said.code == 0 and "1 pick without an orientation: angles of 0 stand for none" in said.out + said.err
    mended = starfile.read("near/a.star")
    places = mended[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy()
    angles = mended[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()

    def at(place: np.ndarray) -> np.ndarray:
        found: np.ndarray = angles[np.abs(places - place).max(axis=1).argmin()]
        return found

    assert np.allclose(at(np.array(new)), 0)
    assert np.allclose(at(low.xyz[0]), np.nan_to_num(table.angles[-3]), atol=1e-2)
    picked("--out", "all", line="milopyp-infer a.mrc b.mrc --model toy.onnx --threads 1 --out-thresh 0.2")
    said = run_line("milopyp collect near all --class-names near,all --to relion5 -o set")
    assert said.code == 0 and (said.out + said.err).count("without an orientation") == 1
    particles = starfile.read("set/particles.star")
    own = particles[(particles["rlnTomoName"] == "a") & (particles["rlnClassNumber"] == 1)]
    assert np.allclose(relion_z(own), relion_z(mended), atol=1e-4)
    assert np.allclose(particles[particles["rlnClassNumber"] == 2]["rlnAngleTilt"], 0)
    assert run_line("milopyp collect near --to csv -o sheet").code == 0
    with Path("sheet/particles.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    by_hand = [row for row in rows if row["tilt"] == ""]
    assert len(by_hand) == 1 and by_hand[0]["distance"] == "" and rows[1]["distance"]


def test_the_same_again_and_another_range() -> None:
    picked("--out", "near", *NEAR.split())
    first = Path("near/a.candidates.csv").read_bytes()
    assert "a is already done" in picked("--out", "near", *NEAR.split())
    assert "a is already done" not in picked("--out", "near", "--mask", "masks", "--mask-distance", "0:40")
    picked("--out", "other", *NEAR.split())
    assert Path("other/a.candidates.csv").read_bytes() == first


def test_records_of_before_hold() -> None:
    picked("--out", "all")
    for path in [*Path("all/records").glob("*.json"), Path("all/run.json")]:
        stored = json.loads(path.read_text())
        for each in (stored, *stored.get("tomograms", ())):
            for options in (each.get("options"), each.get("call")):
                for name in ("mask_distance", "normals"):
                    if options is not None:
                        options.pop(name, None)
        path.write_text(json.dumps(stored))
    assert "a is already done" in picked("--out", "all")


def test_a_tomogram_without_a_mask_is_named() -> None:
    Path("masks/b_mask.mrc").unlink()
    assert "without distances from a mask: b" in picked("--out", "near", *NEAR.split())
    assert candidates("near", "b").distance is None and candidates("near", "a").distance is not None


def test_membrane_proteins_of_the_reference_set(reference: Path) -> None:
    """Receptors on vesicles, whose z axes were made to stand on the membrane: 9 of 10 within 15 degrees."""
    from milopyp_shared.masks import Mask
    from milopyp_shared.surface import normals, signed_distances

    errors = []
    for truth in sorted((reference / "data/mid/truth").glob("*.json")):
        shapes = json.loads(truth.read_text())["vesicle_shapes"]
        with truth.with_suffix(".tsv").open() as stream:
            rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["species"] == "nmdar"]
        xyz = np.array([[float(row[axis]) for axis in "xyz"] for row in rows])
        standing = np.array([[float(row[f"r{axis}3"]) for axis in "123"] for row in rows])
        mask = Mask(_membranes(shapes, (96, 256, 256)))
        distance = signed_distances(mask, xyz, 15.0)
        assert (distance > 0).all() and (distance < 10).all()
        errors.append(degrees(normals(mask, xyz, 15.0, 7.0), standing))
    found = np.concatenate(errors)
    assert len(found) > 80 and np.mean(found < 15) > 0.9


def _membranes(shapes: list[dict[str, list[float]]], shape_zyx: tuple[int, int, int]) -> np.ndarray:
    """Voxels within 2.5 of the middle of undulating ellipsoids, as the simulator's ``_shell_distance`` has them."""
    found = np.zeros(shape_zyx, bool)
    for shape in shapes:
        middle, half = np.array(shape["c"]), np.array(shape["a"])
        low = np.maximum(np.floor(middle - 1.2 * half - 5).astype(int), 0)
        high = np.minimum(np.ceil(middle + 1.2 * half + 6).astype(int), shape_zyx[::-1])
        z, y, x = np.meshgrid(*(np.arange(low[axis], high[axis]) for axis in (2, 1, 0)), indexing="ij")
        scaled = (np.stack([x, y, z], axis=-1) - middle) / half
        rho = np.linalg.norm(scaled, axis=-1) + 1e-6
        waves = [
            m * np.sin(2 * k * (scaled / rho[..., None] @ np.array(ph)) + p)
            for m, k, ph, p in zip(shape["m"], shape["k"], shape["ph"], shape["p"], strict=True)
        ]
        slope = np.linalg.norm(scaled / half, axis=-1) / rho + 1e-6
        near = np.abs((rho - 1 - np.sum(waves, axis=0)) / slope) < 2.5
        found[low[2] : high[2], low[1] : high[1], low[0] : high[0]] |= near
    return found
