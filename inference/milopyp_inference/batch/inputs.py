"""Which tomograms to pick: paths, globs or an image list, each under one name."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from milopyp_shared.errors import UsageError
from milopyp_shared.lists import ImageEntry, check_image_name, read_image_list, refuse_namesakes
from milopyp_shared.names import from_folders, of_file
from milopyp_shared.urls import is_url, to_path

LIST_SUFFIXES = (".txt", ".tsv")


def gather(
    inputs: Sequence[str],
    image_list: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    name_from: Literal["file", "parent"] | None = None,
) -> list[ImageEntry]:
    """Tomograms of the command line, in its order.

    Parameters
    ----------
    inputs
        Paths, globs or URLs of tomograms, or image lists (``.txt``, ``.tsv``).
    image_list
        One more image list, of any name.
    say
        Is told where lists and what is in them were found, as far as that could surprise.
    name_from
        What names those that no list names: their file, or the folder that it lies in; None: the file, for a command
        without this option.

    Raises
    ------
    UsageError
        Nothing given, a glob without a match, or `name_from` beside lists only.
    InputError
        A bad list, or two tomograms of one name: their outputs would overwrite each other.
    """
    found = [each for text in inputs for each in _named_by(text, say)]
    if image_list is not None:
        found += read_image_list(image_list, say)
    if not found:
        raise UsageError(
            "no tomogram given", where="milopyp-infer", expected="paths, globs or an image list",
            remedy="See milopyp-infer --help.",
        )  # fmt: skip
    names = _names([each for each in found if isinstance(each, Path)], name_from)
    images = [each if isinstance(each, ImageEntry) else ImageEntry(names[each], each) for each in found]
    other = "Give --name-from parent, or name" if name_from == "file" else "Name"
    refuse_namesakes(images, f"{other} them in an image list.")
    return images


def _named_by(text: str, say: Callable[[str], None]) -> Sequence[ImageEntry | Path]:
    """The tomograms that one word of the command line names."""
    if is_url(text):
        return [to_path(text)]
    if text.endswith(LIST_SUFFIXES):
        return read_image_list(text, say)
    if Path(text).exists() or not glob.has_magic(text):
        return [Path(text)]
    matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - absolute patterns
    if not matches:
        raise UsageError("matches no file", where=text, expected="tomograms or an image list")
    return [Path(match) for match in matches]


def _names(paths: Sequence[Path], name_from: str | None) -> dict[Path, str]:
    """What tomograms that no list names are called."""
    names = [of_file(path) for path in paths]
    if name_from == "parent":
        if not paths:
            raise UsageError(
                "given beside image lists only", where="--name-from", expected="paths or globs: lists name theirs"
            )
        names = from_folders(paths, names)
    for path, name in zip(paths, names, strict=True):
        check_image_name(name, path, remedy="Name it in an image list.")
    return dict(zip(paths, names, strict=True))
