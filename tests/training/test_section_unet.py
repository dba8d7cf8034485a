"""The published network against its reference outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from formula_weights import fill_by_formula, published_entries
from milopyp_shared.errors import InputError, UsageError
from milopyp_training.losses.focal import clamped
from milopyp_training.networks.section_unet import SectionUNet

# Twice the difference between the stored float32 values and a float64 run.
LOGITS, PROJ, TRAIN_LOGITS, RUNSTATS = 1e-4, 2e-6, 2.8e-4, 2.4e-6


@pytest.fixture(params=[4, 5], ids=["unet_4", "unet_5"])
def case(request: pytest.FixtureRequest, golden: Path) -> tuple[SectionUNet, dict[str, np.ndarray]]:
    network = SectionUNet(request.param)
    fill_by_formula(network)
    arrays = dict(np.load(golden / f"network_unet_{request.param}.npz"))
    inputs = np.load(golden / "network_unet_4.npz")
    return network, arrays | {name: inputs[name] for name in inputs.files if name.startswith("in_")}


@pytest.mark.parametrize(("levels", "trainable"), [(4, 1_991_504), (5, 7_828_048)])
def test_state_dict_is_the_published_one(golden: Path, levels: int, trainable: int) -> None:
    network = SectionUNet(levels)
    entries = [(k, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in network.state_dict().items()]
    assert entries == published_entries(golden, levels)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trainable


def test_outputs(case: tuple[SectionUNet, dict[str, np.ndarray]]) -> None:
    network, arrays = case
    network.eval()
    for name in "abcd":
        with torch.no_grad():
            logits, embedding = network(torch.from_numpy(arrays[f"in_{name}"]))
        assert embedding is not None
        np.testing.assert_allclose(logits, arrays[f"logits_{name}"], rtol=0, atol=LOGITS)
        projection = embedding.numpy()[..., ::4, ::4]
        wanted = arrays.get(f"projsub_{name}")
        if wanted is None:
            projection, wanted = embedding.numpy(), arrays[f"proj_{name}"]
        np.testing.assert_allclose(projection, wanted, rtol=0, atol=PROJ)
        if name == "a":
            probability = clamped(logits.sigmoid()).numpy()
            np.testing.assert_allclose(probability, arrays["hm_a"], rtol=0, atol=LOGITS / 4)
            assert {arrays["hm_a"].min(), arrays["hm_a"].max()} == {probability.min(), probability.max()}


def test_intermediate_results(case: tuple[SectionUNet, dict[str, np.ndarray]]) -> None:
    network, arrays = case
    network.eval()
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _module, _inputs, output: seen.__setitem__(name, output.clone()))

    for name, module in [("conv1", network.conv1), ("bn1", network.bn1), ("unet", network.unet)]:
        keep(name, module)
    keep("feature_head", network.feature_head)
    for i, module in enumerate(network.unet.down_convs):
        keep(f"down{i}", module)
    for i, module in enumerate(network.unet.up_convs):
        keep(f"up{i}", module)
    with torch.no_grad():
        network(torch.from_numpy(arrays["in_a"]))
    for i in range(network.levels - 1):
        seen[f"down{i}"] = functional.max_pool2d(seen[f"down{i}"], 2, ceil_mode=True)
    assert {f"stat_a_{name}" for name in seen} == {name for name in arrays if name.startswith("stat_a_")}
    for name, value in seen.items():
        assert list(value.shape) == arrays[f"shape_a_{name}"].tolist(), name
        found = [value.mean(), value.std(), value.abs().max()]
        np.testing.assert_allclose(found, arrays[f"stat_a_{name}"], rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("name", ["a", "c"])
def test_training_mode(case: tuple[SectionUNet, dict[str, np.ndarray]], name: str) -> None:
    network, arrays = case
    network.train()
    with torch.no_grad():
        logits, _ = network(torch.from_numpy(arrays[f"in_{name}"]))
    np.testing.assert_allclose(logits, arrays[f"train_logits_{name}"], rtol=0, atol=TRAIN_LOGITS)
    state = network.state_dict()
    running = np.concatenate([state[str(key)].numpy() for key in arrays["runstats_names"]])
    wanted = arrays[f"train_runstats_{name}"]
    np.testing.assert_allclose(running, wanted, rtol=RUNSTATS, atol=RUNSTATS * np.abs(wanted).max())
    assert {int(v) for k, v in state.items() if k.endswith("num_batches_tracked")} == {8}


def test_halves_can_be_cut_and_rolled() -> None:
    """2D features one section at a time and the head on overlapping slabs give the whole result."""
    network = SectionUNet(4).eval()
    fill_by_formula(network)
    x = torch.rand(1, 7, 35, 42, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = network.features(x)
        alone = torch.cat([network.features(x[:, k : k + 1]) for k in range(7)], dim=2)
        logits, _ = network.head(whole)
        short, nothing = network(x, embed=False)
        slab, _ = network.head(alone[:, :, 1:], embed=False)
    assert nothing is None
    torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(short, logits, rtol=0, atol=LOGITS)
    # The head reads three sections to either side: from section 4 on the slab is as good as the whole.
    torch.testing.assert_close(slab[:, :, 3:], logits[:, :, 4:], rtol=0, atol=LOGITS)
    assert float((slab[:, :, 2] - logits[:, :, 3]).abs().max()) > 0.1


def test_last_k_sets_the_last_kernel_and_its_reach() -> None:
    with torch.no_grad():
        for last_k, reach in ((1, 4), (3, 8), (7, 16)):
            network = SectionUNet(4, last_k=last_k).eval()
            fill_by_formula(network)
            assert network.state_dict()["feature_head.2.weight"].shape == (32, 32, 3, last_k, last_k)
            features = torch.zeros(1, 32, 3, 41, 41)
            changed = features.clone()
            changed[0, :, 1, 20, 20] = 5.0
            difference = (network.head(changed, False)[0] - network.head(features, False)[0]).abs()[0, 0].amax(0)
            rows = difference.amax(1).nonzero().flatten()
            assert (int(rows.min()), int(rows.max())) == (20 - reach, 20 + reach)


def test_initial_weights() -> None:
    torch.manual_seed(1)
    network = SectionUNet(4)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(".bias"):
            assert float(value.abs().max()) == 0.0
    for name in ("feature_head.0", "feature_head.2", "proj"):
        assert float(state[f"{name}.weight"].std()) == pytest.approx(0.001, rel=0.05)
    # Xavier: variance 2 / (fan in + fan out), fans times the 9 or 4 positions of the kernel
    assert float(state["unet.down_convs.2.conv2.weight"].std()) == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert float(state["unet.up_convs.0.upconv.weight"].std()) == pytest.approx((2 / (384 * 4)) ** 0.5, rel=0.02)
    # The framework's default for the stem: uniform within 1 / sqrt(fan in)
    assert 0.13 < float(state["conv1.weight"].abs().max()) <= 1 / 7


def test_refusals() -> None:
    with pytest.raises(InputError, match="5 axes"):
        SectionUNet(4)(torch.zeros(1, 2, 6, 64, 64))
    with pytest.raises(UsageError, match="odd"):
        SectionUNet(4, last_k=4)
    with pytest.raises(UsageError, match="unet_4"):
        SectionUNet(1)
