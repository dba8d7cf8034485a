"""Which run a checkpoint belongs to, and going on with it.

A run is what decides its weights (`identity_of`): the preset's numbers, labels, tomograms, seed. One that differs in
any of it is another run and is refused. Device and precision are not in it; the number of processes is looked at where
the learning rates were planned for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from milopyp_shared.errors import InputError
from milopyp_shared.option_types import ByClass

from ..data.dataset import TrainingSet
from ..methods.base import Method
from .checkpoint import Checkpoint, what_differs
from .state import TrainingState


def identity_of(method: Method, data: TrainingSet, seed: int) -> dict[str, str]:
    """What decides the weights that a training ends with, for people: two runs that differ in it are two runs."""
    facts = {name: str(value) for name, value in vars(method.preset).items()}
    sizes = ByClass({particle.name: f"{particle.diameter:g}" for particle in data.particles})
    several = len(data.particles) > 1
    facts |= {"--bbox": str(sizes) if several else f"{data.diameter:g}"}
    facts |= {"--contrast": data.contrast, "--seed": str(seed)}
    if data.simulated:  # to the last bit on one machine only
        return facts | {"--template": data.simulated}
    for volume in data.volumes:
        masked = "all" if volume.mask is None else str(np.count_nonzero(volume.mask.zyx))
        none = f", {len(volume.rejected)} rejected ({_digest(volume.rejected)})" if len(volume.rejected) else ""
        facts[f"{data.particles[volume.kind].name} of {volume.name}" if several else volume.name] = (
            f"{len(volume.xyz)} labels ({_digest(volume.xyz)}) in {volume.grey.shape}, mean {volume.grey.centre:.6g}, "
            f"deviation {volume.grey.unit:.6g}, {masked} voxels{none}"
        )
    return facts


def _digest(xyz: NDArray[np.float64]) -> str:
    return hashlib.sha256(xyz.tobytes()).hexdigest()[:12]


def refuse_other_run(checkpoint: Checkpoint, identity: Mapping[str, str], path: Path) -> None:
    """Raise an `InputError` when a stored run is not the one of `identity`; see `identity_of`."""
    before = checkpoint.stored.get("identity")
    if not isinstance(before, dict):  # of an earlier version
        return
    before = _in_todays_words(before)
    formulas = [_formula(facts.get("grey", "")) for facts in (before, identity)]
    if formulas[0] != formulas[1]:
        raise InputError(
            f"is a run with grey levels by {formulas[0]}",
            where=path,
            expected=f"by {formulas[1]}, as they are made now",
            remedy="Begin anew with another --exp-id, or go on with the version and preset that it was begun with.",
        )
    other = [
        f"{name} {before.get(name, 'not there')}, now {identity.get(name, 'not there')}"
        for name in sorted({*before, *identity})
        if _values(before.get(name)) != _values(identity.get(name))
    ]
    if other:
        raise _other_run("; ".join(other[:3]) + ("; ..." if len(other) > 3 else ""), path)


def _in_todays_words(before: Mapping[str, str]) -> dict[str, str]:
    """An identity that an earlier version stored: what had no name then, and what had another one."""
    facts = dict(before)
    grey = facts.get("grey", "")
    if grey and "statistics" not in grey:
        facts["grey"] = grey.removesuffix(")") + ", statistics='moments')"
    if facts.get("name") == "default":
        facts |= {"name": "scratch", "pretrained": "False", "architecture_options": "{}", "diameters": "None"}
    return facts


def _formula(grey: str) -> str:
    return "moments" if "'moments'" in grey else "quantiles"


def _values(fact: str | None) -> str | None:
    """A fact without the name of the class that holds its numbers, which earlier versions called otherwise."""
    return re.sub(r"^\w+(?=\()", "", fact) if isinstance(fact, str) else fact


def restore(state: TrainingState, checkpoint: Checkpoint, path: Path) -> None:
    """Put a stored run back into a fresh state, so that training goes on where it stopped.

    Raises
    ------
    InputError
        The stored run is of another network or another method.
    """
    stored = checkpoint.stored
    planned = getattr(state.scheduler, "total_steps", None)
    try:
        if state.averaged is None:
            state.network.load_state_dict(checkpoint.state_dict)
        else:
            state.network.load_state_dict(stored["training_state_dict"])
            state.averaged.module.load_state_dict(checkpoint.state_dict)
            state.averaged.n_averaged.fill_(stored["averaged_steps"])
        state.optimizer.load_state_dict(stored["optimizer"])
        state.scheduler.load_state_dict(stored["scheduler"])
        if (steps := getattr(state.scheduler, "total_steps", None)) != planned:
            raise ValueError(f"its learning rates are planned for {steps} steps, not {planned}")
        state.epoch, state.history = int(stored["epoch"]), list(stored["history"])
        state.validation = list(stored["validation"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _other_run(what_differs(error), path) from error


def _other_run(why: str, path: Path) -> InputError:
    return InputError(
        f"is a run with other options ({why})",
        where=path,
        expected="the same ones, labels and tomograms as now",
        remedy="Resume with those that it was begun with, or begin anew with another --exp-id.",
    )
