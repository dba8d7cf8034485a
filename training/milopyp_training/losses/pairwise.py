"""Similarities of all pairs of embeddings, one block of rows at a time.

The contrastive losses need, for each row i of E_ij = exp(F_i . F_j / T - m_i), sums over some
columns, and the gradient of a loss that depends on the row's sums. Both come out of one pass in
which a block of rows exists only until it has been used: three matrix products per block, no
N x N matrix and no second evaluation for the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ROWS = 256
"""Rows held at a time: 25 MB in float32 for the 24,576 columns of a published patch pair."""


class Similarity:
    """Rows of exp(S_ij - m_i), block by block, with the gradient of weighted row sums."""

    def __init__(self, features: Tensor, labels: Tensor, temperature: float) -> None:
        self.features, self.labels, self.temperature = features, labels, temperature
        self.count = len(features)
        self.device = features.device
        self.everything = torch.arange(self.count, device=self.device)
        self.partner = self.everything.roll(self.count // 2)
        fixed = features.detach()
        self.maximum = _row_maxima(fixed, temperature)
        # One more channel subtracts m_i within the product, and sums the rows within the next one.
        self.left = torch.cat([fixed / temperature, -self.maximum[:, None]], dim=1)
        self.right = torch.cat([fixed, torch.ones_like(fixed[:, :1])], dim=1)

    @torch.no_grad()
    def partner_term(self, rows: Tensor) -> Tensor:
        """E_{i j(i)} for the given rows."""
        return (self.left[rows] * self.right[self.partner[rows]]).sum(1).exp()

    def scale(self, rows: Tensor, columns: Tensor, with_partner: bool) -> Tensor:
        """Factor (R,) that makes each row's sum in `reduce` an unbiased estimate of that over all columns."""
        drawn = torch.zeros_like(self.maximum)
        drawn[columns] = 1.0
        left_out = drawn[rows] if with_partner else drawn[rows] + drawn[self.partner[rows]]
        possible = self.count - (1 if with_partner else 2)
        return possible / (len(columns) - left_out).clamp(min=1.0)

    @torch.no_grad()
    def reduce(
        self,
        rows: Tensor,
        columns: Tensor,
        coefficient: Callable[[slice, Tensor], Tensor | None],
        with_partner: bool,
    ) -> Tensor:
        """Sum each row's exponentials and differentiate a weighted sum of them.

        `coefficient` gets a slice of `rows` and r_i = sum over `columns` of E_ij without j = i
        (and without the partner unless `with_partner`), and returns the derivative of the loss
        with respect to r_i, or None where none is wanted. Returned is the resulting gradient
        (N, C) with respect to the embeddings. `rows` and `columns` hold each index once.
        """
        gradient = torch.zeros_like(self.features)
        if len(rows) == 0 or len(columns) == 0:
            return gradient
        right, width = self.right[columns], min(BLOCK_ROWS, len(rows))
        column_gradient = torch.zeros_like(right[:, :-1])
        # Absent voxels are looked up in a last line that nothing reads.
        position = torch.full((self.count,), len(columns), device=self.device)
        position[columns] = self.everything[: len(columns)]
        buffer = right.new_empty((len(columns) + 1) * width)
        for start in range(0, len(rows), width):
            block = slice(start, min(start + width, len(rows)))
            index = rows[block]
            table = buffer[: (len(columns) + 1) * len(index)].view(-1, len(index))
            term, here = table[:-1], self.everything[: len(index)]
            # Columns first: this layout makes all three products fast (1.3 instead of 1.6 s).
            torch.mm(right, self.left[index].T, out=term)
            term.exp_()
            table[position[index], here] = 0.0
            if not with_partner:
                table[position[self.partner[index]], here] = 0.0
            moments = term.T @ right
            weight = coefficient(block, moments[:, -1])
            if weight is not None:
                weight = weight[:, None] / self.temperature
                gradient[index] += weight * moments[:, :-1]
                column_gradient.addmm_(term, weight * self.right[index, :-1])
        gradient[columns] += column_gradient
        return gradient


def _row_maxima(features: Tensor, temperature: float) -> Tensor:
    """m_i = max_j F_i . F_j / T, (N,)."""
    norm = features.norm(dim=1)
    # |F_i . F_j| <= |F_i| |F_j|: for equal norms, as unit embeddings have, the diagonal is the
    # maximum and a pass over all pairs is saved.
    if float(norm.max() - norm.min()) <= 16.0 * torch.finfo(norm.dtype).eps * float(norm.max()):
        return norm.square() / temperature
    rows = [(block @ features.T).amax(dim=1) for block in features.split(BLOCK_ROWS)]
    return torch.cat(rows) / temperature


class _Attach(torch.autograd.Function):
    """A known value with known gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: tuple[Tensor, ...], *inputs: Tensor) -> Tensor:
        ctx.save_for_backward(*gradients)
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(upstream * gradient for gradient in ctx.saved_tensors))


def attach_gradients(value: Tensor, *pairs: tuple[Tensor, Tensor]) -> Tensor:
    """Scalar that has `value` and, for each (tensor, gradient), that gradient."""
    return _Attach.apply(value, tuple(gradient for _, gradient in pairs), *(tensor for tensor, _ in pairs))
