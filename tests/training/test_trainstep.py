"""One complete training step against the published program's float64 run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from formula_weights import fill_by_formula
from milopyp_training.losses.focal import clamped, focal_loss
from milopyp_training.losses.published import PublishedLoss, published_criterion
from milopyp_training.networks.section_unet import SectionUNet


@pytest.mark.parametrize("flip", ["flipx", "flipy"])
@pytest.mark.parametrize("kind", ["pu", "pn"])
def test_training_step(golden: Path, kind: str, flip: str) -> None:
    arrays = np.load(golden / "trainstep.npz")
    network = SectionUNet(4)
    fill_by_formula(network)
    network.double().train()
    names = [name for name, _ in network.named_parameters()]
    assert names == arrays["parameter_names"].tolist()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4)

    x = torch.from_numpy(arrays["input"]).double()[0]
    target = torch.from_numpy(arrays["hm"]).double()
    if kind == "pn":
        target = target.clamp(min=0)
    output, mirrored = network(x), network(x.flip(-2 if flip == "flipy" else -1))
    parts = published_criterion(output, mirrored, target, PublishedLoss(kind=kind), flip_y=flip == "flipy")
    total, heat_map = parts.total, parts.heat_map
    if kind == "pn":
        # The reference compares each patch with the other one's target too, ours does not.
        p = clamped(output[0].sigmoid())
        every_target = target[0][:, None, None].expand(2, *p.shape)
        heat_map = 2 * focal_loss(p.expand(2, *p.shape), every_target)
        total = parts.total - parts.heat_map + heat_map
    optimizer.zero_grad()
    total.backward()

    def wanted(name: str) -> np.ndarray:
        return np.asarray(arrays[f"{kind}_{flip}_f64_{name}"])

    found = torch.stack([total, heat_map, parts.contrastive, parts.consistency]).detach()
    np.testing.assert_allclose(found, wanted("loss_hm_cr_consis"), rtol=1e-10)
    gradients = [parameter.grad for parameter in network.parameters()]
    norms = wanted("grad_norm")
    # Gradients of biases in front of a batch norm are zero up to rounding.
    silent = np.array([name.endswith("upconv.bias") for name in names])
    scale = norms[~silent].max()
    np.testing.assert_allclose([g.norm() for g in gradients], norms, rtol=1e-8, atol=1e-10 * scale)
    for g, norm, total_sum, first in zip(gradients, norms, wanted("grad_sum"), wanted("grad_first8")):
        tolerance = 1e-8 * norm + 1e-10 * scale
        assert float(g.sum()) == pytest.approx(total_sum, abs=tolerance * g.numel() ** 0.5)
        np.testing.assert_allclose(g.flatten()[:8], first[: g.numel()], rtol=0, atol=tolerance)
    optimizer.step()
    after = np.array([float(parameter.detach().norm()) for parameter in network.parameters()])
    np.testing.assert_allclose(after[~silent], wanted("param_norm_after_adam")[~silent], rtol=1e-7)

    state = network.state_dict()
    running = np.concatenate([state[str(name)].numpy() for name in arrays["runstats_names"]])
    stored = arrays[f"{kind}_{flip}_runstats"]
    np.testing.assert_allclose(running, stored, rtol=5e-6, atol=5e-6 * np.abs(stored).max())
    assert {int(v) for k, v in state.items() if k.endswith("num_batches_tracked")} == {9}
