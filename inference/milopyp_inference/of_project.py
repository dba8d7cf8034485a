"""The options of ``milopyp-infer`` that are of a copick project, and its tomograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from milopyp_shared.commandline import spelled
from milopyp_shared.copick_project import Project, Volumes, read_project
from milopyp_shared.errors import UsageError
from milopyp_shared.names import listed
from milopyp_shared.particles import of_class
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


@dataclass(frozen=True)
class ProjectTomograms:
    """A project, and those of its tomograms that are picked, called as its runs."""

    project: Project
    volumes: Volumes

    def targets(self, options: InferOptions, names: Sequence[str], say: Callable[[str], None]) -> list[IntoProject]:
        """Where the picks of each class go in the project.

        Parameters
        ----------
        names
            The network's classes.
        say
            Is told what is picked for whom.

        Raises
        ------
        UsageError
            As `whose_picks`; or picks of two classes would go to one object.
        """
        said = {name: of_class(options.object, name, None) for name in names}
        objects = {name: self._object(own, name if len(names) > 1 else None) for name, own in said.items()}
        if len(set(objects.values())) < len(objects):
            raise UsageError(
                ", ".join(f"{name}={own}" for name, own in objects.items()), where="--object",
                expected="another particle of the project for each class",
            )  # fmt: skip
        made = []
        for own in objects.values():
            whose = whose_picks(self.project, own, options.user, options.session)
            target = IntoProject(self.project, whose, self.volumes.spacing)
            runs = counted(len(self.volumes.images), "run")
            say(f"{own} in {self.volumes.words}, {runs}: picks go to {target.words}, too")
            made.append(target)
        return made

    def _object(self, said: str | None, name: str | None) -> str:
        """The particle of the project that a class is: as it is said, or the one of its name; None: the only class."""
        if name is None:
            return self.project.object_called(said)
        own = said or name
        if own not in self.project.objects:
            raise UsageError(
                f"{own!r} is no particle of {self.project.path}", where="--object",
                expected=f"{name}=NAME with one of {', '.join(self.project.objects) or 'those that it has, none'}",
            )  # fmt: skip
        return own


def of_project(options: InferOptions, path: Path, say: Callable[[str], None]) -> ProjectTomograms:
    """The tomograms of the project at `path`; runs that have no such tomogram are said.

    Raises
    ------
    UsageError, InputError
        As `read_project` and `Project.volumes`.
    """
    project = read_project(path)
    volumes = project.volumes(options.tomo_type, options.voxel_spacing)
    if volumes.without:
        say(f"without {volumes.words}, and left out: {listed(volumes.without)}")
    return ProjectTomograms(project, volumes)
