"""Contrastive losses against the published values and gradients, and the sampled form against the exact one."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from milopyp_shared.errors import CheckError, InputError
from milopyp_training.losses import pairwise
from milopyp_training.losses.contrastive import Sampling, debiased_contrastive, supervised_contrastive

INPUTS = ("feat", "feat_aug", "pred", "pred_aug")
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["float64", "float32"])


@pytest.fixture(scope="module")
def arrays(golden: Path) -> dict[str, np.ndarray]:
    return dict(np.load(golden / "losses.npz"))


def _near(found: Tensor | None, wanted: np.ndarray | Tensor, relative: float, name: str = "") -> None:
    wanted = np.asarray(wanted)
    values = np.zeros_like(wanted) if found is None else found.detach().double().numpy()
    np.testing.assert_allclose(values, wanted, rtol=0, atol=relative * max(np.abs(wanted).max(), 1e-300), err_msg=name)


def _leaves(arrays: dict[str, np.ndarray], case: str, names: tuple[str, ...], dtype: torch.dtype) -> list[Tensor]:
    return [torch.from_numpy(arrays[f"{case}_{name}"]).to(dtype).requires_grad_() for name in names]


@DTYPES
@pytest.mark.parametrize("block", [7, pairwise.BLOCK_ROWS])
@pytest.mark.parametrize("case", range(9))
def test_debiased(
    arrays: dict[str, np.ndarray], case: int, block: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairwise, "BLOCK_ROWS", block)
    thresh, temperature, tau = arrays[f"unb{case}_params"]
    labels = torch.from_numpy(arrays[f"unb{case}_labels"]).to(dtype)
    for part, name in enumerate(("sup", "unsup")):
        f, f_flipped, p, p_flipped = leaves = _leaves(arrays, f"unb{case}", INPUTS, torch.float64)
        # Converted after the leaf: the probability classes are those of the float64 values.
        if dtype == torch.float32:
            leaves = [leaf.detach().float().requires_grad_() for leaf in leaves]
            f, f_flipped, p, p_flipped = leaves
        value = debiased_contrastive(
            f, f_flipped, labels, p, p_flipped, thresh=thresh, temperature=temperature, tau=tau
        )[part]
        value.backward()
        _near(value, arrays[f"unb{case}_{name}_value"], TOLERANCE[dtype])
        for key, leaf in zip(INPUTS, leaves):
            _near(leaf.grad, arrays[f"unb{case}_{name}_grad_{key}"], TOLERANCE[dtype], f"{name} {key}")


@DTYPES
@pytest.mark.parametrize("case", range(2))
def test_supervised(arrays: dict[str, np.ndarray], case: int, dtype: torch.dtype) -> None:
    thresh, temperature = arrays[f"supcon{case}_params"]
    f, f_flipped = _leaves(arrays, f"supcon{case}", ("feat", "feat_aug"), dtype)
    labels = torch.from_numpy(arrays[f"supcon{case}_labels"]).to(dtype)
    value = supervised_contrastive(f, f_flipped, labels, thresh=thresh, temperature=temperature)
    (3 * value).backward()
    _near(value, arrays[f"supcon{case}_value"], TOLERANCE[dtype])
    _near(f.grad, 3 * arrays[f"supcon{case}_grad_feat"], TOLERANCE[dtype])
    _near(f_flipped.grad, 3 * arrays[f"supcon{case}_grad_feat_aug"], TOLERANCE[dtype])


def _exponentials(f: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """s_ij with zero diagonal and m_i, as whole matrices."""
    s = f @ f.T / temperature
    top = s.detach().amax(1, keepdim=True)
    return torch.where(torch.eye(len(f), dtype=torch.bool), torch.zeros_like(s), s - top), top


def _dense_debiased(f: Tensor, labels: Tensor, p: Tensor, thresh: float, t: float, tau: float) -> tuple[Tensor, Tensor]:
    """The published formulas word by word, with N x N matrices and automatic gradients."""
    count = len(f)
    e = _exponentials(f, t)[0].exp()
    positive, free, other = labels > thresh, labels < 0, labels < thresh

    def ratio(a: Tensor, b: Tensor, w: float) -> Tensor:
        g = torch.clamp((b - w * a) / (1 - w), min=float(np.exp(-1 / t)))
        return -(a / (a + g)).log()

    a = e[positive][:, positive].sum(1) / (positive.sum() - 1)
    supervised = ratio(a, e[positive][:, other].sum(1) / other.sum(), tau).mean()
    here = torch.arange(count)
    partner = (here + count // 2) % count
    a = e[here, partner]
    b = (e.sum(1) - a) / (count - positive.sum())
    plus, minus = p * ratio(a, b, tau), (1 - p) * ratio(a, b, 1 - tau)
    terms = [plus[free & (p > 0.99)], minus[free & (p < 0.01)], (plus + minus)[free & (p > 0.01) & (p < 0.99)]]
    return supervised, torch.stack([term.mean() for term in terms if len(term)]).sum()


def _patch(n: int, dtype: torch.dtype, spread: float = 0.2) -> list[Tensor]:
    """Embeddings in a few clusters, and probabilities and labels of all kinds."""
    g = torch.Generator().manual_seed(n)
    centre = torch.randn(5, 16, generator=g, dtype=dtype)[torch.randint(5, (n,), generator=g)]
    centre = centre + 3 * torch.randn(16, generator=g, dtype=dtype)
    branches = [
        functional.normalize(centre + spread * torch.randn(n, 16, generator=g, dtype=dtype), dim=1) for _ in range(2)
    ]
    chances = [torch.sigmoid(4 * torch.randn(n, generator=g, dtype=dtype)).clamp(1e-4, 1 - 1e-4) for _ in range(2)]
    labels = torch.full((n,), -1.0, dtype=dtype)
    labels[: n // 10] = 0.8 * torch.rand(n // 10, generator=g, dtype=dtype)
    labels[: max(n // 60, 2)] = 1.0
    return [labels, *(x.requires_grad_() for x in (*branches, *chances))]


@pytest.mark.parametrize("norms", ["unit", "any"])
def test_many_blocks_equal_whole_matrices(norms: str) -> None:
    """Several blocks, and embeddings whose row maximum is not the diagonal."""
    labels, *leaves = _patch(330, torch.float64)
    if norms == "any":
        stretch = torch.linspace(0.5, 1.5, 330, dtype=torch.float64)[:, None]
        leaves[:2] = [(leaf.detach() * stretch).requires_grad_() for leaf in leaves[:2]]
    f, f_flipped, p, p_flipped = leaves
    found = debiased_contrastive(f, f_flipped, labels, p, p_flipped, thresh=0.85, temperature=0.3, tau=0.05)
    gradients = torch.autograd.grad(found[0] + 2 * found[1], leaves)
    dense = _dense_debiased(torch.cat([f, f_flipped]), labels.repeat(2), torch.cat([p, p_flipped]), 0.85, 0.3, 0.05)
    for mine, wanted in zip(found, dense):
        _near(mine, wanted.detach(), 1e-11)
    for mine, wanted in zip(gradients, torch.autograd.grad(dense[0] + 2 * dense[1], leaves)):
        _near(mine, wanted, 1e-9)


def test_sampling_everything_is_exact() -> None:
    labels, f, f_flipped, p, p_flipped = _patch(200, torch.float64)
    options = {"thresh": 0.85, "temperature": 0.1, "tau": 0.01}
    sample = Sampling(torch.Generator().manual_seed(1), anchors=400, columns=400)
    exact = debiased_contrastive(f, f_flipped, labels, p, p_flipped, **options)
    drawn = debiased_contrastive(f, f_flipped, labels, p, p_flipped, **options, sample=sample)
    torch.testing.assert_close(drawn, exact, rtol=1e-12, atol=0)
    del options["tau"]
    torch.testing.assert_close(
        supervised_contrastive(f, f_flipped, labels, **options, sample=sample),
        supervised_contrastive(f, f_flipped, labels, **options),
        rtol=1e-12,
        atol=0,
    )


def test_sampled_form_estimates_value_and_gradient() -> None:
    """Mean over draws: value within 2 %, gradient of the right direction and size; equal seeds, equal draws."""
    labels, f, f_flipped, p, p_flipped = _patch(1200, torch.float64)
    leaves = [f, f_flipped]

    def losses(sample: Sampling | None) -> list[Tensor]:
        parts = debiased_contrastive(
            f, f_flipped, labels, p, p_flipped, thresh=0.85, temperature=0.1, tau=0.01, sample=sample
        )
        return [*parts, supervised_contrastive(f, f_flipped, labels, thresh=0.85, temperature=0.1, sample=sample)]

    def with_gradients(sample: Sampling | None) -> list[tuple[Tensor, Tensor]]:
        return [(x.detach(), torch.cat(torch.autograd.grad(x, leaves)).flatten()) for x in losses(sample)]

    generator = torch.Generator().manual_seed(5)
    draws = [with_gradients(Sampling(generator, anchors=200, columns=400)) for _ in range(48)]
    for part, (value, gradient) in enumerate(with_gradients(None)):
        values = torch.stack([draw[part][0] for draw in draws])
        mean = torch.stack([draw[part][1] for draw in draws]).mean(0)
        assert float(values.mean() / value) == pytest.approx(1.0, abs=0.02), part
        assert float(values.std() / value.abs()) < 0.1
        assert float(functional.cosine_similarity(mean, gradient, dim=0)) > 0.97
        assert float(mean.norm() / gradient.norm()) == pytest.approx(1.0, abs=0.06)
    again = losses(Sampling(torch.Generator().manual_seed(5), anchors=200, columns=400))
    torch.testing.assert_close(again, [value for value, _ in draws[0]], rtol=0, atol=0)


def test_published_size_fits_in_memory() -> None:
    """24,576 rows: one matrix of all pairs alone would take 2.4 GB, and the published step 16 GB."""
    labels, *leaves = _patch(6 * 64 * 32, torch.float32)
    f, f_flipped, p, p_flipped = leaves
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = {"thresh": 0.85, "temperature": 0.07, "tau": 0.01}
    exact = debiased_contrastive(f, f_flipped, labels, p, p_flipped, **options)
    gradients = torch.autograd.grad(exact[0] + 0.1 * exact[1], leaves)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    drawn = debiased_contrastive(
        f, f_flipped, labels, p, p_flipped, **options, sample=Sampling(torch.Generator().manual_seed(2))
    )
    for mine, wanted in zip(drawn, exact):
        assert float(mine.detach()) == pytest.approx(float(wanted.detach()), rel=0.1)


def test_nothing_unlabelled_leaves_the_second_part_out() -> None:
    labels, f, f_flipped, p, p_flipped = _patch(60, torch.float64)
    _, second = debiased_contrastive(
        f, f_flipped, labels.clamp(min=0), p, p_flipped, thresh=0.85, temperature=0.1, tau=0.01
    )
    second.backward()
    assert float(second.detach()) == 0.0 and f.grad is not None and not f.grad.any()


def test_refusals() -> None:
    labels, f, f_flipped, p, p_flipped = _patch(60, torch.float64)
    options = {"thresh": 0.85, "temperature": 0.1}
    for bad, message in ((torch.full_like(labels, -1), "no positive voxel"), (torch.ones(60), "every voxel")):
        with pytest.raises(CheckError, match=message):
            debiased_contrastive(f, f_flipped, bad, p, p_flipped, tau=0.01, **options)
        with pytest.raises(CheckError, match=message):
            supervised_contrastive(f, f_flipped, bad, **options)
    with pytest.raises(InputError, match="59 labels"):
        supervised_contrastive(f, f_flipped, labels[1:], **options)
    with pytest.raises(InputError, match="119 probabilities"):
        debiased_contrastive(f, f_flipped, labels, p[1:], p_flipped, tau=0.01, **options)
