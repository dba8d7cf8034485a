"""The command group ``milopyp``; a command's module is imported when it is named."""

from __future__ import annotations

from importlib import import_module

import click

from milopyp_shared.commandline import CONTEXT, run

COMMANDS = (
    "demo",
    "label",
    "prepare",
    "train",
    "learn",
    "export",
    "infer",
    "show",
    "evaluate",
    "convert",
    "collect",
    "relion",
    "threshold",
    "report",
    "apply",
    "doctor",
    "engines",
    "phantom",
    "pretrain",
)


PROGRAMS = {"train": "milopyp_training", "export": "milopyp_export", "infer": "milopyp_inference"}


class LazyGroup(click.Group):
    """Commands by module name: ``milopyp.commands.NAME`` holds the command ``NAME``, other packages the programs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in PROGRAMS:
            module, attribute = f"{PROGRAMS[cmd_name]}.cli", f"{cmd_name}_command"
        else:
            module, attribute = f"milopyp.commands.{cmd_name}", cmd_name
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="milopyp")
def milopyp() -> None:
    """Pick particles in cryo-electron tomograms from a few dozen clicks.

    milopyp-train, milopyp-export and milopyp-infer are programs of their own, and words of this one.

    \b
    From clicks to picks:
      milopyp prepare -d FOLDER -e .rec -o NAME
      milopyp-train   --train-img-txt FOLDER/NAME_train_imgs.txt --train-coord-txt FOLDER/NAME_train_coords.txt \\
                      --bbox DIAMETER --exp-id NAME
      milopyp-export  exp/semi/NAME/model_last_contrastive.pth -o NAME.onnx
      milopyp-infer   TOMOGRAM... --model NAME.onnx --out PICKS
    """


def main() -> None:
    """Entry point."""
    run(milopyp)


if __name__ == "__main__":
    main()
