"""A training run from labelled tomograms to checkpoints, logs and pictures."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from milopyp_shared.atomic import atomic_write, make_folder, remove_leftovers, write_text
from milopyp_shared.console import Console
from milopyp_shared.formats.text import write_points
from milopyp_shared.matching import exclude_near
from milopyp_shared.peaks import above_threshold
from milopyp_shared.preprocessing import Contrast
from milopyp_shared.recipe import Recipe, Threshold

from .data.dataset import LabelledVolume
from .evaluation import calibration, model_selection
from .evaluation.crossvalidation import FEWEST_LABELS, CrossValidation, MakeMethod
from .evaluation.model_selection import Metric, Validation
from .evaluation.validation import Prediction, judge, predict_all, suggest_threshold
from .loop import checkpoint
from .loop.distributed import broadcast_from_rank0
from .loop.logs import Log
from .loop.trainer import Losses, TrainingState, new_state, train_epoch
from .methods.base import ALONE, Method, WorldInfo
from .methods.presets import DefaultPreset

LAST = "model_last_contrastive.pth"
BEST = "model_best_contrastive.pth"

# Whole-tomogram predictions for the suggested threshold: enough to be stable, few enough to be quick.
TOMOGRAMS_FOR_THRESHOLD = 4


@dataclass(frozen=True)
class Schedule:
    """How a run goes, apart from its method.

    Attributes
    ----------
    interval
        Epochs between validations.
    save_all
        Keep the checkpoint of every validated epoch.
    metric
        Figure that makes an epoch the best.
    fully_labelled
        The validation tomograms are labelled completely.
    pictures
        Draw validation pictures into ``debug/``.
    limit
        Picks per tomogram in pictures and texts at most.
    print_every
        Steps between printed loss lines, 0 for none.
    ahead
        Batches prepared ahead.
    """

    epochs: int
    seed: int
    interval: int = 1
    save_all: bool = False
    metric: Metric = "auto"
    fully_labelled: bool = False
    pictures: bool = False
    limit: int | None = None
    print_every: int = 0
    ahead: int = 0
    mixed_precision: bool = False


def recipe_of(method: Method, volumes: Sequence[LabelledVolume], diameter: float, contrast: Contrast) -> Recipe:
    """The recipe of a model that is about to be trained; its threshold is not known yet."""
    sizes = [volume.voxel_size for volume in volumes if volume.voxel_size]
    return Recipe(
        architecture=method.preset.architecture,
        architecture_options=method.network.architecture_options,
        preset=method.preset.name,
        grey=method.preset.grey,
        contrast=contrast,
        geometry=method.network.geometry(),
        diameter=diameter,
        flips=method.preset.flips,
        voxel_size=sizes[0] if sizes else None,
        threshold=Threshold(0.25, "not determined: training had not ended"),
        labels={volume.name: len(volume.xyz) for volume in volumes},
        versions={"milopyp": version("milopyp"), "torch": torch.__version__},
    )


def identity_of(
    method: Method, volumes: Sequence[LabelledVolume], diameter: float, contrast: Contrast, seed: int
) -> dict[str, str]:
    """What decides the weights that a training ends with, for people: two runs that differ in it are two runs."""
    facts = {name: str(value) for name, value in vars(method.preset).items()}
    facts |= {"--bbox": f"{diameter:g}", "--contrast": contrast, "--seed": str(seed)}
    for volume in volumes:
        masked = "all" if volume.mask is None else str(np.count_nonzero(volume.mask.zyx))
        labels = hashlib.sha256(volume.xyz.tobytes()).hexdigest()[:12]
        facts[volume.name] = (
            f"{len(volume.xyz)} labels ({labels}) in {volume.grey.shape}, mean {volume.grey.mean:.6g}, "
            f"deviation {volume.grey.std:.6g}, {masked} voxels"
        )
    return facts


class TrainingRun:
    """One training run: what goes into which file, and when.

    Parameters
    ----------
    make
        Gives the method for labelled tomograms, with fresh weights.
    volumes, validation
        What is trained on, and the tomograms the model is judged by (may be none).
    diameter, contrast
        Of the particles; the diameter in voxels.
    folder
        ``exp/semi/EXP_ID``.
    options
        As given, for the checkpoint.
    share
        This process's part; only number 0 writes.
    """

    def __init__(
        self,
        make: MakeMethod,
        volumes: Sequence[LabelledVolume],
        validation: Sequence[LabelledVolume],
        diameter: float,
        contrast: Contrast,
        folder: Path,
        schedule: Schedule,
        options: dict[str, Any],
        device: torch.device,
        console: Console,
        share: WorldInfo = ALONE,
    ) -> None:
        self.validation = validation
        self.folder, self.schedule, self.options, self.device = folder, schedule, options, device
        self.console, self.share = console, share
        self.figure = model_selection.criterion(schedule.metric, schedule.fully_labelled)
        self._make = make
        self.advice: list[str] = []
        self._begin(volumes)
        self.recipe = recipe_of(self.method, volumes, diameter, contrast)
        self.identity = identity_of(self.method, volumes, diameter, contrast, schedule.seed)
        self.crossvalidation = self._crossvalidation()

    def _begin(self, volumes: Sequence[LabelledVolume]) -> None:
        """The state before the first epoch on these tomograms."""
        torch.manual_seed(self.schedule.seed)
        self.volumes, self.method = volumes, self._make(volumes)
        self.state = new_state(self.method, self.schedule.epochs, self.share)

    def _crossvalidation(self) -> CrossValidation | None:
        """How the tomograms are looked at before the training; None when that is not asked for or not possible."""
        preset = self.method.preset
        if not isinstance(preset, DefaultPreset) or not preset.folds:
            return None
        if (labels := sum(len(volume.xyz) for volume in self.volumes)) < FEWEST_LABELS:
            self.console.say(f"{labels} labels are too few to leave some out: no cross-validation, no expectations")
            return None
        return CrossValidation(
            self._make, preset, self.recipe, self.schedule.seed, self.device, self.share,
            self.schedule.mixed_precision, self.schedule.ahead,
        )  # fmt: skip

    def resume(self, path: Path) -> None:
        """Go on after the last finished epoch of a checkpoint.

        Raises
        ------
        InputError
            It is of a run with other options, labels or tomograms.
        """
        stored = checkpoint.load(path)
        checkpoint.refuse_other_run(stored, self.identity, path)
        if (found := checkpoint.cross_validated(stored, path)) is not None:
            self._begin(found.apply(self.volumes))
            self.state.cross_validated = found
        checkpoint.restore(self.state, stored, path)
        if self.state.epoch >= self.schedule.epochs:  # nothing is left that would find a threshold
            self.recipe = stored.recipe
        self.console.say(f"going on after epoch {self.state.epoch} of {path}")

    def train(self) -> Recipe:
        """Train to the last epoch; returns the recipe of the last checkpoint."""
        if self.crossvalidation is not None and self.state.epoch == 0:
            self._cross_validate(self.crossvalidation)
        if self.share.rank:
            while self.state.epoch < self.schedule.epochs:
                self._epoch()
            return self.recipe
        make_folder(self.folder)
        remove_leftovers(self.folder)
        left = self.schedule.epochs - self.state.epoch
        with Log(self.folder) as log, self.console.progress("epoch", left) as progress:
            log.earlier(self.state.history, self.state.validation)
            while self.state.epoch < self.schedule.epochs:
                terms = self._epoch(log.line)
                log.losses(self.state.epoch, terms)
                text = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
                due = self.state.epoch % self.schedule.interval == 0 or self.state.epoch == self.schedule.epochs
                if due and self.validation:
                    text += self._validate(log)
                self._save(due)
                progress.step(text)
        self._finish()
        return self.recipe

    def _cross_validate(self, crossvalidation: CrossValidation) -> None:
        """Find the unlabelled places that look like particles, and begin anew without them."""
        from .evaluation import label_suggestions

        with self.console.progress("cross-validation", crossvalidation.preset.folds) as progress:
            seen = crossvalidation.look(self.volumes, progress.step, progress.part)
        found = crossvalidation.conclude(self.volumes, seen)
        if self.share.world > 1:
            found = broadcast_from_rank0(found, self.device)
        count = sum(map(len, found.ignored_candidates.values()))
        self.console.say(f"{count} places without a label look like particles and do not count as background")
        if self.share.rank == 0:
            advice = label_suggestions.advise(self.volumes, seen, found)
            label_suggestions.write_advice(self.folder / "debug", advice, self.recipe.diameter)
            self.advice = [*advice.lines(), f"pictures of them: {self.folder / 'debug' / label_suggestions.MARKDOWN}"]
        self._begin(found.apply(self.volumes))
        self.state.cross_validated = found

    def _epoch(self, line: Callable[[str], None] = lambda text: None) -> Losses:
        every = self.schedule.print_every

        def tell(step: int, terms: Losses) -> None:
            if every and step % every == 0:
                text = f"  step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
                self.console.say(text)
                line(text.strip())

        return train_epoch(
            self.method,
            self.state,
            self.schedule.seed,
            tell,
            share=self.share,
            mixed_precision=self.schedule.mixed_precision,
            ahead=self.schedule.ahead,
        )

    def _validate(self, log: Log) -> str:
        """Judge the epoch; keep it when it is the best so far; returns the figures as text."""
        state, radius = self.state, self.recipe.diameter / 2
        predictions = predict_all(self.method, state.ema_network, self.validation, self.recipe, self.device)
        row = judge(state.epoch, predictions, radius, self.schedule.fully_labelled)
        state.validation.append(asdict(row))
        log.validation(asdict(row))
        threshold = suggest_threshold(predictions, radius, "validation")
        self.recipe = replace(self.recipe, threshold=threshold)
        is_best = model_selection.best(_rows(state), self.figure).epoch == state.epoch
        if is_best:
            checkpoint.save(self.folder / BEST, state, self.recipe, self.options, self.schedule.seed, self.identity)
        if self.schedule.pictures:
            if is_best:  # pictures of single sections are kept for the best and the last epoch only
                for old in (self.folder / "debug").glob("*_pred_*.png"):
                    old.unlink()
            self._draw(predictions, is_best or state.epoch == self.schedule.epochs)
        value = getattr(row, self.figure)
        return f"; validation loss {row.loss:.4g}, {self.figure} {value:.3g}{' (best so far)' if is_best else ''}"

    def _save(self, due: bool) -> None:
        """The last checkpoint after every epoch, so that a run that dies can be resumed; one per epoch if asked."""
        state = self.state
        for name in [LAST] + [f"model_{state.epoch}.pth"] * (self.schedule.save_all and due):
            checkpoint.save(self.folder / name, state, self.recipe, self.options, self.schedule.seed, self.identity)

    def _calibrate(self, path: Path) -> None:
        """Give a kept checkpoint its threshold, found the way its model will pick: over all mirrored copies."""
        stored = checkpoint.load(path)
        network = copy.deepcopy(self.method.network)
        network.load_state_dict(stored.state_dict)

        def predicted(volumes: Sequence[LabelledVolume]) -> list[Prediction]:
            return predict_all(self.method, network, volumes, self.recipe, self.device, self.recipe.flips)

        radius, found, expected = self.recipe.diameter / 2, self.state.cross_validated, None
        if found is not None:
            predictions = predicted(self.volumes)
            places = np.concatenate([exclude_near(p.picks, p.volume.xyz, radius).score for p in predictions])
            expected = calibration.calibrate(found, places, len(predictions))
            threshold = calibration.suggest(expected, found.label_scores)
        else:
            used, kind = (self.validation, "validation") if self.validation else (self.volumes, "training")
            predictions = predicted(used[:TOMOGRAMS_FOR_THRESHOLD])
            threshold = suggest_threshold(predictions, radius, kind)
        self.recipe = replace(stored.recipe, threshold=threshold, calibration=expected)
        checkpoint.replace_recipe(path, stored, self.recipe)
        if self.schedule.pictures and not self.validation and path.name == LAST:
            self._draw(predictions, True)

    def _draw(self, predictions: Sequence[Prediction], sections: bool) -> None:
        """Contact sheet and picks of every epoch; a picture per section where the epoch matters."""
        from .evaluation import plots

        debug, epoch, radius = self.folder / "debug", self.state.epoch, self.recipe.diameter / 2
        make_folder(debug)
        for p in predictions:
            picks = above_threshold(p.picks, self.recipe.threshold.score, self.schedule.limit)
            title = f"{p.volume.name}, epoch {epoch}, score above {self.recipe.threshold.score:.2f}"
            sheet = debug / f"{epoch}_{p.volume.name}.png"
            plots.contact_sheet(sheet, p.volume, p.heat, p.target, picks, radius, title)
            write_points(debug / f"{epoch}_{p.volume.name}.txt", picks.xyz, scores=picks.score)
            if sections:
                plots.section_pictures(debug, epoch, p.volume, p.heat, p.target, picks, radius)

    def _finish(self) -> None:
        """Thresholds of the two checkpoints that people use, and the summary."""
        from .evaluation import plots

        state = self.state
        other = bool(state.validation) and model_selection.best(_rows(state), self.figure).epoch != state.epoch
        if other:
            self._calibrate(self.folder / BEST)
        self._calibrate(self.folder / LAST)
        if not other:
            with atomic_write(self.folder / BEST) as part:
                shutil.copyfile(self.folder / LAST, part)
        write_text(self.folder / "model_selection.md", model_selection.report(_rows(state), self.figure, state.epoch))
        plots.curves(self.folder / "summary.png", state.history, state.validation)


def _rows(state: TrainingState) -> list[Validation]:
    return [
        Validation(int(row["epoch"]), *(row[name] for name in ("loss", "labels", "auprc", "f1")))
        for row in state.validation
    ]
