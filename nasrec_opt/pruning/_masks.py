"""Masks that a model learns for its weights while it is trained (paper, equations 5 and 6)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, WeightReader, axes_of

# Weights that get a mask: of FC, EFC, the dot product's projections, and both mergers. Units of
# Gate, Sum and attention are removed along with those of the operators that they are added to.
PRUNED = (
    ".dense.fc.project.", ".sparse.efc.project.", ".dense.dot.balance.", ".dense.dot.vector.",
    ".dense.dot.output", ".fm.output", ".rows.output",
)  # fmt: skip


def pruned_weights(subnet: Subnet) -> dict[str, nn.Parameter]:
    """List the weight matrices that pruning looks at.

    Args:
        subnet: The model.

    Returns:
        The matrices by name, `[outputs, inputs]` each.
    """
    axes = axes_of(subnet)
    return {
        name: weight
        for name, weight in subnet.named_parameters()
        if name in axes and any(part in name for part in PRUNED)
    }


class MaskGenerator(nn.Module):
    """Makes the mask of one weight matrix W: M = sigmoid(W2 ReLU(W1 W)) (equation 5).

    The matrix is read as data: the gradient of a mask goes to W1 and W2 alone.

    Args:
        outputs: Rows of the matrix.
        expansion: Rows of W1 for each row of the matrix.
        generator: Draws W1 and W2, Xavier-uniform.
    """

    def __init__(self, outputs: int, expansion: int, generator: torch.Generator) -> None:
        super().__init__()
        hidden = expansion * outputs
        bound = math.sqrt(6 / (outputs + hidden))
        first = torch.empty(hidden, outputs).uniform_(-bound, bound, generator=generator)
        second = torch.empty(outputs, hidden).uniform_(-bound, bound, generator=generator)
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)

    def forward(self, weight: Tensor) -> Tensor:
        """Make the mask.

        Args:
            weight: The matrix, `[outputs, inputs]`.

        Returns:
            Values in (0, 1), `[outputs, inputs]`.
        """
        hidden = torch.relu(self.first @ weight.detach())
        return torch.sigmoid(self.second @ hidden)


class MaskReader(WeightReader):
    """Reads weights times their masks (equation 6).

    Args:
        masks: What makes the mask of a weight, by the weight's `id`; other weights have none.
    """

    def __init__(self, masks: Mapping[int, nn.Module]) -> None:
        self._masks = masks

    def weight(self, whole: Tensor, *index: slice) -> Tensor:
        """Read a slice.

        Args:
            whole: The whole weight.
            index: One slice per dimension.

        Returns:
            The slice, masked.
        """
        mask = self._masks.get(id(whole))
        return whole[index] if mask is None else (mask(whole) * whole)[index]


class MaskedSubnet(Subnet):
    """A subnet whose weights are read through masks that are trained with them.

    Args:
        subnet: Its architecture and its first weights; it stays as it is.
        expansion: Hidden units of a mask's MLP for each row of its matrix.
        seed: Seed of the masks' first weights.
    """

    def __init__(self, subnet: Subnet, *, expansion: int, seed: int) -> None:
        super().__init__(
            subnet.genotype,
            subnet.features,
            None,
            max_table_rows=subnet.max_table_rows,
            balance=subnet.balance,
            initialization=subnet.initialization,
            layer_norm=subnet.layer_norm,
        )
        self.load_state_dict(subnet.state_dict())
        self.masks = nn.ModuleDict()
        for name, weight in pruned_weights(self).items():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}.{name}".encode()))
            # A name of a module has no dots.
            self.masks[_key(name)] = MaskGenerator(len(weight), expansion, generator)
        self.to(next(subnet.parameters()).device)

    def logits(
        self,
        genotype: Genotype,
        dense: Tensor,
        embedded: Tensor,
        reader: WeightReader | None = None,
        *,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits with masked weights.

        Args:
            genotype: The subnet.
            dense: float32 `[batch, num_dense]`.
            embedded: As `embed` returns it.
            reader: Ignored once there are masks.
            weights: As `first_order_of` returns them; only a model with that term needs them.

        Returns:
            Logits, float32 `[batch]`.
        """
        if hasattr(self, "masks"):  # weights are counted before there are any
            made = pruned_weights(self)
            reader = MaskReader({id(w): self.masks[_key(name)] for name, w in made.items()})
        assert reader is not None
        return super().logits(genotype, dense, embedded, reader, weights=weights)

    def mask_values(self) -> dict[str, Tensor]:
        """Compute the masks.

        Returns:
            The masks by name of their weight matrix, in (0, 1), `[outputs, inputs]` each.
        """
        with torch.no_grad():
            return {name: self.masks[_key(name)](w) for name, w in pruned_weights(self).items()}


def _key(name: str) -> str:
    return name.replace(".", "/")
