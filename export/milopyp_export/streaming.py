"""Streaming inference: the sections of a volume all at once, or in chunks that come one after the other.

A network that mixes neighbouring sections needs, for a chunk of them, what came before. Computing it again costs more
than the chunk itself when memory is short; so every place that looks at neighbours keeps its last one or two sections
as *state*, from which the next chunk goes on. Results then have a *delay* of a few sections against the input, deeper
levels a longer one, and what was computed earlier is delayed to join them. No section is computed twice, memory does
not depend on the number of sections, and the result is that of the whole volume: sections that lie outside of it,
which delay and flushing bring in, are masked with the zeros that the network's own padding would put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """Sections at one place in a network.

    Attributes
    ----------
    x
        ``(z, c, h, w)``.
    level
        Poolings so far.
    delay
        Sections, of this level, by which it lags behind the input.
    """

    x: Tensor
    level: int = 0
    delay: int = 0

    def of(self, x: Tensor) -> Activation:
        """Other numbers at the same place."""
        return replace(self, x=x)


class FullVolume:
    """All sections of a volume at once: zeros around them, no delay."""

    def enter(self, sections: Tensor) -> Activation:
        """Sections ``(z, c, h, w)``, at the beginning of what looks at neighbours."""
        return self.mask_outside(Activation(sections))

    def leave(self, x: Tensor) -> Tensor:
        """One channel as ``(1, z, h, w)``."""
        return x.transpose(0, 1)

    def gather(self, x: Tensor) -> Tensor:
        """All channels as ``(1, c, z, h, w)``."""
        return x.unsqueeze(0).transpose(1, 2)

    def frame(self, x: Tensor) -> Tensor:
        """`x` with one section more on either side."""
        nothing = x.new_zeros((1, *x.shape[1:]))
        return torch.cat((nothing, x, nothing))

    def shifted_sum(self, before: Tensor, here: Tensor, after: Tensor) -> Tensor:
        """For every section: `before` of the previous one, `here` of itself, `after` of the next one."""
        return functional.pad(before, (0,) * 6 + (1, -1)) + here + functional.pad(after, (0,) * 6 + (-1, 1))

    def advance_delay(self, activation: Activation, x: Tensor) -> Activation:
        """`x`, which `frame` or `shifted_sum` made of `activation`, at its place."""
        return activation.of(x)

    def pool(self, activation: Activation) -> Activation:
        """Maximum of 2 x 2 x 2; an odd last one alone (nothing here is negative)."""
        activation = self.align(activation.of(functional.max_pool2d(activation.x, 2, ceil_mode=True)))
        x = activation.x
        framed = torch.cat((x, x.new_zeros((1, *x.shape[1:]))))
        return Activation(torch.maximum(x[0::2], framed[1::2]), activation.level + 1, activation.delay // 2)

    def align(self, activation: Activation) -> Activation:
        """`activation`, sections 2k and 2k + 1 of the volume in one chunk."""
        return activation

    def delay_to(self, activation: Activation, delay: int) -> Activation:
        """`activation` when it lags by `delay`."""
        return activation

    def mask_outside(self, activation: Activation) -> Activation:
        """Zeros in sections outside the volume."""
        return activation


class Streaming(FullVolume):
    """Chunks of sections, one call each.

    Parameters
    ----------
    position
        Scalar: the first section of this chunk in the volume.
    depth
        Scalar: sections of the volume; beyond it, chunks hold anything.
    states
        What the call before left in `after`; None begins with zeros.

    Attributes
    ----------
    after
        States for the next chunk.
    delay
        Sections by which the result lags behind the input.
    """

    def __init__(self, position: Tensor, depth: Tensor, states: Sequence[Tensor] | None = None) -> None:
        self.position, self.depth = position, depth
        self._states = None if states is None else list(states)
        self.after: list[Tensor] = []
        self.delay = 0

    def frame(self, x: Tensor) -> Tensor:
        """`x` after the two sections before it: one on either side of what lags by one."""
        return self.prepend_state(x, 2)

    def shifted_sum(self, before: Tensor, here: Tensor, after: Tensor) -> Tensor:
        """The same sum for the sections one earlier."""
        return self.prepend_state(before, 2)[:-2] + self.prepend_state(here, 1)[:-1] + after

    def advance_delay(self, activation: Activation, x: Tensor) -> Activation:
        """It lags by one section more."""
        self.delay = activation.delay + 1  # the network's, once it has come to its end
        return Activation(x, activation.level, self.delay)

    def align(self, activation: Activation) -> Activation:
        """An odd delay waits for one section more."""
        return self.delay_to(activation, activation.delay + activation.delay % 2)

    def delay_to(self, activation: Activation, delay: int) -> Activation:
        """`activation`, kept back until it lags by `delay`."""
        wait = delay - activation.delay
        if not wait:
            return activation
        return replace(activation, x=self.prepend_state(activation.x, wait)[:-wait], delay=delay)

    def mask_outside(self, activation: Activation) -> Activation:
        """Zeros where delay and flushing bring in sections outside the volume, as the network's padding has them."""
        x, scale = activation.x, 2**activation.level
        index = torch.arange(x.shape[0]) + torch.div(self.position, scale, rounding_mode="floor") - activation.delay
        depth = torch.div(self.depth + (scale - 1), scale, rounding_mode="floor")
        mask = ((index >= 0) & (index < depth)).to(x.dtype)
        return activation.of(x * mask.reshape(-1, 1, 1, 1))

    def prepend_state(self, x: Tensor, count: int) -> Tensor:
        """`x` after the `count` sections that came before it, of which the last `count` become the next chunk's."""
        before = x.new_zeros((count, *x.shape[1:])) if self._states is None else self._states.pop(0)
        joined = torch.cat((before, x))
        self.after.append(joined[-count:])
        return joined
