"""The error tree.

    MilopypError                exit code
    +-- UsageError              2   options that make no sense
    +-- InputError              2   a file that cannot be used as it is
    +-- ContradictionError      2   two statements that cannot both hold
    +-- MissingDependency       2   an optional package is needed and absent
    +-- CheckError              3   a check failed while running (parity, NaN)
        +-- FullDiskError       3   no space is left

Every message answers four questions in one line: where, what was found, what was expected,
what to do. The command line prints it and leaves with the class's exit code; nothing else
leaves a public function for bad input.
"""

from __future__ import annotations

LONGEST = 600  # characters of what was found: a file may hold words of any length


class MilopypError(Exception):
    """Base of all errors of milopyp.

    Parameters
    ----------
    found
        What was found, e.g. ``"the file ends after 512 of 1024 header bytes"``.
    where
        File, list line or option the finding belongs to.
    expected
        What would have been right, without the word "expected".
    remedy
        What the user can do, as an imperative sentence.
    """

    exit_code = 2

    def __init__(self, found: str, *, where: object = None, expected: str = "", remedy: str = "") -> None:
        found = found if len(found) < LONGEST else f"{found[: LONGEST // 2]} ... {found[-LONGEST // 3 :]}"
        self.found, self.where, self.expected, self.remedy = found, where, expected, remedy
        text = found if where is None else f"{where}: {found}"
        if expected:
            text += f"; expected {expected}"
        if remedy:
            text += f". {remedy}"
        super().__init__(" ".join(text.split()))


class UsageError(MilopypError):
    """Options that are out of range or make no sense together with the task."""


class InputError(MilopypError):
    """A file whose content cannot be used."""


class ContradictionError(MilopypError):
    """Two statements, e.g. an option and the model file, that cannot both hold."""


class MissingDependency(MilopypError):
    """An optional package is needed; the message names the pip line that brings it."""


class CheckError(MilopypError):
    """A check failed while running: parity, NaN in a loss, all items failed."""

    exit_code = 3


class FullDiskError(CheckError):
    """No space is left where output goes: whatever comes next would fail, too."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short; PyTorch and the start of a thread have no class of their own."""
    words = ("allocate memory", "out of memory", "can't start new thread")
    said = _first_line(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in said for word in words))


def memory_error(error: BaseException, where: object = None) -> CheckError:
    """The error to raise for one that says that memory is short."""
    return CheckError(
        f"not enough memory ({_first_line(error)[:120] or 'none left'})",
        where=where,
        remedy="Use smaller files, less at a time, or another machine.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
