"""Which method a command line means, with which numbers, and what does not go together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

from milopyp_shared import preprocessing
from milopyp_shared.commandline import spelled
from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.preprocessing import Preprocessing

from .losses.published import PublishedLoss
from .methods.presets import DefaultPreset, Preset, PublishedPreset, pretrained
from .networks.registry import NETWORKS
from .options import TrainOptions

# Options that select the published preset, because the default one has nothing they could change.
PUBLISHED_ONLY = ("contrastive", "tau", "thresh", "temp", "cr_weight", "last_k", "pn", "ge", "exact_contrastive")
# Options of the published preset that do not select it: refused beside the default one.
CONTRASTIVE_DETAILS = ("thresh", "temp", "cr_weight", "exact_contrastive")
PUBLISHED_DETAILS = ("lr_step", "translation_ratio", "fiber")
DEFAULT_ONLY = ("quick", "rejected")
QUICK_EPOCHS = {"scratch": 10, "pretrained": 4}  # where all without a label is background, more make no better picks
TEMPLATE_EPOCHS = 12  # where all particles are labelled, more make better picks
OLD_WORDS = {"default": "scratch"}
DEFAULT = "pretrained"
PRETRAINED = "unet3d"  # the only network that was trained before


def choose_preset(options: TrainOptions) -> Preset:
    """The preset that a command line means, with its numbers.

    Raises
    ------
    ContradictionError
        Options of one method beside another one's ``--preset``, or ``--arch`` of another one.
    UsageError
        A value out of range.
    """
    arch = options.arch
    selecting = [name for name in PUBLISHED_ONLY if name in options.given]
    belongs = NETWORKS[arch].preset if arch is not None else None
    if belongs == "published":
        selecting.append("arch")
    named = OLD_WORDS.get(options.preset or "", options.preset)
    _refuse_template(options, named, selecting)
    if named in ("pretrained", "scratch") and selecting:
        raise _other_method(selecting, "published")
    if belongs == "default" and (named == "published" or selecting):
        raise _other_method(["arch"], DEFAULT)
    ours = [name for name in DEFAULT_ONLY if getattr(options, name)]
    if ours and (named == "published" or selecting):
        raise _other_method(ours, DEFAULT)
    if named == "published" or selecting:
        return _published(options, named is not None)
    if details := [name for name in PUBLISHED_DETAILS if name in options.given]:
        raise _other_method(details, "published")
    return _default_method(options, named)


def _default_method(options: TrainOptions, named: str | None) -> DefaultPreset:
    """From pre-trained weights where there are some for the network, unless another start is asked for."""
    another_network = options.arch not in (None, PRETRAINED)
    if another_network and named == "pretrained":
        raise _other_method(["arch"], "scratch")
    return _scratch(options) if another_network or named == "scratch" else _pretrained(options)


def _pretrained(options: TrainOptions) -> DefaultPreset:
    preset = pretrained()
    if options.gauss not in (None, preset.grey.sigma[1]) or options.compress is False:
        raise ContradictionError(
            "given beside the pre-trained network",
            where="--gauss" if options.gauss is not None else "--no-compress",
            expected=f"neither, or --gauss {preset.grey.sigma[1]:g}: it knows grey levels that are made so",
            remedy="Leave it out, or give --preset scratch.",
        )
    return _with_options(preset, options)


def _scratch(options: TrainOptions) -> DefaultPreset:
    levels = Preprocessing()
    if options.gauss is not None:
        # half along z, where a paired section is twice as thick
        levels = replace(levels, sigma=(options.gauss / 2, options.gauss, options.gauss))
    if options.compress is False:
        levels = replace(levels, pairing="none")
    return _with_options(DefaultPreset(grey=levels), options)


def _with_options(preset: DefaultPreset, options: TrainOptions) -> DefaultPreset:
    """What every preset of this method takes from the command line."""
    changed: DefaultPreset = _with_given(
        preset,
        architecture=options.arch,
        epochs=options.num_epochs or _epochs(preset.name, options),
        lr=options.lr,
        batch=options.batch_size,
        folds=0 if options.quick else None,
    )
    return changed


def _epochs(preset: str, options: TrainOptions) -> int | None:
    """Where they are not the preset's."""
    if options.template is not None:
        return TEMPLATE_EPOCHS // 2 if options.quick else TEMPLATE_EPOCHS
    return QUICK_EPOCHS[preset] if options.quick else None


def _refuse_template(options: TrainOptions, named: str | None, selecting: Collection[str]) -> None:
    """What is suggested of a network that was trained on simulated tomograms was measured on fine-tuned ones only."""
    other = named in ("scratch", "published") or options.arch not in (None, PRETRAINED) or selecting
    if options.template is not None and other:
        raise ContradictionError(
            "given beside another preset or network",
            where="--template",
            expected=f"--preset {DEFAULT}, with whose network it was measured",
            remedy="Leave the other preset, network or option of the published method out.",
        )


def _published(options: TrainOptions, named: bool) -> PublishedPreset:
    """The published preset.

    Asked for by name it is what the manual's sample command says; selected by one of its options it is what the
    published program does with these options, where a flag that is not given is off.
    """
    if options.batch_size not in (None, 1):
        raise UsageError(
            f"{options.batch_size}",
            where="--batch-size",
            expected="1: a batch of the published method is one pair of patches",
        )
    if options.pn and options.ge:
        raise ContradictionError(
            "given together", where="--pn and --ge", expected="one of them: each is a loss of its own"
        )
    contrastive = named if options.contrastive is None else options.contrastive
    compress = named if options.compress is None else options.compress
    idle = [name for name in CONTRASTIVE_DETAILS if getattr(options, name) is not None]
    if idle and not contrastive:
        raise ContradictionError(
            "given without --contrastive",
            where=spelled(*idle),
            expected="--contrastive as well: nothing else reads them",
            remedy="Add --contrastive, or leave them out.",
        )
    if options.pn and options.tau is not None:
        raise ContradictionError(
            "given beside --pn", where="--tau", expected="one of them: with --pn nothing reads the prior"
        )
    kind = "pn" if options.pn else "ge" if options.ge else "pu"
    loss = _with_given(
        PublishedLoss(kind=kind, contrastive=contrastive),
        tau=options.tau, cr_weight=options.cr_weight, temperature=options.temp, thresh=options.thresh,
    )  # fmt: skip
    gauss = 0.8 if options.gauss is None else options.gauss
    return _with_given(
        PublishedPreset(grey=preprocessing.published(gauss, compress), loss=loss),
        architecture=options.arch, epochs=options.num_epochs, lr=options.lr, lr_step=options.lr_step,
        last_k=options.last_k, translation_ratio=options.translation_ratio, fibre=options.fiber,
        exact=options.exact_contrastive,
    )  # fmt: skip


def _with_given(preset: Any, **values: Any) -> Any:
    """`preset` with the values that are not None."""
    assert {entry.name for entry in fields(preset)} >= set(values)
    return replace(preset, **{name: value for name, value in values.items() if value is not None})


def _other_method(names: Collection[str], preset: str) -> ContradictionError:
    return ContradictionError(
        "given beside the other method",
        where=spelled(*names),
        expected=f"--preset {preset}, to which {'it belongs' if len(names) == 1 else 'they belong'}",
        remedy=f"Give --preset {preset}, or leave {'it' if len(names) == 1 else 'them'} out.",
    )
