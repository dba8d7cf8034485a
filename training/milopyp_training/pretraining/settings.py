"""The numbers of pre-training; those of the simulated world are in `domain`."""

from __future__ import annotations

from dataclasses import dataclass, field

from milopyp_shared.preprocessing import Preprocessing


@dataclass(frozen=True)
class PretrainingSettings:
    """What decides the weights, together with the program's version.

    Attributes
    ----------
    channels, coarse, levels, features
        Of the network, see `milopyp_training.networks.unet3d`.
    groups
        Simulated groups of two tomograms with species of their own.
    steps
        Of the optimiser.
    worlds, patches
        Groups, and patches of each, per step.
    patch
        ``(z, y, x)``: sections after pairing, full-resolution pixels.
    centred, jitter
        Share of the patches around a particle, and how far it may lie from their middle, in parts of the patch.
    lr, warm_up
        Peak of the learning rate, and the part of the steps until then; it falls as a cosine.
    averaging
        Decay per step of the averaged weights, which are the ones that are kept.
    target_sigma, positive
        As in `milopyp_training.methods.presets.DefaultPreset`.
    """

    seed: int = 1
    channels: int = 16
    coarse: int = 80
    levels: int = 3
    features: int = 32
    groups: int = 160
    steps: int = 16000
    worlds: int = 4
    patches: int = 1
    patch: tuple[int, int, int] = (24, 80, 80)
    centred: float = 0.8
    jitter: float = 0.4
    lr: float = 4e-3
    warm_up: float = 0.1
    weight_decay: float = 1e-2
    averaging: float = 0.995
    target_sigma: float = 0.4
    positive: float = 0.8
    grey: Preprocessing = field(default_factory=Preprocessing)
