"""Every example in every help text is run as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
import uvicorn

from copick_toys import write_picks, write_project
from experiments import lists
from milopyp_shared.coordinate_lists import read_coordinate_list, write_classes, write_coordinate_list
from milopyp_shared.formats.candidates import read_candidates
from milopyp_shared.formats.context import FormatContext
from milopyp_shared.formats.registry import FORMATS
from milopyp_shared.picks import Picks
from milopyp_shared.tomogram import open_tomogram
from milopyp_simulation import among_others
from milopyp_simulation.phantom import PhantomSettings
from milopyp_simulation.phantom_files import write_phantoms
from milopyp_training import from_template
from published_checkpoints import save_published, state_dict
from running import PROGRAMS, run_line
from specimens import lopsided
from toy_checkpoint import save_toy
from toys import TOY, TOY_OF_TWO, clean_phantom, write_tomogram
from vesicles import vesicle

NEEDS_A_GPU = {"engines build"}
QUICKER = {
    "milopyp-train": "--num-epochs 1 --threads 1 --gpus -1 --no-export",
    "demo": "--num-epochs 1",
    "learn": "--threads 1",
    "label": "--no-browser",
    "pretrain": "--groups 1 --steps 1 --workers 1 --threads 1 --gpus -1",
}
CALIBRATION = {"particles": 9.0, "score": [0.2, 0.6], "precision": [0.5, 0.95], "recall": [0.9, 0.5]}


def commands() -> Iterator[tuple[str, click.Command]]:
    """All commands by name, those of groups too."""

    def leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            yield name, command
            return
        context = click.Context(command)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            assert found
            if found.name in PROGRAMS:  # milopyp train is milopyp-train
                continue
            yield from leaves(f"{name} {word}".strip(), found)

    for program, (module, attribute) in PROGRAMS.items():
        yield from leaves("" if program == "milopyp" else program, getattr(import_module(module), attribute))


def examples(command: click.Command) -> list[str]:
    """The lines below "Example:" or "Examples:" in a help text, continued ones joined."""
    _, found, rest = (command.help or "").replace("\b", "").partition("Example")
    if not found:
        return []
    text = rest.partition("\n")[2].replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip().startswith("milopyp")]


async def interrupted_when_it_runs(
    server: uvicorn.Server, sockets: list[socket.socket] | None = None, *, start: Any = uvicorn.Server.startup
) -> None:
    """A server, and Ctrl-C as soon as it answers."""
    await start(server, sockets)
    os.kill(os.getpid(), signal.SIGINT)


EXAMPLES = [(name, line) for name, command in commands() for line in examples(command)]


def tomogram(name: str, seed: int = 1, order: str = "xyz") -> np.ndarray:
    """Writes one that the toy picks; its particles."""
    phantom = clean_phantom(seed, (24, 80, 96), particles=6)
    write_tomogram(Path(name), phantom.volume, order, voxel_size=10.0)
    return phantom.particles_xyz


def write(word: str, path: str, xyz: np.ndarray, of: str, name: str | None = None) -> None:
    """Positions in one of the formats."""
    writer = FORMATS[word].write
    assert writer
    own = open_tomogram(of)
    setting = FormatContext.of(own.frame, name or own.path.stem, coords="model2point", name=name)
    writer(Path(path), Picks(xyz, np.ones(len(xyz))), setting)


def run_of(names: list[str], suffix: str = ".mrc") -> dict[str, np.ndarray]:
    """A finished run in ``picks``, whose model knows what to expect; the true particles."""
    truth = {name: tomogram(f"{name}{suffix}", seed) for seed, name in enumerate(names, 1)}
    files = " ".join(f"{name}{suffix}" for name in names)
    assert run_line(f"milopyp-infer {files} --model {TOY} --out picks --threads 1").code == 0
    summary = json.loads(Path("picks/run.json").read_text())
    Path("picks/run.json").write_text(json.dumps(summary | {"calibration": CALIBRATION}))
    return truth


def project() -> None:
    """A copick project with a ribosome that somebody has picked."""
    phantom = clean_phantom(1, (24, 80, 96), particles=6)
    write_project({"TS_01": phantom.volume})
    write_picks("TS_01", "alice", (phantom.particles_xyz * 10).tolist())


def for_prepare() -> None:
    project()
    xyz = {name: tomogram(f"sample_data/{name}.mrc", seed) for seed, name in enumerate(("a", "b"), 1)}
    shutil.copy("sample_data/a.mrc", "sample_data/c.rec")
    shutil.copytree("sample_data", "new_tomograms")
    write("txt", "sample_data/c.txt", xyz["a"], "sample_data/c.rec")
    for name in xyz:
        write("relion5", f"sample_data/{name}.star", xyz[name], f"sample_data/{name}.mrc", name)
        write("mod", f"sample_data/{name}_a.mod", xyz[name][::2], f"sample_data/{name}.mrc")
        write("mod", f"sample_data/{name}_b.mod", xyz[name][1::2], f"sample_data/{name}.mrc")
    shutil.copy("sample_data/a.star", "particles.star")
    for name in xyz:
        Path(f"series/{name}").mkdir(parents=True)
        shutil.copy(f"sample_data/{name}.mrc", f"series/{name}/tomogram.mrc")
        write("txt", f"series/{name}/tomogram.txt", xyz[name], f"sample_data/{name}.mrc")


def for_convert() -> None:
    [xyz] = run_of(["TS_01"]).values()
    write("relion5", "particles.star", xyz, "TS_01.mrc", "TS_01")
    np.savetxt("clicks.txt", xyz, fmt="%.2f")
    write_coordinate_list("picks_above_0.500.tsv", {"TS_01": xyz})
    rows = "".join(f"TS_01,{x},{y},{z},1,ribosome\n" for x, y, z in xyz.tolist())
    Path("tables").mkdir()
    Path("tables/particles.csv").write_text(f"tomogram,x,y,z,score,class\n{rows}")


def for_evaluate() -> None:
    truth = run_of(["TS_01"])
    path = Path("picks/records/TS_01.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"diameter": 21.0}))  # of which 105A is half
    write_coordinate_list("coords_test.tsv", truth)
    for path in ("particles.star", "template_matching.star"):
        write("relion5", path, truth["TS_01"], "TS_01.mrc", "TS_01")
    shutil.copytree("picks", "picks_b")
    run_of_classes()
    xyz = truth["TS_01"]
    classes = {"ribosome": {"TS_01": xyz[::2]}, "proteasome": {"TS_01": xyz[1::2]}}
    write_classes("coords_of_classes.tsv", classes)


def run_of_classes() -> None:
    """Of the tomogram of `run_of`."""
    line = f"milopyp-infer TS_01.mrc --model {TOY_OF_TWO} --out picks_of_classes --threads 1 --no-exclusive"
    assert run_line(line).code == 0


def for_threshold() -> None:
    run_of(["TS_01", "TS_02"])
    run_of_classes()
    path = Path("picks/TS_01.candidates.csv")
    many = np.stack(np.meshgrid(np.arange(95), np.arange(79), np.arange(2)), -1).reshape(-1, 3).astype(float)
    found = read_candidates(path)
    assert len(found) < len(many)
    # enough for --total 5000, without neighbours that are suppressed
    for record in Path("picks/records").glob("*.json"):
        stored = json.loads(record.read_text())
        record.write_text(json.dumps(stored | {"suppression_distance": 0.5}))
    rows = [f"{x},{y},{z},{score:.6f}" for (x, y, z), score in zip(many, np.linspace(0.9, 0.1, len(many)), strict=True)]
    path.write_text("\n".join(["x,y,z,score", *rows]) + "\n")


def for_collect() -> None:
    run_of(["TS_01", "TS_02"])
    shutil.copytree("picks", "picks_b")
    labels = ("Name", "TiltSeriesPixelSize", "SizeX", "SizeY", "SizeZ")
    head = "".join(f"_rlnTomo{label}\n" for label in labels)
    Path("tomograms.star").write_text(f"data_global\nloop_\n{head}TS_01 2.5 384 320 96\nTS_02 2.5 384 320 96\n")


def for_relion() -> None:
    for_collect()
    shutil.copy(TOY, "ribosome.onnx")
    Path("Denoise/job005").mkdir(parents=True)
    text = Path("tomograms.star").read_text().replace("SizeZ\n", "SizeZ\n_rlnTomoReconstructedTomogram\n")
    Path("Denoise/job005/tomograms.star").write_text(
        text.replace("TS_02 2.5 384 320 96\n", "").replace(" 96\n", " 96 TS_01.mrc\n")
    )


def for_report() -> None:
    write_coordinate_list("coords_test.txt", run_of(["tomo_3"]))


def for_apply() -> None:
    [xyz] = run_of(["TS_01"]).values()
    for number, path in enumerate(("before.tsv", "picks_above_0.500.tsv"), 1):
        write_coordinate_list(path, {"TS_01": xyz[number:]})
    assert run_line("milopyp apply picks before.tsv").code == 0


def for_training() -> None:
    common = {"n_distractors": 0, "diameter": 8, "noise": 0.3, "background": 0.0}
    wide = write_phantoms("data", 2, PhantomSettings((24, 68, 72), n_particles=4, **common))
    lists(Path("data"), wide, ("ribo_train_imgs.txt", "ribo_train_coords.txt", "v.txt", "vc.txt"))
    shutil.copy("data/ribo_train_imgs.txt", "data/both_train_imgs.txt")
    [(name, xyz)] = read_coordinate_list("data/ribo_train_coords.txt").items()
    write_classes("data/both_train_coords.txt", {"ribosome": {name: xyz[::2]}, "proteasome": {name: xyz[1::2]}})
    write_tomogram(Path("ribosome.mrc"), lopsided().array, voxel_size=15.0)


def for_learning() -> None:
    for_training()
    for name in ("imgs", "coords"):
        shutil.copy(f"data/ribo_train_{name}.txt", f"data/{name}.txt")


def for_export() -> None:
    save_toy(Path("model.pth"))
    path = Path("exp/semi/ribosome/model_last_contrastive.pth")
    path.parent.mkdir(parents=True)
    shutil.copy("model.pth", path)
    save_published(Path("model_4.pth"), state_dict())
    write_tomogram(Path("a.mrc"), clean_phantom().volume, voxel_size=10.0)
    Path("train_imgs.txt").write_text("image_name rec_path\na a.mrc\n")


def for_picking() -> None:
    for path in ("tomograms/a.mrc", "series/TS_01/tomogram.mrc"):
        tomogram(path)
    project()
    Path("test_imgs.txt").write_text("image_name rec_path\na tomograms/a.mrc\n")
    write_tomogram(Path("membranes/a_mask.mrc"), vesicle((24, 80, 96), np.array([48.0, 40.0, 12.0]), 20.0, 2.0))
    shutil.copy(TOY, "ribosome.onnx")


def for_show() -> None:
    for_picking()
    run_of(["TS_01"])


def for_phantoms() -> None:
    assert run_line("milopyp phantom --out toy --count 2 --size 40,96,96 --particles 6 --distractors 0").code == 0
    write_tomogram(Path("ribosome.mrc"), lopsided().array, voxel_size=15.0)


def for_labelling() -> None:
    for name in ("tomograms/a.rec", "tomo_1.mrc"):
        xyz = tomogram(name)
    write("mod", "tomo_1.mod", xyz, "tomo_1.mrc")
    Path("imgs.txt").write_text("image_name\trec_path\na\ttomograms/a.rec\n")


SCENES: dict[str, Callable[[], object]] = {
    "prepare": for_prepare, "show": for_show, "evaluate": for_evaluate, "convert": for_convert,
    "learn": for_learning, "threshold": for_threshold, "report": for_report, "apply": for_apply,
    "collect": for_collect, "relion": for_relion, "phantom": for_phantoms, "label": for_labelling,
    "milopyp-train": for_training, "milopyp-export": for_export, "milopyp-infer": for_picking,
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # engines clear
    monkeypatch.setattr(among_others, "FIELD", 128)  # of tomograms that are simulated, of which one is enough here
    monkeypatch.setattr(from_template, "LEARNED", 1)
    monkeypatch.setattr(uvicorn.Server, "startup", interrupted_when_it_runs)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=[line[:60] for _, line in EXAMPLES])
@pytest.mark.filterwarnings("ignore:.*:UserWarning:torch.*")
def test_example(name: str, line: str) -> None:
    if name in NEEDS_A_GPU:
        pytest.skip(f"{name} needs a GPU")
    SCENES.get(name, lambda: None)()
    quicker = QUICKER.get(name, "")
    if line.startswith("milopyp-train") and "published" not in line:
        quicker += " --quick --batch-size 2"  # which takes the least time; that of the published method is one pair
    outcome = run_line(line, *quicker.split())
    assert outcome.code == 0, outcome.err
    if name == "demo":
        left = {path.name for path in Path("milopyp_demo").iterdir()}
        assert left >= {"demo.onnx", "picks", "figures.json", "overview.png"}
        assert Path("milopyp_demo/picks/report.html").exists()


def test_every_command_has_an_example() -> None:
    assert [name for name, command in commands() if not examples(command)] == []
    assert len(EXAMPLES) > 25
