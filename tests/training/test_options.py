"""Which preset a command line means: its rules, from the words of the line to the numbers of the method."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from milopyp_shared.errors import ContradictionError, UsageError
from milopyp_shared.preprocessing import Preprocessing
from milopyp_training.cli import options_of, train_command
from milopyp_training.methods.presets import DefaultPreset, Preset, PublishedPreset, pretrained
from milopyp_training.networks.registry import NETWORKS
from milopyp_training.options import OPTIONS
from milopyp_training.preset_choice import PUBLISHED_DETAILS, PUBLISHED_ONLY, choose_preset
from toy_network import TOY_NETWORK

# Every option that selects the published preset, with a value that is not its own, and where the value must arrive.
SELECTING: dict[str, tuple[str, Any]] = {
    "--contrastive": ("loss.contrastive", True),
    "--no-contrastive": ("loss.contrastive", False),
    "--exact-contrastive --contrastive": ("exact", True),
    "--tau 0.03": ("loss.tau", 0.03),
    "--thresh 0.7 --contrastive": ("loss.thresh", 0.7),
    "--temp 0.2 --contrastive": ("loss.temperature", 0.2),
    "--cr-weight 0 --contrastive": ("loss.cr_weight", 0.0),
    "--last-k 5": ("last_k", 5),
    "--pn": ("loss.kind", "pn"),
    "--ge": ("loss.kind", "ge"),
    "--arch unet_4": ("architecture", "unet_4"),
    "--arch unet_5": ("architecture", "unet_5"),
}
DETAILS = {
    "--lr-step 4,8": ("lr_step", (4, 8)),
    "--translation-ratio 0.25": ("translation_ratio", 0.25),
    "--fiber": ("fibre", True),
}
# The manual's sample command, without what says nothing of the method.
SAMPLE = (
    "semi --down_ratio 2 --num_epochs 10 --bbox 16 --dataset semi --arch unet_5 --thresh 0.85 --cr_weight 0.1 "
    "--temp 0.07 --tau 0.01 --lr 5e-4 --compress --gauss 0.8 --contrastive --last_k 3"
)


def chosen(line: str) -> Preset:
    """The preset of ``milopyp-train`` with these words after the lists and the diameter."""
    words = shlex.split(f"--train-img-txt i.txt --train-coord-txt c.txt --bbox 16 {line}")
    return choose_preset(options_of(train_command.make_context("milopyp-train", words)))


def test_every_option_of_the_command_is_taken() -> None:
    """And none besides: what the command line says of messages is said to the command itself."""
    named = {parameter.name for parameter in train_command.params} - {"task", "version"}
    assert named == {*OPTIONS, "quiet", "verbose", "log_file"}


def test_no_rule_is_left_out() -> None:
    """The tables above hold every option that the rules name."""
    names = {line.split()[0].removeprefix("--").replace("-", "_") for line in [*SELECTING, *DETAILS]}
    assert names == {*PUBLISHED_ONLY, *PUBLISHED_DETAILS, "arch", "no_contrastive"}


@pytest.mark.parametrize("line", SELECTING)
def test_an_option_of_the_published_method_selects_it(line: str) -> None:
    """And changes in it what it says, nothing else."""
    on = "--contrastive" if "--contrastive" in line.split() else "--no-contrastive"
    plain = chosen(f"--preset published {on} --no-compress")
    assert isinstance(plain, PublishedPreset)
    path, value = SELECTING[line]
    if path.startswith("loss."):
        path, value = "loss", replace(plain.loss, **{path.removeprefix("loss."): value})
    assert chosen(line) == replace(plain, **{path: value})


@pytest.mark.parametrize("line", SELECTING)
def test_it_is_refused_beside_the_default_preset(line: str) -> None:
    name = line.split()[0].replace("--no-", "--")
    with pytest.raises(ContradictionError) as refused:
        chosen(f"--preset default {line}")
    assert f"{name}: given beside the other method" in str(refused.value)
    assert "--preset published" in str(refused.value)


@pytest.mark.parametrize("line", DETAILS)
def test_details_do_not_select_but_are_refused_where_they_would_be_lost(line: str) -> None:
    name = line.split()[0]
    for words in (line, f"--preset default {line}"):
        with pytest.raises(ContradictionError, match=f"{name}: given beside the other method.*--preset published"):
            chosen(words)
    field, value = DETAILS[line]
    for words in ("--preset published", "--arch unet_4"):
        assert getattr(chosen(f"{words} {line}"), field) == value


def test_all_options_out_of_place_are_named_together() -> None:
    with pytest.raises(ContradictionError) as refused:
        chosen("--preset default --tau 0.1 --arch unet_5 --last-k 3")
    assert (
        "--tau, --last-k, --arch: given beside the other method; expected --preset published, to which they belong"
        in str(refused.value)
    )


def test_the_default_network_belongs_to_the_default_preset() -> None:
    assert chosen("--preset scratch --arch unet3d") == chosen("--preset default") == DefaultPreset()
    assert chosen("--arch unet3d") == chosen("--preset pretrained") == chosen("") == pretrained()
    with pytest.raises(
        ContradictionError, match=r"--arch: given beside the other method; expected --preset pretrained"
    ):
        chosen("--preset published --arch unet3d")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--arch unet_4 --thresh 0.7 --temp 0.2", "--thresh, --temp: given without --contrastive"),
        ("--preset published --no-contrastive --cr-weight 0.1", "--cr-weight: given without --contrastive"),
        ("--exact-contrastive", "--exact-contrastive: given without --contrastive"),
        ("--pn --tau 0.1", "--tau: given beside --pn"),
    ],
)
def test_an_option_that_nothing_would_read_is_refused(line: str, named: str) -> None:
    with pytest.raises(ContradictionError, match=named):
        chosen(line)


def test_the_default_network_with_an_option_of_the_published_method_is_refused() -> None:
    """Neither preset has both."""
    with pytest.raises(
        ContradictionError, match=r"--arch: given beside the other method; expected --preset pretrained"
    ):
        chosen("--arch unet3d --tau 0.02")


def test_the_published_preset_by_name_is_the_manuals_sample_command() -> None:
    named, sample = chosen("--preset published"), chosen(SAMPLE)
    assert isinstance(named, PublishedPreset) and isinstance(sample, PublishedPreset)
    assert named.loss == sample.loss and named.grey == sample.grey
    numbers = ("epochs", "lr", "last_k", "fibre", "exact")
    assert [getattr(named, name) for name in numbers] == [getattr(sample, name) for name in numbers]
    # in numbers, so that neither can move unseen
    loss = named.loss
    assert (loss.kind, loss.contrastive) == ("pu", True)
    assert (loss.tau, loss.cr_weight, loss.temperature, loss.thresh) == (0.01, 0.1, 0.07, 0.85)
    assert (named.epochs, named.lr, named.last_k) == (10, 5e-4, 3)
    assert named.grey == Preprocessing("max", (0.8, 0.8, 0.8), (-3.0, 3.0), stretch=True, statistics="moments")
    assert named.architecture in ("unet_4", "unet_5")


@pytest.mark.parametrize("line", ["--arch unet_4", "--tau 0.01", "--last-k 3", "--arch unet_5 --tau 0.02"])
def test_selected_by_an_option_a_flag_that_is_not_given_is_off(line: str) -> None:
    preset = chosen(line)
    assert isinstance(preset, PublishedPreset)
    assert not preset.loss.contrastive
    assert preset.grey.pairing == "none"
    assert chosen(f"{line} --compress").grey.pairing == "max"
    assert chosen(f"{line} --contrastive").loss.contrastive  # type: ignore[union-attr]


def test_flags_that_are_given_win_over_the_name() -> None:
    preset = chosen("--preset published --no-compress --no-contrastive")
    assert isinstance(preset, PublishedPreset)
    assert not preset.loss.contrastive
    assert preset.grey.pairing == "none"


def test_no_filter_has_the_published_limits_without_filter() -> None:
    preset = chosen("--preset published --gauss 0")
    assert (preset.grey.sigma, preset.grey.limits) == ((0.0, 0.0, 0.0), (-2.5, 2.0))


def test_common_options_reach_both_presets() -> None:
    for preset in (chosen("--num-epochs 3 --lr 0.002"), chosen("--preset published --num-epochs 3 --lr 0.002")):
        assert (preset.epochs, preset.lr) == (3, 0.002)
    assert chosen("--batch-size 2") == replace(pretrained(), batch=2)
    assert chosen("--preset scratch --batch-size 2") == DefaultPreset(batch=2)


def test_a_batch_of_the_published_method_is_one_pair() -> None:
    assert isinstance(chosen("--preset published --batch-size 1"), PublishedPreset)
    for line in ("--preset published", "--tau 0.01"):
        with pytest.raises(UsageError, match="--batch-size: 4; expected 1"):
            chosen(f"{line} --batch-size 4")


def test_two_losses_at_once_are_refused() -> None:
    for line in ("--pn --ge", "--preset published --ge --pn"):
        with pytest.raises(ContradictionError, match="--pn and --ge: given together; expected one of them"):
            chosen(line)


@pytest.mark.parametrize(
    ("line", "grey"),
    [
        ("--gauss 1", Preprocessing("mean", (0.5, 1.0, 1.0))),
        ("--gauss 0", Preprocessing("mean", (0.0, 0.0, 0.0))),
        ("--compress", Preprocessing()),
        ("--no-compress", Preprocessing("none", (0.4, 0.8, 0.8))),
        ("--no-compress --gauss 2", Preprocessing("none", (1.0, 2.0, 2.0))),
    ],
)
def test_grey_levels_of_scratch(line: str, grey: Preprocessing) -> None:
    assert chosen(f"--preset scratch {line}") == DefaultPreset(grey=grey)


def test_grey_levels_of_the_pretrained_network_are_those_that_it_knows() -> None:
    assert chosen("--compress --gauss 0.8") == pretrained()
    for line, named in (("--gauss 1", "--gauss"), ("--no-compress", "--no-compress")):
        with pytest.raises(
            ContradictionError, match=f"^{named}: given beside the pre-trained network.*--preset scratch"
        ):
            chosen(line)


def test_another_network_begins_from_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "toy", TOY_NETWORK)
    assert chosen("--arch toy") == DefaultPreset(architecture="toy")
    with pytest.raises(ContradictionError, match=r"--arch: given beside the other method.*--preset scratch"):
        chosen("--preset pretrained --arch toy")


def test_the_old_word_for_scratch_is_taken() -> None:
    assert chosen("--preset default --lr 0.01") == chosen("--preset scratch --lr 0.01") == DefaultPreset(lr=0.01)


def test_a_template_gives_more_epochs_to_what_is_fine_tuned() -> None:
    """All particles of simulated tomograms are labelled."""
    assert chosen("--template m.mrc") == replace(pretrained(), epochs=12)
    assert chosen("--template m.mrc --num-epochs 3") == replace(pretrained(), epochs=3)
    assert chosen("--template m.mrc --quick") == replace(pretrained(), epochs=6, folds=0)
    for line in ("--preset scratch", "--preset published", "--arch unet_4", "--tau 0.01"):
        with pytest.raises(ContradictionError, match="--template: given beside another preset or network"):
            chosen(f"--template m.mrc {line}")


def test_a_simulated_tomogram_judges_a_template() -> None:
    """By any figure; what else would judge is refused."""
    assert chosen("--template m.mrc --metric loss") == replace(pretrained(), epochs=12)
    for line in ("--val-img-txt v.txt --val-coord-txt w.txt", "--val-fully-labelled"):
        with pytest.raises(ContradictionError, match=r"given beside --template; expected one of them"):
            chosen(f"--template m.mrc {line}")
