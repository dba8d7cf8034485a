"""Heat-map losses against the published values and gradients; the default preset's against its formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from milopyp_shared.errors import CheckError, InputError, UsageError
from milopyp_training.losses.focal import clamped, focal_loss, soft_focal_loss
from milopyp_training.losses.positive_unlabelled import pu_focal_loss, puge_loss
from milopyp_training.losses.published import PublishedLoss, consistency_loss, published_criterion

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])


@pytest.fixture(scope="module")
def arrays(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "losses.npz"))


def _leaf(array: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.array(array)).to(dtype).requires_grad_()


def assert_near(found: Tensor | None, wanted: np.ndarray, relative: float, name: str = "") -> None:
    """Largest difference below `relative` times the largest wanted value."""
    values = np.zeros_like(wanted) if found is None else found.detach().double().numpy()
    np.testing.assert_allclose(values, wanted, rtol=0, atol=relative * max(np.abs(wanted).max(), 1e-300), err_msg=name)


@DTYPES
@pytest.mark.parametrize("tau", [0.01, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(
    ("name", "prediction", "truth"),
    [("mixed", "pu_pred", "pu_gt"), ("fiber", "pu_pred", "pu_gt_fiber"), ("low", "pu_pred_low", "pu_gt")],
)
def test_positive_unlabelled(
    arrays: dict[str, np.ndarray], name: str, prediction: str, truth: str, tau: float, dtype: torch.dtype
) -> None:
    p, t = _leaf(arrays[prediction], dtype), torch.from_numpy(arrays[truth]).to(dtype)
    loss = pu_focal_loss(p, t, tau)
    loss.backward()
    assert_near(loss, arrays[f"pu_{name}_tau{tau}_value"], TOLERANCE[dtype])
    assert_near(p.grad, arrays[f"pu_{name}_tau{tau}_grad"], TOLERANCE[dtype])
    # The second branch leaves the unlabelled voxels without gradient.
    assert p.grad is not None
    silent = not bool(p.grad[t.reshape(p.shape) == -1].any())
    assert silent == bool(arrays[f"pu_{name}_tau{tau}_clamped"])


@DTYPES
@pytest.mark.parametrize("case", ["single", "nopos", "unlabelled"])
def test_focal(arrays: dict[str, np.ndarray], case: str, dtype: torch.dtype) -> None:
    truth = {"single": arrays["pn_gt"][:, 0], "nopos": arrays["focal_nopos_gt"], "unlabelled": arrays["pu_gt"][:, 0]}
    p = _leaf(arrays["pu_pred"][:1], dtype)
    loss = focal_loss(p, torch.from_numpy(truth[case]).to(dtype))
    loss.backward()
    assert_near(loss, arrays[f"focal_{case}_value"], TOLERANCE[dtype])
    assert_near(p.grad, arrays[f"focal_{case}_grad"], TOLERANCE[dtype])


def published_cross_comparison(p: Tensor, t: Tensor) -> Tensor:
    """The published loss of a pair, both predictions against both targets, positives counted once."""
    pairs = (len(p), *p.shape)
    targets = t.reshape(p.shape)[None].expand(pairs)
    return len(p) * focal_loss(p[:, None].expand(pairs), targets)


def test_focal_of_a_pair_has_no_cross_terms(arrays: dict[str, np.ndarray]) -> None:
    p, t = _leaf(arrays["pu_pred"]), torch.from_numpy(arrays["pn_gt"])
    assert_near(focal_loss(p, t), arrays["focal_pair_value_without_cross_terms"], 1e-10)
    crossed = published_cross_comparison(p, t)
    crossed.backward()
    assert_near(crossed, arrays["focal_pair_value"], 1e-10)
    assert_near(p.grad, arrays["focal_pair_grad"], 1e-10)


@DTYPES
@pytest.mark.parametrize("tau", [0.01, 0.1, 0.5])
def test_generalised_expectation(arrays: dict[str, np.ndarray], tau: float, dtype: torch.dtype) -> None:
    p = _leaf(arrays["pu_pred"], dtype)
    loss = puge_loss(p, torch.from_numpy(arrays["pu_gt"]).to(dtype), tau)
    loss.backward()
    name = f"puge_tau{tau}_{str(dtype).removeprefix('torch.')}"
    # The published program computes k and the binomial in float32.
    assert_near(loss, arrays[f"{name}_value"], 1e-5)
    assert_near(p.grad, arrays[f"{name}_grad"], 1e-5)


def test_consistency(arrays: dict[str, np.ndarray]) -> None:
    a, b = _leaf(arrays["cons_a"]), _leaf(arrays["cons_b"])
    loss = consistency_loss(a, b)
    loss.backward()
    assert_near(loss, arrays["cons_value"], 1e-10)
    assert_near(a.grad, arrays["cons_grad_a"], 1e-10)
    assert_near(b.grad, arrays["cons_grad_b"], 1e-10)


@DTYPES
@pytest.mark.parametrize("flip", ["flipx", "flipy"])
@pytest.mark.parametrize("kind", ["pu", "pn", "ge"])
def test_whole_criterion(arrays: dict[str, np.ndarray], kind: str, flip: str, dtype: torch.dtype) -> None:
    names = ("logits", "feat", "logits_aug", "feat_aug")
    inputs = [_leaf(arrays[f"full_{name}"], dtype) for name in names]
    target = torch.from_numpy(arrays["full_gt_pn" if kind == "pn" else "full_gt_pu"]).to(dtype)
    output, mirrored = (inputs[0], inputs[1]), (inputs[2], inputs[3])
    options = PublishedLoss(kind=kind, tau=0.02)
    parts = published_criterion(output, mirrored, target, options, flip_y=flip == "flipy")
    heat_map = parts.heat_map
    if kind == "pn":
        heat_map = published_cross_comparison(clamped(inputs[0].sigmoid()), target)
    total = parts.total - parts.heat_map + heat_map
    total.backward()
    tolerance = max(TOLERANCE[dtype], 1e-5 if kind == "ge" else 0.0)
    found = torch.stack([total, heat_map, parts.contrastive, parts.consistency]).detach().double()
    np.testing.assert_allclose(found, arrays[f"full_{kind}_{flip}_loss_hm_cr_consis"], rtol=tolerance)
    for name, leaf in zip(names, inputs):
        assert_near(leaf.grad, arrays[f"full_{kind}_{flip}_grad_{name}"], tolerance, name)


def test_criterion_without_contrastive_is_the_heat_map_loss(arrays: dict[str, np.ndarray]) -> None:
    logits, embedding = _leaf(arrays["full_logits"]), _leaf(arrays["full_feat"])
    target, options = torch.from_numpy(arrays["full_gt_pu"]), PublishedLoss(tau=0.02, contrastive=False)
    parts = published_criterion((logits, embedding), None, target, options, flip_y=False)
    assert_near(parts.total, arrays["full_pu_flipx_loss_hm_cr_consis"][1], 1e-10)
    parts.total.backward()
    assert logits.grad is not None and embedding.grad is None


def test_soft_focal_equals_its_formula() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = (4 * torch.randn(2, 1, 3, 5, 6, generator=generator, dtype=torch.float64)).requires_grad_()
    target = torch.rand(2, 1, 3, 5, 6, generator=generator, dtype=torch.float64)
    positive = torch.rand(target.shape, generator=generator) < 0.1
    loss = soft_focal_loss(logits, target, positive)
    loss.backward()
    again = logits.detach().clone().requires_grad_()
    p = again.sigmoid()
    hits = ((1 - p[positive]) ** 2 * p[positive].log()).sum()
    rest = ~positive
    misses = ((1 - target[rest]) ** 4 * p[rest] ** 2 * (1 - p[rest]).log()).sum()
    wanted = -(hits + misses) / positive.sum()
    wanted.backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-12, atol=0)
    torch.testing.assert_close(logits.grad, again.grad, rtol=1e-9, atol=1e-14)


def test_soft_focal_stays_finite_and_keeps_pulling() -> None:
    """A saturated voxel must still be corrected: the clamp of the published map would silence it."""
    logits = torch.tensor([-200.0, 200.0, -200.0, 200.0], requires_grad=True)
    positive = torch.tensor([True, False, False, True])
    loss = soft_focal_loss(logits, torch.zeros(4), positive)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(200.0)
    np.testing.assert_allclose(logits.grad, [-0.5, 0.5, 0.0, 0.0], atol=1e-6)
    nothing = soft_focal_loss(torch.zeros(4), torch.zeros(4), torch.zeros(4, dtype=torch.bool))
    assert float(nothing) == pytest.approx(4 * 0.25 * np.log(2.0))


def test_refusals(arrays: dict[str, np.ndarray]) -> None:
    p = torch.from_numpy(arrays["pu_pred"])
    with pytest.raises(CheckError, match="no positive voxel"):
        pu_focal_loss(p, -torch.ones(p.shape), 0.1)
    for loss in (focal_loss, lambda a, b: pu_focal_loss(a, b, 0.1), lambda a, b: puge_loss(a, b, 0.1)):
        with pytest.raises(InputError, match="same voxels"):
            loss(p, torch.from_numpy(arrays["pu_gt"])[:, :1])
    with pytest.raises(InputError, match="same shape"):
        soft_focal_loss(p, p[0], p > 0.5)
    for options in ({"kind": "spike"}, {"tau": 1.0}, {"temperature": 0.0}):
        with pytest.raises(UsageError):
            PublishedLoss(**options)  # type: ignore[arg-type]
