"""A training run from labelled tomograms to checkpoints, logs and pictures: what goes into which file, and when."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from milopyp_shared.atomic import atomic_write, make_folder, remove_leftovers, write_text
from milopyp_shared.calibration import Calibration, Threshold
from milopyp_shared.console import Console
from milopyp_shared.matching import exclude_near
from milopyp_shared.recipe import Recipe
from milopyp_shared.status import Facts, StatusFile
from milopyp_shared.wording import counted

from .data.cross_validated import ignoring
from .data.dataset import LabelledVolume, TrainingSet, of_kind, with_particles
from .evaluation import calibration, label_suggestions, model_selection, plots
from .evaluation.carried_threshold import count_of_picks, threshold_of_count
from .evaluation.crossvalidation import CrossValidation, ignore_look_alikes
from .evaluation.held_out import FEWEST_LABELS, asked_of
from .evaluation.label_features import label_agreement
from .evaluation.model_selection import rows_of
from .evaluation.picking import picks_of
from .evaluation.threshold import (
    OF_NETWORKS,
    calibrated_threshold,
    threshold_of_labels,
    threshold_of_left_out,
    threshold_of_look_alikes,
    threshold_of_simulated,
)
from .evaluation.validation import Prediction, predict, predict_all, validate
from .loop import checkpoint, resume
from .loop.checkpoint import Provenance
from .loop.distributed import broadcast_from_rank0
from .loop.logs import Log
from .loop.machine import Machine
from .loop.state import Losses, new_state
from .loop.trainer import train_epoch
from .methods.base import MakeMethod
from .methods.presets import DefaultPreset
from .methods.recipe import recipe_of
from .run_folder import RunFolder
from .schedule import Schedule

# Whole-tomogram predictions for the suggested threshold: enough to be stable, few enough to be quick.
TOMOGRAMS_FOR_THRESHOLD = 4


class TrainingRun:
    """One training run.

    Parameters
    ----------
    make
        Gives the method for labelled tomograms, with fresh weights.
    machine
        Of its processes only number 0 writes.
    console
        What is said; None: nothing.
    options
        As given, for the checkpoint.

    Attributes
    ----------
    suggestions
        Lines about what to label next, once the cross-validation is done.
    """

    def __init__(
        self,
        make: MakeMethod,
        data: TrainingSet,
        schedule: Schedule,
        folder: RunFolder,
        machine: Machine,
        *,
        console: Console | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.validation, self.schedule, self.folder = data.validation, schedule, folder
        self.console = console or Console(quiet=True)
        self.status = StatusFile(folder.status if machine.world.rank == 0 else None, self._facts, self.console.warn)
        self._doing = ""
        self._seconds_left: Callable[[], float | None] = lambda: None
        self.figure = model_selection.criterion(schedule.metric, schedule.fully_labelled)
        self.suggestions: list[str] = []
        self._make, self._world, self._simulated = make, machine.world, bool(data.simulated)
        self._begin(data.volumes)
        self.machine = machine.decided(self.method)
        self.recipe = recipe_of(self.method, data)
        identity = resume.identity_of(self.method, data, schedule.seed)
        self.provenance = Provenance(schedule.seed, options or {}, identity)
        self.crossvalidation = self._crossvalidation()
        self._like, self._found_before = data.like, 0
        if self._like is not None and self._world.rank == 0:
            self._found_before = count_of_picks(self.method.network, self.validation, self._like, self.recipe)
        if isinstance(preset := self.method.preset, DefaultPreset) and preset.pretrained and not self._simulated:
            self._look_at_labels(preset)

    def _begin(self, volumes: Sequence[LabelledVolume]) -> None:
        """The state before the first epoch on these tomograms."""
        torch.manual_seed(self.schedule.seed)
        self.volumes, self.method = volumes, self._make(volumes)
        self.state = new_state(self.method, self.schedule.epochs, self._world)

    def _look_at_labels(self, preset: DefaultPreset) -> None:
        """What a network that tells particles apart says of the labels before it is trained on them."""
        for kind, one in enumerate(self.recipe.classes):
            agreement = label_agreement(self.method.network, of_kind(self.volumes, kind))
            if self._world.rank == 0 and agreement is not None and (doubt := agreement.warning()):
                self.console.warn(f"{one.particle}: {doubt}" if one.particle else doubt)
        if self.crossvalidation is None:
            found = ignore_look_alikes(
                self.method.network, self.volumes, self.recipe, preset.ignored_per_label,
                mixed_precision=bool(self.machine.mixed_precision),
            )  # fmt: skip
            self._begin(found)

    def _crossvalidation(self) -> CrossValidation | None:
        """What is done before the training; None when that is not asked for or not possible."""
        preset = self.method.preset
        if not isinstance(preset, DefaultPreset) or not preset.folds or self._simulated:
            return None
        counts = [sum(one.labels.values()) for one in self.recipe.classes]
        if (labels := min(counts)) < FEWEST_LABELS:
            of = self.recipe.classes[counts.index(labels)].particle
            self.console.say(
                f"{counted(labels, f'{of} label'.strip())}: too few to leave some out, so no cross-validation and no "
                "expectations"
            )
            return None
        return CrossValidation(self._make, preset, self.recipe, self.schedule.seed, self.machine)

    def resume(self, path: Path) -> None:
        """Go on after the last finished epoch of a checkpoint.

        Raises
        ------
        InputError
            It is of a run with other options, labels or tomograms.
        """
        stored = checkpoint.load(path)
        resume.refuse_other_run(stored, self.provenance.identity or {}, path)
        if (found := checkpoint.cross_validated(stored, path)) is not None:
            self._begin(ignoring([one.ignored_candidates for one in found], self.volumes))
            self.state.cross_validated = found
        resume.restore(self.state, stored, path)
        if self.state.epoch >= self.schedule.epochs:  # nothing is left that would find a threshold
            self.recipe = stored.recipe
        self.console.say(f"going on after epoch {self.state.epoch} of {path}")

    @property
    def is_unfinished(self) -> bool:
        """Whether there are epochs left."""
        return self.state.epoch < self.schedule.epochs

    def train(self) -> Recipe:
        """Train to the last epoch; returns the recipe of the last checkpoint."""
        with self.status:
            return self._train()

    def _facts(self) -> Facts:
        """What the status file says."""
        doing = (self._doing,) if self._doing else ()
        return Facts("epoch", self.schedule.epochs, self.state.epoch, current=doing, seconds_left=self._seconds_left())

    def _train(self) -> Recipe:
        if self.crossvalidation is not None and self.state.epoch == 0:
            self._cross_validate(self.crossvalidation)
        if self._world.rank:
            while self.is_unfinished:
                self._epoch()
            return self.recipe
        make_folder(self.folder.path)
        remove_leftovers(self.folder.path)
        self.status.begin()
        epochs, before = self.schedule.epochs, self.state.epoch
        with Log(self.folder.path) as log, self.console.progress("epoch", epochs, done=before) as progress:
            self._doing, self._seconds_left = "training", progress.seconds_left
            log.earlier(self.state.history, self.state.validation)
            while self.is_unfinished:
                terms = self._epoch(log.line, progress.part)
                log.losses(self.state.epoch, terms)
                text = _spelled(terms)
                if self.validation and self.schedule.validates(self.state.epoch):
                    text += self._validate(log)
                self._save()
                progress.step(text)
        self._finish()
        self._doing = ""
        return self.recipe

    def _cross_validate(self, crossvalidation: CrossValidation) -> None:
        """Find the unlabelled places that look like particles, and begin anew without them."""
        self._doing = "cross-validation"
        self.status.begin()
        with self.console.progress("cross-validation", crossvalidation.preset.folds) as progress:
            out_of_fold = crossvalidation.predict_out_of_fold(self.volumes, progress.step, progress.part)
        asked = with_particles(self.volumes)
        found = crossvalidation.summarise(asked, out_of_fold)
        if self._world.size > 1:
            found = [broadcast_from_rank0(own, self.machine.device) for own in found]
        for kind, (one, own) in enumerate(zip(self.recipe.classes, found, strict=True)):
            of = one.particle and f"{one.particle}: "
            count = sum(map(len, own.ignored_candidates.values()))
            alike = f"{of}not background, since it looks like particles"
            self.console.say(f"{alike}: {counted(count, 'place')} without a label")
            if self._world.rank == 0:
                suggestions = label_suggestions.suggest_labels(*asked_of(kind, asked, out_of_fold), own)
                written = label_suggestions.write_suggestions(
                    self.folder.debug, suggestions, one.diameter, one.particle
                )
                self.suggestions += [*(of + line for line in suggestions.lines()), f"{of}pictures of them: {written}"]
        self._begin(ignoring([own.ignored_candidates for own in found], self.volumes))
        self.state.cross_validated = found

    def _epoch(
        self, line: Callable[[str], None] = lambda text: None, part: Callable[[float], None] = lambda done: None
    ) -> Losses:
        every, steps = self.schedule.print_every, self._world.steps(self.method.steps_per_epoch)

        def tell(step: int, terms: Losses) -> None:
            if every and step % every == 0:
                text = f"  step {step}: {_spelled(terms)}"
                self.console.say(text)
                line(text.strip())
            part(step / steps)

        return train_epoch(self.method, self.state, self.schedule.seed, self.machine, tell)

    def _validate(self, log: Log) -> str:
        """Judge the epoch; keep it when it is the best so far; returns the figures as text."""
        state, radii = self.state, [one.diameter / 2 for one in self.recipe.classes]
        predictions = predict_all(self.method, state.ema_network, self.validation, self.recipe)
        row = validate(state.epoch, predictions, radii, self.schedule.fully_labelled)
        state.validation.append(asdict(row))
        log.validation(asdict(row))
        self.recipe = self.recipe.with_classes(
            [
                replace(one, threshold=self._of_judging(own, one)) if own else one
                for one, own in self._by_class(predictions)
            ]
        )
        is_best = self._best_epoch() == state.epoch
        if is_best:
            checkpoint.save(self.folder.best, state, self.recipe, self.provenance)
        if self.schedule.pictures:
            if is_best:  # pictures of single sections are kept for the best and the last epoch only
                for old in self.folder.debug.glob("*_pred_*.png"):
                    old.unlink()
            self._draw(predictions, sections=is_best or state.epoch == self.schedule.epochs)
        value = getattr(row, self.figure)
        return f"; validation loss {row.loss:.4g}, {self.figure} {value:.3g}{' (best so far)' if is_best else ''}"

    def _best_epoch(self) -> int:
        return model_selection.best(rows_of(self.state.validation), self.figure).epoch

    def _save(self) -> None:
        """The last checkpoint after every epoch, so that a run that dies can be resumed; one per epoch if asked."""
        epoch = self.state.epoch
        kept = [self.folder.model(epoch)] if self.schedule.save_all and self.schedule.validates(epoch) else []
        for path in [self.folder.last, *kept]:
            checkpoint.save(path, self.state, self.recipe, self.provenance)

    def _finish(self) -> None:
        """Thresholds of the two checkpoints that people use, and the summary."""
        state, folder = self.state, self.folder
        self._doing = "threshold"
        self.console.say("looking for the threshold: what the network says of the tomograms")
        other = bool(state.validation) and self._best_epoch() != state.epoch
        if other:
            self._calibrate(folder.best)
        predictions = self._calibrate(folder.last)
        if self.schedule.pictures and not self.validation:
            self._draw(predictions, sections=True)
        if not other:
            with atomic_write(folder.best) as part:
                shutil.copyfile(folder.last, part)
        rows = rows_of(state.validation)
        write_text(folder.model_selection, model_selection.report(rows, self.figure, state.epoch))
        plots.curves(folder.summary, state.history, state.validation)

    def _calibrate(self, path: Path) -> list[Prediction]:
        """Give a kept checkpoint its threshold, found the way its model will pick: over all mirrored copies."""
        stored = checkpoint.load(path)
        network = copy.deepcopy(self.method.network)
        network.load_state_dict(stored.state_dict)
        # an empty tomogram has no labels to be found, and has taught the network its own background
        used = with_particles(self.volumes)
        if self.state.cross_validated is None:
            judged = with_particles(self.validation)
            # a class that the validation tomograms do not have is judged by those of the training
            used = [
                volume
                for kind in range(len(self.recipe.classes))
                for volume in (of_kind(judged, kind) or of_kind(with_particles(self.volumes), kind))[
                    :TOMOGRAMS_FOR_THRESHOLD
                ]
            ]
            used.sort(key=lambda volume: volume.name)
        predictions = predict_all(self.method, network, used, self.recipe, self.recipe.flips)
        classes = []
        for kind, (one, own) in enumerate(self._by_class(predictions)):
            threshold, expected = self._threshold(own, one, kind)
            if self._like is not None:
                picks = picks_of(predict(network, self._like, self.recipe.flips), self._like, self.recipe)
                threshold = threshold_of_count(picks, self._found_before, self._like.name) or threshold
            classes.append(replace(one, threshold=threshold, calibration=expected))
        self.recipe = stored.recipe.with_classes(classes)
        checkpoint.replace_recipe(path, stored, self.recipe)
        return predictions

    def _by_class(self, predictions: Sequence[Prediction]) -> list[tuple[Recipe, list[Prediction]]]:
        """Each class with its predictions."""
        return [
            (one, [p for p in predictions if p.volume.kind == kind]) for kind, one in enumerate(self.recipe.classes)
        ]

    def _threshold(
        self, predictions: Sequence[Prediction], recipe: Recipe, kind: int
    ) -> tuple[Threshold, Calibration | None]:
        """From a simulated tomogram, from what the cross-validation has found, or else from labels; of one class."""
        radius = recipe.diameter / 2
        if self.state.cross_validated is None and of_kind(self.validation, kind):
            return self._of_judging(predictions, recipe), None
        if self.state.cross_validated is None:
            alike = threshold_of_look_alikes(predictions, radius)
            return alike or threshold_of_labels(predictions, radius, "training"), None
        found = self.state.cross_validated[kind]
        places = np.concatenate([exclude_near(p.picks, p.volume.told, radius).score for p in predictions])
        knew = isinstance(preset := self.method.preset, DefaultPreset) and preset.pretrained
        counted = calibration.COUNTED if knew else calibration.FROM_SCRATCH
        expected = calibration.calibrate(found, places, len(predictions), counted)
        if knew:
            return threshold_of_left_out(found.label_scores, OF_NETWORKS, expected), expected
        return calibrated_threshold(expected, found.label_scores), expected

    def _of_judging(self, predictions: Sequence[Prediction], recipe: Recipe) -> Threshold:
        """From the tomograms that judge epochs; of one class."""
        if self._simulated:
            return threshold_of_simulated(((p.volume, p.heat) for p in predictions), recipe)
        return threshold_of_labels(predictions, recipe.diameter / 2, "validation")

    def _draw(self, predictions: Sequence[Prediction], sections: bool) -> None:
        """Contact sheet and picks of every epoch; a picture per section where the epoch matters."""
        plots.epoch_pictures(
            self.folder.debug, self.state.epoch, predictions, self.recipe, limit=self.schedule.limit, sections=sections
        )


def _spelled(terms: Losses) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
