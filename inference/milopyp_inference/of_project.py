"""The options of ``milopyp-infer`` that are of a copick project, and its tomograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from milopyp_shared.commandline import spelled
from milopyp_shared.copick_project import read_project
from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry
from milopyp_shared.names import listed
from milopyp_shared.wording import counted

from .batch.into_project import IntoProject, whose_picks
from .options import InferOptions

BESIDE = ("tomo_type", "voxel_spacing", "object", "user", "session")


def refuse_idle(options: InferOptions, words: Sequence[str]) -> None:
    """Refuse what means nothing with a project, or without one; `words` are tomograms and lists.

    Raises
    ------
    UsageError
        There is such a thing.
    """
    if options.copick is None:
        if given := options.given(*BESIDE):
            raise UsageError("has no effect", where=spelled(*given), expected="it beside --copick only")
        return
    named = [*(["INPUT"] if words else []), *(["--test-img-txt"] if options.test_img_txt is not None else [])]
    named += ["--name-from"] if options.name_from != "file" else []
    if named:
        raise UsageError(
            "given beside --copick", where=", ".join(named), expected="one of them: the project says its tomograms"
        )


def of_project(options: InferOptions, path: Path, say: Callable[[str], None]) -> tuple[IntoProject, list[ImageEntry]]:
    """Where picks go in the project at `path`, and its tomograms, called as its runs.

    Parameters
    ----------
    say
        Is told what is picked for whom, and which runs have no such tomogram.

    Raises
    ------
    UsageError, InputError
        As `read_project`, `whose_picks` and `Project.volumes`.
    """
    project = read_project(path)
    whose = whose_picks(project, options.object, options.user, options.session)
    volumes = project.volumes(options.tomo_type, options.voxel_spacing)
    target = IntoProject(project, whose, volumes.spacing)
    say(f"{whose.object} in {volumes.words}, {counted(len(volumes.images), 'run')}: picks go to {target.words}, too")
    if volumes.without:
        say(f"without {volumes.words}, and left out: {listed(volumes.without)}")
    return target, volumes.images
