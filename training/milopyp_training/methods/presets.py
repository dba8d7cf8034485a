"""The presets as data: every number of a method has its one place here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from milopyp_shared import preprocessing
from milopyp_shared.preprocessing import Preprocessing
from milopyp_shared.pretrained_weights import read_pretrained

from ..losses.published import PublishedLoss


@dataclass(frozen=True)
class DefaultPreset:
    """A compact 3D U-Net with focal loss in which every unlabelled voxel counts as background.

    Its own numbers are those of ``scratch``, which begins with random weights; `pretrained` gives the others.

    Attributes
    ----------
    pretrained
        Begin with the weights that milopyp ships, and a head that is fitted to the labels.
    architecture_options
        Of the network; what is absent has the network's own default.
    diameters
        Smallest and largest particles that the network knows, voxels: for others, tomograms are resampled. None: it
        learns what there is.
    epochs, steps
        An epoch is a fixed number of steps, so that training time does not depend on the number of labels.
    lr
        Peak of the one-cycle schedule.
    patch
        ``(z, y, x)``: sections after pairing, full-resolution pixels.
    centred, jitter
        Share of the patches that hold a label, and how far its place varies, in parts of the patch. The others lie
        anywhere; an empty tomogram has as many of them as one with labels on average.
    noise
        Standard deviation of white noise on the input, z-scores: keeps small label sets from being learned by heart.
    brightness, contrast
        Ranges of the random shift (z-scores) and scale of a patch.
    averaging
        Decay per step of the averaged weights, which are the ones that pick.
    target_sigma
        Width of the Gaussian target in particle radii.
    positive
        Voxels with a target above it are positives, and the one nearest to the label. The loss is divided by their
        number, so the more there are, the less the background weighs, in which most particles are unlabelled.
    flips
        Mirrored copies that picking averages over.
    folds
        Networks that each miss a part of the labels: they find the places without a label that are not to count as
        background, and tell how far picks can be trusted. 0: neither.
    fold_share
        Their epochs, in parts of `epochs`.
    ignored_per_label
        Places that do not count as background at most.
    """

    name: str = "scratch"
    pretrained: bool = False
    architecture: str = "unet3d"
    architecture_options: Mapping[str, int] = field(default_factory=dict)
    grey: Preprocessing = field(default_factory=Preprocessing)
    diameters: tuple[float, float] | None = None
    epochs: int = 20
    steps: int = 50
    lr: float = 3e-3
    weight_decay: float = 1e-2
    batch: int = 8
    patch: tuple[int, int, int] = (16, 64, 64)
    centred: float = 0.6
    jitter: float = 0.4
    noise: float = 0.6
    brightness: float = 0.2
    contrast: float = 0.2
    averaging: float = 0.99
    target_sigma: float = 0.4
    positive: float = 0.8
    flips: int = 4
    folds: int = 4
    fold_share: float = 0.4
    ignored_per_label: int = 3

    @property
    def fold_epochs(self) -> int:
        """Of a network that misses a part of the labels."""
        return max(round(self.fold_share * self.epochs), 1)


def pretrained() -> DefaultPreset:
    """Fine-tuning of the weights that milopyp ships.

    Raises
    ------
    InputError
        They are missing or altered.
    """
    description = read_pretrained().description  # altered ones are refused before anything is read or written
    return DefaultPreset(
        name="pretrained",
        pretrained=True,
        architecture=description.architecture,
        architecture_options=asdict(description.options),
        grey=description.grey,
        diameters=description.diameters,
        epochs=6,
        lr=1e-3,
        batch=4,
        flips=2,
        fold_share=1 / 6,
        ignored_per_label=15,
    )


@dataclass(frozen=True)
class PublishedPreset:
    """The published method; names and values as in its manual.

    Attributes
    ----------
    epochs
        An epoch is one pass over the labels, a pair of patches per step.
    drop
        Factor on the learning rate after each of the epochs `lr_step`.
    exact
        Evaluate the contrastive loss over all voxel pairs; False: over a sample of them.
    """

    name: str = "published"
    architecture: str = "unet_4"
    grey: Preprocessing = field(default_factory=preprocessing.published)
    epochs: int = 10
    lr: float = 5e-4
    lr_step: tuple[int, ...] = (200, 400, 600)
    drop: float = 0.1
    loss: PublishedLoss = field(default_factory=lambda: PublishedLoss(contrastive=False))
    exact: bool = False
    last_k: int = 3
    translation_ratio: float = 0.5
    fibre: bool = False
    flips: int = 1


Preset = DefaultPreset | PublishedPreset
