"""The options of ``milopyp-train`` as one value: made once at the edge, and taken by everything behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from milopyp_shared.errors import ContradictionError, UsageError

if TYPE_CHECKING:  # the command line starts without numpy
    from milopyp_shared.preprocessing import Contrast

    from .evaluation.model_selection import Metric


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Every option under its own name, described in the help of the command.

    None stands for an option without a value, where the preset's number holds or nothing is done.

    Attributes
    ----------
    given
        Names of the options that stand on the command line.
    in_angstrom
        Names of those whose value was given in Angstrom; it is in voxels all the same.
    diameters
        Of the particles, voxels: by class, or that of the only one, which is called "".
    bbox
        That of the first one.

    Raises
    ------
    UsageError, ContradictionError
        What makes no sense, whatever the method.
    """

    given: frozenset[str]
    diameters: Mapping[str, float]
    in_angstrom: frozenset[str] = frozenset()

    train_img_txt: str
    train_coord_txt: str | None
    val_img_txt: str | None
    val_coord_txt: str | None
    val_fully_labelled: bool
    order: str
    mask: Path | None
    voxel_size: float | None
    dataset: str

    template: Path | None
    map_voxel_size: float | None
    mass: float | None
    membrane_z: float | None
    tilt_axis: str | None
    tilt_range: tuple[float, float] | None

    bbox: float
    may_overlap: bool
    rejected: Path | None
    contrast: Contrast
    fiber: bool | None
    gauss: float | None
    compress: bool | None

    preset: str | None
    arch: str | None
    quick: bool | None
    num_epochs: int | None
    lr: float | None
    batch_size: int | None
    seed: int
    load_model: Path | None
    resume: bool

    contrastive: bool | None
    exact_contrastive: bool | None
    tau: float | None
    thresh: float | None
    temp: float | None
    cr_weight: float | None
    last_k: int | None
    pn: bool | None
    ge: bool | None
    lr_step: tuple[int, ...] | None
    translation_ratio: float | None
    down_ratio: int

    exp_id: str
    overwrite: bool
    save_all: bool
    val_interval: int
    metric: Metric
    debug: str
    K: int | None
    export: bool | None
    print_iter: int

    gpus: str
    amp: bool | None
    threads: int | None
    num_workers: int

    def __post_init__(self) -> None:
        if self.down_ratio != 2:
            raise UsageError(
                f"{self.down_ratio}",
                where="--down-ratio",
                expected="2, as the networks of the manual have it: what a network does is no option",
            )
        self._check_validation()

    def _check_validation(self) -> None:
        if bool(self.val_img_txt) != bool(self.val_coord_txt):
            raise UsageError(
                "one validation list without the other",
                where="--val-img-txt" if self.val_img_txt else "--val-coord-txt",
                expected="--val-img-txt and --val-coord-txt together, or neither",
            )
        if self.template is not None:
            self._check_judged_by_simulated()
        elif not self.val_img_txt:
            self._check_no_validation()
        elif self.metric in ("auprc", "f1") and not self.val_fully_labelled:
            raise UsageError(
                f"{self.metric} counts unlabelled particles as wrong picks",
                where="--metric",
                expected="--val-fully-labelled as well",
                remedy="Use --metric labels for sparse labels.",
            )

    def _check_judged_by_simulated(self) -> None:
        for name, asked in (("--val-img-txt", self.val_img_txt), ("--val-fully-labelled", self.val_fully_labelled)):
            if asked:
                raise ContradictionError(
                    "given beside --template",
                    where=name,
                    expected="one of them: with a template, a simulated tomogram judges",
                    remedy="Leave it out, and compare picks with milopyp evaluate.",
                )

    def _check_no_validation(self) -> None:
        for name, asked in (("--val-fully-labelled", self.val_fully_labelled), ("--metric", self.metric != "auto")):
            if asked:
                raise UsageError("no validation tomograms", where=name, expected="--val-img-txt as well")

    def with_values(self) -> dict[str, Any]:
        """The options that have a value, by name."""
        several = {"bbox": ",".join(f"{name}={value:g}" for name, value in self.diameters.items())}
        values = {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}
        return values | several if len(self.diameters) > 1 else values


OPTIONS = tuple(entry.name for entry in fields(TrainOptions) if entry.name not in ("given", "diameters", "in_angstrom"))
