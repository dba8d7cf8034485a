"""The bad-input table: one line that helps, the documented exit code, and nothing half-written."""

from __future__ import annotations

import json
import pickle
import shlex
import subprocess
import sys
import tracemalloc
from pathlib import Path

import click
import pytest
import torch

from bad_input import (
    apply_cases,
    builders,
    class_cases,
    collect_cases,
    convert_cases,
    copick_cases,
    evaluate_cases,
    every_file_cases,
    export_cases,
    hostile_cases,
    labelling_cases,
    learning_cases,
    messages,
    picking_cases,
    prepare_and_evaluate_cases,
    relion_cases,
    template_cases,
    tomograms_and_lists_cases,
    training_cases,
    zarr_cases,
)
from bad_input.builders import Case
from milopyp_shared import pretrained_weights
from milopyp_shared.errors import CheckError, ContradictionError, InputError, MilopypError, UsageError
from running import run_line, tree

CASES = [
    case
    for room in (
        tomograms_and_lists_cases,
        picking_cases,
        training_cases,
        learning_cases,
        labelling_cases,
        template_cases,
        export_cases,
        prepare_and_evaluate_cases,
        evaluate_cases,
        convert_cases,
        collect_cases,
        copick_cases,
        apply_cases,
        class_cases,
        relion_cases,
        every_file_cases,
        hostile_cases,
        zarr_cases,
    )
    for case in room.CASES
]
EXIT_CODES: dict[type, int] = {
    UsageError: 2,
    InputError: 2,
    ContradictionError: 2,
    CheckError: 3,
}  # of click's errors 2


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, two levels below the test's own folder so that climbing out of it would be seen."""
    work = tmp_path / "home" / "runs"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    return work


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input(case: Case, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if case.shipped:
        monkeypatch.setattr(pretrained_weights, "FOLDER", Path("pretrained"))
    case.build(folder)
    before = tree(tmp_path)
    if case.frugal:
        run_line(case.line)  # what is imported for it is not what is measured
        tracemalloc.start()
    try:
        outcome = run_line(case.line)
        peak = tracemalloc.get_traced_memory()[1] if case.frugal else 0
    finally:
        tracemalloc.stop()

    error = outcome.error
    assert (type(error), outcome.code) == (case.error, EXIT_CODES.get(case.error, 2)), outcome.err
    assert fields(error) == (case.where, case.expected)
    if isinstance(error, MilopypError):
        assert outcome.errors == [f"error: {error}"]
    else:
        assert isinstance(error, click.ClickException)
        assert outcome.err.endswith(f"Error: {error.format_message()}\n")
    assert not messages.strays(outcome.err, messages.command_of(case.line))
    assert not messages.DOUBLED.search(outcome.err)
    for fact in case.facts:
        assert fact in outcome.err

    after = tree(tmp_path)
    left = {f"home/runs/{name}" for name in case.leaves}
    assert {name: content for name, content in after.items() if name not in left} == before
    assert left <= set(after)
    assert not [name for name in after if name.endswith(".part")]
    if case.frugal:
        assert peak < 40e6, "memory was taken for what a header only claims"


def fields(error: BaseException | None) -> tuple[str, str]:
    """Where an error is and what was expected; of an error of click the option."""
    if isinstance(error, MilopypError):
        return "" if error.where is None else str(error.where), error.expected
    parameter = getattr(error, "param", None)
    if isinstance(parameter, click.Option):
        return parameter.opts[0], ""
    return parameter.human_readable_name if parameter else "", ""


def test_every_error_says_where_and_what_was_expected() -> None:
    """Short of memory is a machine, not a place; what would have been right is not known either."""
    silent = [case.id for case in CASES if issubclass(case.error, MilopypError) and not (case.where and case.expected)]
    assert silent == ["phantom larger than memory", "realistic phantom larger than memory"]


def test_the_traps_would_spring(folder: Path) -> None:
    """Loaded by anything that runs code in pickles, the two trapped files leave what the table looks for."""
    builders.trapped(folder)
    pickle.loads((folder / "model.pth").read_bytes())
    assert (folder / "ran").exists()
    (folder / "ran").unlink()
    builders.trapped_archive(folder)
    torch.load(folder / "model.pth", weights_only=False)
    assert (folder / "ran").exists()


def test_one_bad_tomogram_among_good_ones(folder: Path) -> None:
    builders.picking(builders.volume("1.mrc"), builders.not_a_number("2.mrc"), builders.volume("4.mrc"))(folder)
    builders.text("3.mrc", "no tomogram")(folder)
    outcome = run_line("milopyp-infer 1.mrc 2.mrc 3.mrc 4.mrc --model toy.onnx --out picks --threads 1")
    assert outcome.code == 1
    assert not outcome.errors
    bad = [line for line in outcome.err.splitlines() if line.startswith("failed: ")]
    assert [line.split(": ")[1:3] for line in bad] == [["2", "2.mrc"], ["3", "3.mrc"]]
    assert "in 2 of 4 tomograms" in outcome.out
    whole = {f"{name}{ending}" for name in "14" for ending in (".txt", ".mod", "_hm.mrc", ".candidates.csv")}
    assert {path.name for path in (folder / "picks").iterdir()} == whole | {"records", "run.json", "status.json"}
    status = {path.stem: json.loads(path.read_text())["status"] for path in (folder / "picks/records").iterdir()}
    assert status == {"1": "done", "2": "failed", "3": "failed", "4": "done"}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("milopyp.cli", "picks in columns of another order"),
        ("milopyp_training.cli", "experiment outside its folder"),
        ("milopyp_export.cli", "code in a pickle"),
        ("milopyp_inference.cli", "truncated MRC"),
    ],
)
def test_programs_leave_as_their_commands_do(module: str, name: str, folder: Path) -> None:
    """A process of its own: the exit code and the line reach the shell."""
    [case] = [case for case in CASES if case.id == name]
    case.build(folder)
    before = tree(folder)
    words = [sys.executable, "-m", module, *shlex.split(case.line)[1:]]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    [line] = ended.stderr.splitlines()
    assert ended.returncode == EXIT_CODES[case.error]
    assert line.startswith(f"error: {case.where}: ")
    assert f"; expected {case.expected}" in line
    assert tree(folder) == before
