"""Options named in help texts, errors, hints and warnings exist, wherever no row of the table comes by."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import milopyp
import milopyp_export
import milopyp_inference
import milopyp_learning
import milopyp_shared
import milopyp_training
from bad_input.messages import COMMANDS, DOUBLED, command_of, strays
from milopyp_shared import errors

PACKAGES = (milopyp_shared, milopyp, milopyp_inference, milopyp_training, milopyp_learning, milopyp_export)
SAYING = {name for name in vars(errors) if name[0].isupper()} | {"warn", "say", "echo", "info", "warning", "_warn"}
PROGRAMS = {milopyp_inference: "milopyp-infer", milopyp_training: "milopyp-train", milopyp_export: "milopyp-export"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_options_that_exist(name: str) -> None:
    texts = [COMMANDS[name].help, *(getattr(parameter, "help", None) for parameter in COMMANDS[name].params)]
    prose = [text.split("\b")[0] for text in texts if text]  # examples are run elsewhere
    assert [word for text in prose for word in strays(text, name)] == []


def messages(tree: ast.AST) -> Iterator[str]:
    """What the calls of a module's code say: strings of errors, warnings and lines printed, values left out."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            called = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if called in SAYING or called.endswith("_error"):
                yield from (said(part) for part in (*call.args, *(word.value for word in call.keywords)))
    for node in ast.iter_child_nodes(tree):  # remedies by name
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            yield from map(said, node.value.values)


def said(node: ast.AST) -> str:
    """The words of a string, or of the strings in an expression; values as ``{}``."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.FormattedValue):
        return "{}"
    between = "" if isinstance(node, ast.JoinedStr) else " "
    return between.join(map(said, ast.iter_child_nodes(node)))


def owners(package: object, path: Path) -> list[str]:
    """The commands that a module speaks for: that of its package, or its own; all when it is shared."""
    if package in PROGRAMS:
        return [PROGRAMS[package]]
    if path.parts[-2] == "commands" or path.parts[-3] == "commands":
        name = path.stem if path.parts[-2] == "commands" else path.parts[-2]
        if f"milopyp {name}" in COMMANDS:
            return [command for command in COMMANDS if command.startswith(f"milopyp {name}")]
    return list(COMMANDS)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_messages_name_options_that_exist(package: object) -> None:
    folder = Path(str(package.__file__)).parent
    found = {}
    for path in sorted(folder.rglob("*.py")):
        own = owners(package, path)
        texts = messages(ast.parse(path.read_text(encoding="utf-8")))
        if wrong := [word for text in texts for word in strays(text, *own)]:
            found[str(path.relative_to(folder))] = wrong
    assert found == {}


def test_strays_are_seen() -> None:
    assert command_of("milopyp engines build toy.onnx --gpus 0") == "milopyp engines build"
    assert strays("Give --tomogram FILE or --shape X Y Z.", "milopyp convert") == []
    assert strays("Give --tomogram FILE. Then --truth.", "milopyp report") == ["--tomogram"]
    assert strays("Say it with --tomogram FILE of milopyp convert.", "milopyp report") == []
    assert strays("Pick again (milopyp-infer). Give --rescale.", "milopyp evaluate") == ["--rescale"]
    assert strays("'--anything' given to sbatch --mem=1G", "milopyp-infer") == []
    assert DOUBLED.search("error: ----slurm-time: has no effect")
