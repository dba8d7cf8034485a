"""Options beside each other and beside the model file: what runs, and what is refused with both values named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from milopyp_inference.cli import infer_command
from milopyp_inference.decode.filaments import FibreOptions
from milopyp_inference.decode.published import PublishedOptions
from milopyp_inference.engine.machine import NO_GPU, Machine
from milopyp_inference.options import InferOptions, check_against_recipe, output_folder, parse_machine
from milopyp_inference.pick_options import FIBRE_OPTIONS, PUBLISHED_OPTIONS, published_options
from milopyp_shared import exporter, preprocessing
from milopyp_shared.errors import ContradictionError, MilopypError, UsageError
from milopyp_shared.recipe import METADATA_KEY, Recipe
from running import run_line
from toys import TOY, clean_phantom, write_tomogram

NOTHING = InferOptions((), Path("a.onnx"))
CHECKPOINT = b"stands for the weights"


def toy_model(path: Path, change: Callable[[Recipe], Recipe] = lambda recipe: recipe) -> Recipe:
    """The toy under another recipe."""
    proto = onnx.load(str(TOY))
    [entry] = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
    recipe = change(Recipe.from_json(entry.value, TOY))
    entry.value = recipe.to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, str(path))
    return recipe


def as_in_the_manual(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        architecture="unet_5",
        architecture_options={"last_k": 3},
        preset="published",
        grey=preprocessing.published(),
        checkpoint_sha256=hashlib.sha256(CHECKPOINT).hexdigest(),
    )


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Recipe]:
    """Of the default preset and of the manual's training command."""
    folder = tmp_path_factory.mktemp("models")
    return toy_model(folder / "a.onnx"), toy_model(folder / "b.onnx", as_in_the_manual)


# ---------------------------------------------------------------- the manual's command


@pytest.fixture
def manual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of the manual's inference command: an image list in data/, a checkpoint and its export."""
    monkeypatch.chdir(tmp_path)
    experiment = Path("exp/semi/sample_refinement")
    toy_model(experiment / "model_4.onnx", as_in_the_manual)
    (experiment / "model_4.pth").write_bytes(CHECKPOINT)
    write_tomogram(Path("tomograms/a.rec"), clean_phantom().volume, "xzy")
    Path("data").mkdir()
    Path("data/test_img.txt").write_text("image_name\trec_path\na\ttomograms/a.rec\n")
    return experiment


LINE = (
    "milopyp-infer semi --arch unet_5 --dataset semi --exp_id sample_refinement "
    "--load_model exp/semi/sample_refinement/model_4.pth --down_ratio 2 --K 900 --ord xzy --out_thresh 0.2 "
    "--test_img_txt test_img.txt --compress --gauss 0.8 --out_id all_out"
)


def test_the_command_of_the_manual(manual: Path) -> None:
    outcome = run_line(LINE)
    assert outcome.code == 0, outcome.err
    said = f"{manual}/model_4.onnx is the export of {manual}/model_4.pth: picking with it"
    assert outcome.out.splitlines().count(said) == 1
    assert {path.name for path in (manual / "all_out").iterdir()} == {
        "a.txt", "a.mod", "a_hm.mrc", "a.candidates.csv", "run.json", "status.json", "records",
    }  # fmt: skip
    # x z y, as the file's axes; sub-voxel, unlike what --published writes
    picks = np.loadtxt(manual / "all_out" / "a.txt", ndmin=2)
    assert picks.shape[1] == 3
    assert (picks.max(axis=0) <= [80, 32, 64]).all()
    record = json.loads((manual / "all_out" / "records" / "a.json").read_text())
    assert record["options"]["selection"]["limit"] == 900
    assert (record["frame"]["order"], record["options"]["selection"]["threshold"]) == ("xzy", 0.2)


def test_more_words_of_the_published_program(manual: Path) -> None:
    outcome = run_line(f"{LINE} --gpus -1 --last_k 3 --published --nms 5 --cutoff_z 2 --with_score")
    assert outcome.code == 0, outcome.err
    lines = (manual / "all_out" / "a.txt").read_text().splitlines()
    assert lines
    assert all(word.isdecimal() for line in lines for word in line.split("\t")[:3])


def test_the_export_must_be_of_this_checkpoint(manual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_NEEDED", ("torch_that_is_not_there",))
    (manual / "model_4.pth").write_bytes(b"trained again")
    outcome = run_line(LINE)
    assert outcome.code == 2
    [line] = outcome.errors
    assert line.startswith(f"error: {manual}/model_4.onnx: was made from another checkpoint")
    assert line.endswith(f"Export it again: milopyp-export --overwrite {manual}/model_4.pth")
    assert not (manual / "all_out").exists()


def test_a_checkpoint_without_its_export(manual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "_NEEDED", ("torch_that_is_not_there",))
    (manual / "model_4.onnx").unlink()
    outcome = run_line(LINE)
    assert outcome.code == 2
    [line] = outcome.errors
    assert "is a PyTorch checkpoint; expected an ONNX file, here or as model_4.onnx beside it" in line
    assert line.endswith(f"Export it once, where PyTorch is: milopyp-export {manual}/model_4.pth")


def test_a_checkpoint_that_is_not_there(manual: Path) -> None:
    (manual / "model_4.pth").unlink()
    outcome = run_line(LINE)
    assert (outcome.code, "model_4.pth: no such file" in outcome.err) == (2, True)


def test_an_image_list_of_any_name_beside_inputs(manual: Path) -> None:
    """An absolute path among the words, too: a slash is no option."""
    Path("data/test_img.txt").rename("data/tomograms.lst")
    more = write_tomogram(Path("b.rec").absolute(), clean_phantom(2).volume, "xzy")
    outcome = run_line(LINE.replace("test_img.txt", "tomograms.lst"), more)
    assert outcome.code == 0, outcome.err
    assert (manual / "all_out" / "a.txt").exists()
    assert (manual / "all_out" / "b.txt").exists()


def test_the_word_semi_is_taken_once(manual: Path) -> None:
    outcome = run_line(LINE.replace("semi --arch", "semi semi --arch"))
    assert outcome.code == 1
    assert "failed: semi: semi: no such file" in outcome.err


# ---------------------------------------------------------------- beside the model file


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"arch": "unet3d"},
        {"gauss": 0.8},
        {"compress": True},
        {"down_ratio": 2},
    ],
    ids=str,
)
def test_what_the_default_model_says_too(said: dict[str, Any], recipes: tuple[Recipe, Recipe]) -> None:
    check_against_recipe(replace(NOTHING, **said), recipes[0], Path("a.onnx"))


@pytest.mark.parametrize(
    ("said", "given", "trained"),
    [
        ({"arch": "unet_4"}, "--arch unet_4", "--arch unet_5"),
        ({"last_k": 5}, "--last-k 5", "--last-k 3"),
        ({"gauss": 0.0}, "--gauss 0", "--gauss 0.8"),
        ({"gauss": 0.81}, "--gauss 0.81", "--gauss 0.8"),
        ({"compress": False}, "--no-compress", "--compress"),
        ({"down_ratio": 4}, "--down-ratio 4", "--down-ratio 2"),
    ],
)
def test_what_the_model_contradicts(
    said: dict[str, Any], given: str, trained: str, recipes: tuple[Recipe, Recipe]
) -> None:
    with pytest.raises(ContradictionError) as refused:
        check_against_recipe(replace(NOTHING, **said), recipes[1], Path("a.onnx"))
    assert f"a.onnx: was trained with {trained}, but the command line says {given};" in str(refused.value)
    assert f"Leave {given.split()[0]} out" in str(refused.value)


def test_a_model_without_pairs_or_last_k(recipes: tuple[Recipe, Recipe]) -> None:
    recipe = replace(recipes[0], grey=replace(recipes[0].grey, pairing="none"))
    check_against_recipe(replace(NOTHING, compress=False), recipe, Path("a.onnx"))
    with pytest.raises(ContradictionError, match="trained with --no-compress, but the command line says --compress"):
        check_against_recipe(replace(NOTHING, compress=True), recipe, Path("a.onnx"))
    with pytest.raises(ContradictionError, match="trained with no --last-k, but the command line says --last-k 3"):
        check_against_recipe(replace(NOTHING, last_k=3), recipe, Path("a.onnx"))


# ---------------------------------------------------------------- beside each other


def test_published_options() -> None:
    published = replace(NOTHING, published=True)
    assert published_options(NOTHING) is None
    assert published_options(replace(NOTHING, limit={"": 5}, coords="voxel")) is None
    assert published_options(published) == PublishedOptions(900, 3, 10, None)
    assert published_options(replace(published, limit={"": 5}, nms=1, cutoff_z=0)) == PublishedOptions(5, 1, 0)
    fibre = published_options(replace(published, fiber=True, r2_cutoff=0.0))
    assert fibre == PublishedOptions(fibre=FibreOptions(15, 0, 0.003, 2))


@pytest.mark.parametrize("name", PUBLISHED_OPTIONS)
def test_options_of_the_published_decoding_want_it(name: str) -> None:
    spelling = "--" + name.replace("_", "-")
    with pytest.raises(UsageError, match=f"{spelling}: has no effect.* expected it beside --published only"):
        published_options(replace(NOTHING, **{name: 0}))


@pytest.mark.parametrize("name", FIBRE_OPTIONS)
def test_options_of_fibres_want_fibres(name: str) -> None:
    with pytest.raises(UsageError, match="expected it beside --fiber only"):
        published_options(replace(NOTHING, published=True, **{name: 1.0}))


@pytest.mark.parametrize("said", [{"nms": 4}, {"coords": "voxel"}, {"coords": "model2point"}], ids=str)
def test_what_published_picks_cannot_be(said: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        published_options(replace(NOTHING, published=True, **said))


@pytest.mark.parametrize(
    ("given", "folder"),
    [((None, None, None), "picks"), ((Path("a/b"), None, None), "a/b"), ((None, "x", "y"), "exp/semi/x/y")],
)
def test_output_folder(given: tuple[Path | None, str | None, str | None], folder: str) -> None:
    out, exp_id, out_id = given
    assert output_folder(replace(NOTHING, out=out, exp_id=exp_id, out_id=out_id)) == Path(folder)


@pytest.mark.parametrize(
    "given",
    [(Path("a"), "x", "y"), (Path("a"), None, "y"), (None, "x", None), (None, None, "y")]
    + [(None, *names) for bad in ("", ".", "..", "a/b", "a\\b", "a\nb") for names in (("x", bad), (bad, "x"))],
)
def test_output_folders_that_are_refused(given: tuple[Path | None, str | None, str | None]) -> None:
    with pytest.raises(UsageError):
        output_folder(replace(NOTHING, out=given[0], exp_id=given[1], out_id=given[2]))


@pytest.mark.parametrize("gpus", [None, "-1", " -1 "])
def test_the_cpu(gpus: str | None) -> None:
    machine = parse_machine(replace(NOTHING, provider="auto" if gpus else "cpu", gpus=gpus, threads=3, memory="2GB"))
    assert (machine.threads, machine.memory) == (3, 2 * 10**9)
    assert (machine.provider, machine.device) == (("auto", NO_GPU) if gpus else ("cpu", None))


@pytest.mark.parametrize(
    ("provider", "gpus", "said"),
    [
        ("auto", "0,1", "'0,1'; expected -1"),
        ("auto", "all", "'all'; expected -1"),
        ("cuda", "-2", "'-2'; expected -1"),
        ("auto", "", "''; expected -1"),
        ("cpu", "0", "'0' beside --provider cpu"),
        ("cuda", "-1", "--provider: cuda beside --gpus -1"),
    ],
)
def test_devices_that_make_no_sense(provider: str, gpus: str, said: str) -> None:
    with pytest.raises(MilopypError, match=said) as refused:
        parse_machine(replace(NOTHING, provider=provider, gpus=gpus))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("--slurm-time 1:00", "--slurm-time"),
        ("--slurm-at-once 2 --slurm-jobs 4 --dry-run", "--slurm-jobs, --slurm-at-once"),
        ("--slurm-option --account=me --slurm-option --qos=long", "--slurm-option"),
        ("--nms 3 --cutoff-z 0", "--nms, --cutoff-z"),
        ("--fiber --r2-cutoff 1", "--fiber, --r2-cutoff"),
        ("--published --r2-cutoff 1 --distance-scale 2", "--r2-cutoff, --distance-scale"),
    ],
)
def test_an_option_without_effect_is_named_once_and_as_it_is_spelled(given: str, where: str) -> None:
    outcome = run_line(f"milopyp-infer a.mrc --model {TOY} {given}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {where}: has no effect")
    for name in where.split(", "):
        assert outcome.err.count(name) == 1
        assert name in {word for option in infer_command.params for word in option.opts}


def test_a_gpu_by_its_number() -> None:
    assert parse_machine(replace(NOTHING, provider="cuda", gpus="1")) == Machine("cuda", 1)
    assert parse_machine(replace(NOTHING, memory="800 MB")).memory == 800 * 10**6


def test_the_help_groups_what_belongs_together() -> None:
    shown = run_line("milopyp-infer --help").out
    headings = ["Model:", "Output:", "Picks:", "Tomograms:", "As in training", "As the published program", "Machine:"]
    places = [shown.index(f"\n{heading}") for heading in headings]
    assert places == sorted(places)
    words = " ".join(shown[places[5] : places[6]].split())
    ours = PublishedOptions(fibre=FibreOptions())
    assert ours.fibre is not None
    defaults = [ours.nms, ours.cutoff_z, *(getattr(ours.fibre, name) for name in FIBRE_OPTIONS)]
    assert [word.split("]")[0] for word in words.split("[default: ")[1:]] == [f"{value:g}" for value in defaults]
