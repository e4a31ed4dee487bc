"""The layers of a low-rank update: LoRA (Hu et al. 2021, arXiv 2106.09685), y = W x + (alpha / r) B A dropout(x).

A (r, in) is drawn as in Kaiming uniform with a = sqrt(5), B (out, r) is zero, so step 0 is the backbone itself. Own
code because PEFT is no dependency; a test holds it against PEFT.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

__all__ = ["LoraLayer", "lora_layers", "merge"]


class LoraLayer(nn.Module):
    """A projection with a low-rank addition.

    Args:
        base: the projection; stays as it is until `merge`.
        rank: r.
        alpha: the addition is scaled by ``alpha / rank``.
        dropout: share of the addition's inputs that are dropped in training.
        generator: draws A.
    """

    def __init__(
        self, base: nn.Linear | Conv1D, *, rank: int, alpha: float, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.base, self.scale, self.dropout = base, alpha / rank, dropout
        weight = _out_in(base)
        outputs, inputs = weight.shape
        self.a = nn.Parameter(torch.empty(rank, inputs, dtype=weight.dtype))
        self.b = nn.Parameter(torch.zeros(outputs, rank, dtype=weight.dtype))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5), generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projection of x (..., in) with its addition, (..., out)."""
        kept = functional.dropout(x, self.dropout, self.training)
        low = functional.linear(functional.linear(kept, self.a), self.b)  # (..., out)
        out: Tensor = self.base(x)
        return out + self.scale * low

    @torch.no_grad()
    def delta(self) -> Tensor:
        """Return what the addition adds to W, (out, in)."""
        return self.scale * (self.b @ self.a)


def lora_layers(model: nn.Module) -> list[LoraLayer]:
    """Return the adapted projections, in the model's order."""
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


@torch.no_grad()
def merge(model: nn.Module) -> None:
    """Add every addition to its weight and put the plain projections back; the outputs stay."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, LoraLayer):
                _out_in(layer.base).add_(layer.delta())
                setattr(parent, name, layer.base)


def _out_in(base: nn.Linear | Conv1D) -> Tensor:
    """The weight as (out, in), sharing memory; Conv1D keeps it the other way round."""
    weight: Tensor = base.weight.data
    return weight if isinstance(base, nn.Linear) else weight.T
