"""What a tomogram is called inside the files that are written of it: the next program must know it by that name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ContradictionError, InputError, UsageError
from .files import missing_file_error
from .imod_header import Three
from .names import NAMES, assign_all, bare, listed, series
from .textfile import read_lines, to_number

if TYPE_CHECKING:
    from .formats.star import Block

TOLERANCE = 0.05  # of sizes: programs round, and cut off what does not fit a binning
_ROUNDED = 0.01  # how far a binning that is meant to be whole may lie from it
_SERIES = {".tomostar": ("*",), ".aln": ("*",), ".edf": ("*", "*/*")}  # of Warp, AreTomo, etomo, and where they lie
_NANOMETRES = "Setup.PixelSize="
_SIZE = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
PIXEL, _BINNING = "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning"
OPTICS = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")
REMEDY = "Name the tomograms in the column tomo_name of an image list for milopyp-infer, or leave --tomograms out."


@dataclass(frozen=True)
class KnownTomogram:
    """What a list of tomograms says of one; None: it does not say.

    Attributes
    ----------
    size
        Along x, y and z, in voxels that are not binned.
    pixel_size
        Of these, Angstrom.
    binning
        Of the tomogram that the list's program has reconstructed.
    optics
        What RELION's optics groups say: kV, spherical aberration (mm) and amplitude contrast, as they stand there.
    """

    size: Three | None = None
    pixel_size: float | None = None
    binning: float | None = None
    optics: tuple[str, ...] = ()

    def binning_of(self, size: tuple[int, int, int], voxel_size: float | None) -> float | None:
        """The voxel of a tomogram, which does not contradict the list, over that which the list counts in.

        It is that of the list, or a whole number, where what sizes and voxel sizes say lies near one: both are rounded.
        None: the list does not say enough.
        """
        found = []
        if self.size is not None:
            found.append(sorted(mine / theirs for mine, theirs in zip(self.size, size, strict=True))[1])
        if voxel_size and self.pixel_size:
            found.append(voxel_size / self.pixel_size)
        if not found:
            return self.binning
        if self.binning and abs(found[-1] / self.binning - 1) <= TOLERANCE:
            return self.binning
        whole = [round(each) for each in found if each > 0.5 and abs(each / round(each) - 1) <= _ROUNDED]
        return float(whole[0]) if whole else found[-1]

    def doubt(self, size: tuple[int, int, int], voxel_size: float | None) -> str | None:
        """What does not fit a tomogram of `size` voxels (x, y, z) of `voxel_size` Angstrom, in words.

        Where both are known it may be binned otherwise; where they are not, what there is decides.
        """
        if self.size is None:
            own = self.pixel_size * self.binning if self.pixel_size and self.binning else voxel_size
            wrong = own and voxel_size and abs(own / voxel_size - 1) > TOLERANCE
            return f"voxels of {own:.4g} A, and not of {voxel_size:.4g} A" if wrong else None
        scales = sorted(mine / theirs for mine, theirs in zip(self.size, size, strict=True))
        scale = voxel_size / self.pixel_size if voxel_size and self.pixel_size else scales[1]
        own_size = [each / scale for each in self.size]
        if all(abs(mine - theirs) <= TOLERANCE * theirs + 1 for mine, theirs in zip(own_size, size, strict=True)):
            return None
        unit = f" of {voxel_size:.4g} A" if voxel_size else ""
        return f"{' x '.join(f'{each:.0f}' for each in own_size)} voxels{unit}, and not {' x '.join(map(str, size))}"


@dataclass(frozen=True)
class Naming:
    """How tomograms are to be called.

    Attributes
    ----------
    word
        ``file``, their own names; ``series``, without what programs add; None: as they are called already.
    path, known
        A list of tomograms that says their names instead, and what it knows.
    """

    word: str | None = None
    path: Path | None = None
    known: Mapping[str, KnownTomogram] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The word, or the path, that says the names; empty where nobody does. `of_saying` reads it."""
        return self.word or ("" if self.path is None else str(self.path.absolute()))

    @classmethod
    def of_saying(cls, said: str) -> Naming:
        """As an earlier command has said it; raises as `read`."""
        if said in NAMES:
            return cls(said)
        return cls(None, Path(said), read_tomograms(Path(said))) if said else cls()

    @classmethod
    def read(cls, word: str | None, path: Path | None, formats: Collection[str]) -> Naming:
        """What ``--names`` and ``--tomograms`` say of files in these formats.

        Raises
        ------
        UsageError
            Both do, or none of the formats has a place for a name.
        InputError
            The list of tomograms is none.
        """
        if word is not None and path is not None:
            raise UsageError("given beside --tomograms", where="--names", expected="one of them: both say the names")
        if word is not None or path is not None:
            _refuse_idle("--names" if path is None else "--tomograms", formats)
        return cls(word, path, {} if path is None else read_tomograms(path))

    def call(self, labels: Mapping[str, str], where: object) -> dict[str, str]:
        """What tomograms are called in the files that are written of them.

        Parameters
        ----------
        labels
            What they are called already, by name.
        where
            The command, for the message.

        Raises
        ------
        InputError
            Two would be called the same, or the list has no name for one.
        """
        called = dict(labels)
        if self.path is not None:
            named = assign_all(list(dict.fromkeys(labels.values())), list(self.known), self.path, REMEDY)
            called = {name: named[label] for name, label in labels.items()}
        elif self.word is not None:
            called = {name: name if self.word == "file" else series(bare(name)) for name in labels}
        owners: dict[str, str] = {}
        for name, label in called.items():
            if (other := owners.setdefault(label, name)) != name:
                raise InputError(
                    f"{other} and {name} would both be called {label}",
                    where=where,
                    expected="one name for one tomogram",
                    remedy="Leave --names out, and name them in the column tomo_name of an image list for "
                    "milopyp-infer.",
                )
        return called

    def note(self, called: Mapping[str, str], formats: Collection[str]) -> str:
        """What there is to say of `called` where nobody has said how: that the next program may know another name."""
        from .formats.registry import FORMATS

        if self.word is not None or self.path is not None or not any(FORMATS[word].can_name for word in formats):
            return ""
        longer = next((name for name, label in called.items() if label == name != series(name)), None)
        if longer is None:
            return ""
        return f"picks are of {longer}, as its file is called; with --names series they are of {series(bare(longer))}"

    def check(self, called: Mapping[str, str], sizes: Mapping[str, tuple[tuple[int, int, int], float | None]]) -> None:
        """Refuse a list of tomograms that says other figures than the tomograms: it is of others.

        Parameters
        ----------
        called
            As `call` says.
        sizes
            Voxels along x, y and z of the tomograms that are at hand, and Angstrom of one, by name.

        Raises
        ------
        ContradictionError
            With the figures of the first such tomogram, and the names of all.
        """
        if self.path is None:
            return
        doubts = {name: self.known[called[name]].doubt(*size) for name, size in sizes.items()}
        if wrong := {name: doubt for name, doubt in doubts.items() if doubt}:
            raise ContradictionError(
                f"says of {next(iter(wrong))} {next(iter(wrong.values()))}",
                where=self.path,
                expected=f"the figures of the files within {TOLERANCE:.0%} ({listed(wrong)})",
                remedy="Is it the list of these tomograms? Give --voxel-size of milopyp-infer or milopyp convert if a "
                "header is wrong, and --turn for files that are to be turned.",
            )


def _refuse_idle(option: str, formats: Collection[str]) -> None:
    """Refuse names where nothing is written that holds one."""
    from .formats.registry import FORMATS

    if not any(FORMATS[word].can_name for word in formats):
        raise UsageError(
            f"changes nothing in {', '.join(formats) or 'txt and mod'}",
            where=option,
            expected=f"one of {', '.join(name for name, row in FORMATS.items() if row.can_name)}",
            remedy="Leave it out.",
        )


def read_tomograms(path: Path) -> dict[str, KnownTomogram]:
    """The tomograms of RELION's ``tomograms.star``, or of a folder of tilt series, by name.

    These are Warp's ``.tomostar`` files, else AreTomo's ``.aln``, else etomo's ``.edf``, which says the pixel size.

    Raises
    ------
    InputError
        It is missing, none of these, or names a tomogram twice.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.exists():
        raise missing_file_error(path, f"RELION's tomograms.star, or a folder of {_endings()} files", "Check its name.")
    return _read_star(path)


def _of_folder(path: Path) -> dict[str, KnownTomogram]:
    for ending, places in _SERIES.items():
        known: dict[str, KnownTomogram] = {}
        files = (file for place in places for file in path.glob(place) if file.name.lower().endswith(ending))
        for file in sorted(files):
            name = file.name[: -len(ending)]
            if name in known:
                raise InputError(
                    f"{name} a second time", where=file, expected="a folder that has every tilt series once"
                )
            known[name] = KnownTomogram(pixel_size=_pixel_size(file)) if ending == ".edf" else KnownTomogram()
        if known:
            return known
    raise InputError(
        f"holds no {_endings()}", where=path, expected="a folder of the tilt series of Warp, AreTomo or etomo"
    )


def _pixel_size(path: Path) -> float | None:
    """Angstrom, as etomo's file says it in nanometres; None where it does not."""
    for number, line in read_lines(path):
        if line.startswith(_NANOMETRES) and (word := line.removeprefix(_NANOMETRES).strip()):
            return max(10 * to_number(word, f"{path}, line {number}"), 0.0) or None
    return None


def _endings() -> str:
    *first, last = _SERIES
    return f"{', '.join(first)} or {last}"


def _read_star(path: Path) -> dict[str, KnownTomogram]:
    from .formats.relion import TOMOGRAM
    from .formats.star import read_star

    blocks = read_star(path)
    naming = [block for block in blocks.values() if TOMOGRAM in block.labels]
    if not naming:
        raise InputError(f"has no table with {TOMOGRAM}", where=path, expected="RELION's list of tomograms")
    block = blocks["global"] if blocks.get("global") in naming else naming[0]
    known: dict[str, KnownTomogram] = {}
    for name, figures, line in zip(block.words(TOMOGRAM), _figures(block), block.lines, strict=True):
        if known.setdefault(name, figures) is not figures:
            raise InputError(
                f"{name} a second time", where=f"{path}, line {line}", expected="a list that has every tomogram once"
            )
    return known


def _figures(block: Block) -> list[KnownTomogram]:
    rows = block.numbers([*_SIZE, PIXEL, _BINNING, *OPTICS]).tolist()
    said = all(label in block.labels for label in OPTICS)
    optics = list(zip(*(block.words(label) for label in OPTICS), strict=True)) if said else [()] * len(rows)
    return [
        KnownTomogram(
            (x, y, z) if min(x, y, z) > 0 else None, pixel if pixel > 0 else None, binning if binning > 0 else None,
            own,
        )
        for (x, y, z, pixel, binning, *_), own in zip(rows, optics, strict=True)
    ]  # fmt: skip
