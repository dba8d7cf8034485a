"""Pre-training as one run: simulate, train, keep what is needed to go on, and write the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from milopyp_shared.atomic import make_folder
from milopyp_shared.console import Console
from milopyp_shared.errors import ContradictionError, InputError

from ..loop.checkpoint import read_plain, what_differs, write_plain
from ..networks.precision import mixed, right_on_cpus, trains_in_bfloat16
from ..networks.unet3d import UNet3d
from .batches import Batch, batches
from .heads import SpeciesHeads
from .library import make_tomograms, missing_jobs, read_group
from .settings import PretrainingSettings

LARGEST_GRADIENT = 5.0
EVERY = 200  # steps between two checkpoints


@dataclass
class _State:
    """All that a checkpoint holds."""

    network: UNet3d
    heads: SpeciesHeads
    averaged: AveragedModel
    optimizer: AdamW
    scheduler: OneCycleLR
    step: int = 0

    def parts(self) -> dict[str, Any]:
        """Those that have a state of their own."""
        return {name: getattr(self, name) for name in ("network", "heads", "averaged", "optimizer", "scheduler")}


def pretrain(
    folder: Path, settings: PretrainingSettings, device: torch.device, workers: int, console: Console
) -> UNet3d:
    """Simulate and train in `folder`, or go on there; the network with averaged weights.

    Raises
    ------
    ContradictionError
        A run with other settings is in the folder.
    InputError
        What is there is damaged.
    """
    make_folder(folder)
    tomograms = folder / "tomograms"
    missing = missing_jobs(tomograms, settings)
    with console.progress("simulated", len(missing)) as progress:
        for name in make_tomograms(missing, workers):
            progress.step(name)
    species = [len(read_group(tomograms, number)[0].radii) for number in range(settings.groups)]
    torch.manual_seed(settings.seed)
    state = _new_state(settings, species, device)
    checkpoint = folder / "pretraining.pth"
    _resume(state, checkpoint, settings, console)
    in_bfloat16 = trains_in_bfloat16(device, on_cpus=right_on_cpus(settings.patch, state.network.geometry()))
    features = mixed(state.network.features) if in_bfloat16 else state.network.features
    losses: list[torch.Tensor] = []
    drawn = batches(tomograms, settings, state.step, workers if device.type == "cuda" else 0)
    with console.progress("steps of pre-training", -(-(settings.steps - state.step) // EVERY)) as progress:
        for batch in drawn:
            losses.append(_step(state, features, batch, device))
            if state.step % EVERY == 0 or state.step == settings.steps:
                _save(state, checkpoint, settings)
                progress.step(f"step {state.step}, loss {torch.stack(losses).mean():.3f}")
                losses.clear()
    return cast(UNet3d, state.averaged.module)


def _new_state(settings: PretrainingSettings, counts: list[int], device: torch.device) -> _State:
    network = UNet3d(
        settings.channels,
        settings.levels,
        settings.features,
        projected=1,
        coarse=settings.coarse,
        grey_limits=settings.grey.limits,
    ).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    heads = SpeciesHeads(counts, settings.features).to(device)
    trained = [(name, value) for name, value in network.named_parameters() if not name.startswith("head.")]
    decayed = [value for _, value in trained if value.ndim > 1]
    others = [value for _, value in trained if value.ndim <= 1]
    optimizer = AdamW(
        [
            {"params": decayed, "weight_decay": settings.weight_decay},
            {"params": [*others, *heads.parameters()], "weight_decay": 0.0},
        ],
        lr=settings.lr,
        betas=(0.9, 0.98),
    )
    scheduler = OneCycleLR(
        optimizer, settings.lr, total_steps=settings.steps + 1, pct_start=settings.warm_up, cycle_momentum=False
    )
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging), use_buffers=True)
    return _State(network, heads, averaged, optimizer, scheduler)


def _step(
    state: _State, features: Callable[[torch.Tensor], torch.Tensor], drawn: Batch, device: torch.device
) -> torch.Tensor:
    """One step of the optimiser; the loss, on the device, so that nobody waits for it."""
    batch = drawn.to(device)
    state.network.train()
    loss = state.heads.loss(features(batch.sections), batch)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.network.parameters(), LARGEST_GRADIENT)
    state.optimizer.step()
    state.scheduler.step()
    state.averaged.update_parameters(state.network)
    state.step += 1
    return loss.detach()


def _save(state: _State, path: Path, settings: PretrainingSettings) -> None:
    content = {name: part.state_dict() for name, part in state.parts().items()}
    write_plain(path, content | {"step": state.step, "settings": repr(settings)})


def _resume(state: _State, path: Path, settings: PretrainingSettings, console: Console) -> None:
    """Go on with what is in the folder, if anything is."""
    if not path.is_file():
        return
    stored = read_plain(path)
    if stored.get("settings") != repr(settings):
        raise ContradictionError(
            "is a pre-training with other settings", where=path, expected="the same ones",
            remedy="Give another folder, or remove this one.",
        )  # fmt: skip
    try:
        for name, part in state.parts().items():
            part.load_state_dict(stored[name])
        state.step = int(stored["step"])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"is damaged ({what_differs(error)})", where=path, expected="a checkpoint of this pre-training",
            remedy="Remove it: the tomograms stay, and training begins anew.",
        ) from error  # fmt: skip
    console.say(f"going on after step {state.step} of {path}")
