"""What is asked of a network, beside what its method trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from milopyp_shared.recipe import Geometry


class PickingNetwork(nn.Module, ABC):
    """A network that makes heat maps; ``forward`` is what its method trains.

    Attributes
    ----------
    architecture_options
        Its parameters, as the recipe keeps them and `milopyp_training.networks.registry` builds it again from them.
    """

    architecture_options: dict[str, int]

    @property
    def classes(self) -> int:
        """Of particles, each with a heat map."""
        return self.architecture_options.get("classes", 1)

    @abstractmethod
    def geometry(self) -> Geometry:
        """Halo, alignment and stride for tiles."""

    def picking_logits(self, sections: Tensor) -> Tensor:
        """Heat-map logits of grey levels.

        Parameters
        ----------
        sections
            Grey levels ``(b, z, y, x)``, 0..1.

        Returns
        -------
        Tensor
            ``(b, z', y', x')``, of several classes ``(b, classes, z', y', x')``: sizes divided by the stride of
            `geometry`, rounded up. What ``forward`` gives, unless a network says otherwise.
        """
        logits: Tensor = self(sections)
        return logits


def cut_to(x: Tensor, like: Tensor, axes: Sequence[int]) -> Tensor:
    """The first voxels of `x`, as many as `like` has along `axes`; what was pooled and up-sampled can have more.

    Not by slices, of which PyTorch before 2.13 does not know the size when it traces a network for any size of input;
    and also where nothing is cut, so that the graph has no branches.
    """
    for axis in axes:
        x = x.narrow(axis, 0, like.shape[axis])
    return x
