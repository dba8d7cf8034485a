"""Rows of the bad-input table: copick projects, and the data portal's annotations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bad_input.builders import Build, Case, both, edited, model, picking, text, void, volume
from bad_input.expected import IMAGE_NAME, INSIDE, JSON, TEXT
from copick_toys import OBJECTS, write_project
from milopyp_shared.errors import ContradictionError, InputError, UsageError
from toys import TOY_OF_TWO, noise

INFER = "milopyp-infer --copick project.json --model toy.onnx --out picks --threads 1"
PREPARE = "milopyp prepare --copick project.json -o run --no-pictures"
CONFIGURATION = "the configuration of a copick project"
FOLDER = "a folder of this machine, or local:// before it"
HERE = "'filesystem', with folders here"
NO_TOMOGRAMS = "ExperimentRuns/RUN/VoxelSpacing10.000/TYPE.zarr in one of its roots"
PART = "a word without spaces, _ and /"
STORE = "overlay/ExperimentRuns/a/VoxelSpacing10.000/wbp.zarr"
PICKS = "overlay/ExperimentRuns/a/Picks/bob_1_ribosome.json"
POINT = '{"type": "point", "location": {"x": 1, "y": 2, "z": 3}}\n'
TYPES = "one of point, orientedPoint, instancePoint"


def project(**entries: Any) -> Build:
    """The toy model, and a project with one run, of noise; `entries` are others of its configuration."""
    own = {"static_root": None, "overlay_root": "overlay"} | entries
    return both(model(), lambda folder: void(write_project({"a": noise()}, folder, "overlay", **own)))


def picks(xyz: list[list[float]], **entries: Any) -> Build:
    """A project with the picks of bob, Angstrom."""
    content = {
        "pickable_object_name": "ribosome", "user_id": "bob", "session_id": "1", "unit": "angstrom",
        "points": [{"location": dict(zip("xyz", each, strict=True))} for each in xyz],
    }  # fmt: skip
    return both(project(), text(PICKS, json.dumps(content | entries)))


def copied(kind: str = "wbp", spacing: str = "10.000", run: str = "a", root: str = "overlay") -> Build:
    """The project's tomogram once more."""

    def build(folder: Path) -> None:
        place = folder / root / "ExperimentRuns" / run / f"VoxelSpacing{spacing}" / f"{kind}.zarr"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder / STORE, place)

    return build


def link_for_picks(folder: Path) -> None:
    place = folder / "overlay/ExperimentRuns/a/Picks/milopyp_0_ribosome.json"
    place.parent.mkdir(parents=True)
    place.symlink_to(folder / "nowhere")


CASES = [
    # configurations
    Case("a class that is no object of the project", INFER, UsageError,
         "--object", "proteasome=NAME with one of ribosome",
         both(project(), lambda folder: void(shutil.copy(TOY_OF_TWO, folder / "toy.onnx"))),
         facts=("'proteasome' is no particle of project.json",)),
    Case("two classes that are one object", f"{INFER} --object ribosome", UsageError,
         "--object", "another particle of the project for each class",
         both(project(), lambda folder: void(shutil.copy(TOY_OF_TWO, folder / "toy.onnx"))),
         facts=("ribosome=ribosome, proteasome=ribosome",)),
    Case("an object of a class that the model has not", f"{INFER} --object virus=ribosome", UsageError,
         "--object", "one of ribosome, proteasome, as toy.onnx finds them",
         both(project(), lambda folder: void(shutil.copy(TOY_OF_TWO, folder / "toy.onnx"))),
         facts=("class virus",)),
    Case("an object twice among the labels", f"{PREPARE} --object ribosome,ribosome", UsageError,
         "--object", "each particle once", project()),
    Case("a diameter of an object that is not asked for", f"{PREPARE} --object ribosome,proteasome --bbox virus=12",
         UsageError, "--bbox", "some of ribosome, proteasome",
         project(pickable_objects=[{"name": "ribosome"}, {"name": "proteasome"}]), facts=("class virus",)),
    Case("labels of classes beside a project", f"{PREPARE} --labels ribosome=_a.mod", UsageError,
         "--labels", "one of them: the project says where what is", project()),
    Case("a project that is not there", INFER, InputError, "project.json", TEXT, model()),
    Case("a configuration that is no JSON", INFER, InputError, "project.json", JSON,
         both(project(), text("project.json", "overlay_root: here"))),
    Case("a configuration without objects", INFER, InputError, "project.json", CONFIGURATION,
         both(project(), text("project.json", '{"overlay_root": "overlay"}')), facts=("pickable_objects",)),
    Case("a configuration without roots", INFER, InputError, "project.json", CONFIGURATION,
         both(project(), text("project.json", '{"pickable_objects": []}')), facts=("overlay_root",)),
    Case("a project of the data portal", INFER, InputError, "project.json", HERE,
         project(config_type="cryoet_data_portal"), facts=("'cryoet_data_portal'", "copick sync tomograms")),
    Case("an overlay in the cloud", INFER, InputError, "project.json", FOLDER, project(overlay_root="s3://b/overlay"),
         facts=("overlay_root is 's3://b/overlay'", "copick sync tomograms")),
    Case("a static root on another machine", f"{PREPARE} --object ribosome", InputError, "project.json", FOLDER,
         project(static_root="ssh://host/static"), facts=("static_root",)),
    Case("a root without a name", INFER, InputError, "project.json", FOLDER, project(overlay_root="local://")),
    Case("an object with a path for a name", INFER, InputError, "project.json", PART,
         project(pickable_objects=[{"name": "../../x", "is_particle": True}]), facts=("'../../x'",)),
    Case("an object with _ in its name", INFER, InputError, "project.json", PART,
         project(pickable_objects=[{"name": "beta_gal", "is_particle": True}])),
    Case("an object of no radius", INFER, InputError, "project.json", "Angstrom above 0, or null",
         project(pickable_objects=[{"name": "ribosome", "is_particle": True, "radius": 0}])),
    Case("a run that climbs out of the project", INFER, InputError, "project.json", IMAGE_NAME,
         project(runs=["../../../etc"]), facts=("'../../../etc'",)),
    Case("a run that is an absolute path", f"{PREPARE} --object ribosome", InputError, "project.json", IMAGE_NAME,
         project(runs=["/etc"])),
    Case("a project without runs", INFER, InputError, "project.json",
         NO_TOMOGRAMS, project(overlay_root="elsewhere")),
    Case("the home of nobody", INFER, InputError, "project.json", NO_TOMOGRAMS, project(overlay_root="~nosuchone/x")),
    # what is asked of them
    Case("a voxel spacing that a project lacks", f"{INFER} --voxel-spacing 7.84", InputError, "project.json",
         "one of 10, 20", both(project(), copied(spacing="20.000")), facts=("--voxel-spacing 7.84",)),
    Case("a type of tomogram that a project lacks", f"{INFER} --tomo-type isonet", InputError, "project.json",
         "one of denoised, wbp", both(project(), copied("denoised")), facts=("--tomo-type 'isonet'",)),
    Case("a type of tomogram that is a path", f"{INFER} --tomo-type ../x", InputError, "project.json", "one of wbp",
         project()),
    Case("no word of which tomograms", f"{PREPARE} --object ribosome", UsageError, "--tomo-type",
         "one of denoised, wbp", both(project(), copied("denoised"))),
    Case("no word of which voxels", INFER, UsageError, "--voxel-spacing", "one of 10, 20",
         both(project(), copied(spacing="20.000"))),
    Case("a project without tomograms", INFER, InputError, "project.json", NO_TOMOGRAMS,
         both(project(), lambda folder: shutil.rmtree(folder / STORE))),
    Case("two tomograms of a run", INFER, InputError, STORE,
         "one tomogram of a kind and voxel spacing in each run",
         both(project(static_root="static"), copied(root="static"))),
    Case("an object that is not in the configuration", f"{INFER} --object proteasome", UsageError, "--object",
         "one of ribosome", project(), facts=("'proteasome'",)),
    Case("an object that is no particle", f"{PREPARE} --object membrane", UsageError, "--object", "one of ribosome",
         project()),
    Case("no word of which of two particles", INFER, UsageError, "--object", "one of ribosome, proteasome",
         project(pickable_objects=[*OBJECTS, {"name": "proteasome", "is_particle": True}])),
    Case("a user with a path for a name", f"{INFER} --user ../../x", UsageError, "--user", PART, project(),
         facts=("'../../x'",)),
    Case("a session with _ in its name", f"{INFER} --session a_b", UsageError, "--session", PART, project()),
    Case("a hidden user", f"{INFER} --user .x", UsageError, "--user", PART, project()),
    Case("tomograms beside a project", f"{INFER} a.mrc", UsageError, "INPUT",
         "one of them: the project says its tomograms", project()),
    Case("a list and names beside a project", f"{INFER} --test-img-txt l.txt --name-from parent", UsageError,
         "--test-img-txt, --name-from", "one of them: the project says its tomograms", project()),
    Case("a user without a project", "milopyp-infer a.mrc --model toy.onnx --out picks --user bob", UsageError,
         "--user", "it beside --copick only", picking(volume("a.mrc"))),
    Case("a session of a folder", "milopyp prepare -d data -e .mrc -o run --session 1", UsageError, "--session",
         "it beside --copick only", volume("data/a.mrc")),
    Case("a folder beside a project", f"{PREPARE} -d data -e .mrc", UsageError, "--dir, --ext",
         "one of them: the project says where what is", project()),
    Case("neither folder nor project", "milopyp prepare -o run", UsageError, "--dir",
         "a folder with tomograms, or --copick"),
    Case("an object of a text", "milopyp prepare -d data -e .mrc -o run --object ribosome", UsageError, "--object",
         "an IMOD model: only that has objects", both(volume("data/a.mrc"), text("data/a.txt", "1 2 3\n")),
         facts=("data/a.txt", "--from mod")),
    # picks in them
    Case("picks of somebody else of this name", f"{INFER} --user bob --session 1", UsageError, "project.json",
         "a --user and --session of whom there are none", picks([[10, 10, 10]]), facts=("bob_1_ribosome.json",)),
    Case("a link in the place of picks", f"{INFER} --overwrite", UsageError, "project.json",
         "a --user and --session of whom there are none", both(project(), link_for_picks)),
    Case("picks of this name that are only read", f"{INFER} --user bob --session 1 --overwrite", UsageError,
         "project.json", "a --user and --session of whom there are none",
         both(project(static_root="overlay", overlay_root="mine"), text(PICKS, "{}"))),
    Case("a project without picks", PREPARE, InputError, "project.json",
         "those that there are, USER_SESSION_OBJECT.json in ExperimentRuns/RUN/Picks: none", project(),
         facts=("no picks of ribosome", "--inference")),
    Case("a user without picks", f"{PREPARE} --user carol", InputError, "project.json",
         "those that there are, USER_SESSION_OBJECT.json in ExperimentRuns/RUN/Picks: bob (session 1)",
         picks([[10, 10, 10]]), facts=("of ribosome of carol",)),
    Case("picks that nobody has begun", PREPARE, InputError, "project.json", "picks in one run at least", picks([]),
         facts=("1 run",)),
    Case("an empty name of a user", f"{PREPARE} --user bob,", UsageError, "--user", "names with commas between them",
         project()),
    Case("an object without a radius", PREPARE, UsageError, "--bbox",
         "a diameter: project.json says no radius of ribosome",
         both(picks([[10, 10, 10]]), edited("project.json", lambda data: data.replace(b"60.0", b"null")))),
    Case("picks in nanometres", PREPARE, InputError, PICKS, '"angstrom"', picks([[1, 1, 1]], unit="nm")),
    Case("picks outside the tomogram", PREPARE, ContradictionError, PICKS,
         INSIDE, picks([[1000, 10, 10]])),
    Case("picks with a bad shift", PREPARE, InputError, f"{PICKS}, point 0", "4 x 4 numbers",
         picks([], points=[{"location": {"x": 1, "y": 1, "z": 1}, "transformation_": [[1, 0], [0, 1]]}])),
    Case("damaged picks", PREPARE, InputError, PICKS, JSON, both(project(), text(PICKS, '{"points": ['))),
    # the data portal
    Case("ndjson of another type", "milopyp convert a.ndjson b.csv", InputError, "a.ndjson, line 2", TYPES,
         text("a.ndjson", POINT + POINT.replace("point", "segmentationMask"))),
    Case("ndjson without a location", "milopyp convert a.ndjson b.csv", InputError, "a.ndjson, line 1",
         "an object with location x, y, z", text("a.ndjson", '{"type": "point"}\n')),
    Case("ndjson with a list for a point", "milopyp convert a.ndjson b.csv", InputError, "a.ndjson, line 1", JSON,
         text("a.ndjson", "[1, 2, 3]\n")),
    Case("ndjson cut short", "milopyp convert a.ndjson b.csv", InputError, "a.ndjson, line 3", JSON,
         text("a.ndjson", (POINT * 3)[:-20])),
    Case("ndjson with a word for a number", "milopyp convert a.ndjson b.csv", InputError, "a.ndjson, line 1, "
         "location x", "a finite number", text("a.ndjson", POINT.replace("1", '"1"'))),
    Case("ndjson of a larger tomogram", "milopyp convert a.ndjson b.csv --tomogram a.mrc", ContradictionError,
         "a.ndjson", "positions inside 32 x 32 x 16 voxels (order xyz)", both(
             volume("a.mrc"), text("a.ndjson", POINT.replace("1", "99")))),
]  # fmt: skip
