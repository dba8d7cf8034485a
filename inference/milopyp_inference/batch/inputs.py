"""Which tomograms to pick: paths, globs or an image list, each under one name."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from milopyp_shared.errors import InputError, UsageError
from milopyp_shared.lists import ImageEntry, check_image_name, read_image_list
from milopyp_shared.names import of_file

LIST_SUFFIXES = (".txt", ".tsv")


def gather(
    inputs: Sequence[str], image_list: str | None = None, say: Callable[[str], None] = lambda text: None
) -> list[ImageEntry]:
    """Tomograms of the command line, in its order.

    Parameters
    ----------
    inputs
        Paths or globs of tomograms, or image lists (``.txt``, ``.tsv``).
    image_list
        One more image list, of any name.
    say
        Is told where lists and what is in them were found, as far as that could surprise.

    Raises
    ------
    UsageError
        Nothing given, or a glob without a match.
    InputError
        A bad list, or two tomograms of one name: their outputs would overwrite each other.
    """
    images = [image for text in inputs for image in _named_by(text, say)]
    if image_list is not None:
        images += read_image_list(image_list, say)
    if not images:
        raise UsageError(
            "no tomogram given", where="milopyp-infer", expected="paths, globs or an image list",
            remedy="See milopyp-infer --help.",
        )  # fmt: skip
    seen: dict[str, Path] = {}
    for image in images:
        if image.name in seen:
            raise InputError(
                f"is called {image.name} as {seen[image.name]} is",
                where=image.path,
                expected="different names, since outputs are named after them",
                remedy="Name them in an image list.",
            )
        seen[image.name] = image.path
    return images


def _named_by(text: str, say: Callable[[str], None]) -> list[ImageEntry]:
    """The tomograms that one word of the command line names."""
    if text.endswith(LIST_SUFFIXES):
        return read_image_list(text, say)
    if Path(text).exists() or not glob.has_magic(text):
        return [_entry(Path(text))]
    matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - absolute patterns
    if not matches:
        raise UsageError("matches no file", where=text, expected="tomograms or an image list")
    return [_entry(Path(match)) for match in matches]


def _entry(path: Path) -> ImageEntry:
    name = of_file(path)
    check_image_name(name, path, remedy="Name it in an image list.")
    return ImageEntry(name, path)
