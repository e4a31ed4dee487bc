"""LoRA as a method to compare with: low-rank updates of the query and value projections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from promptbank.errors import TrainingError
from promptbank.lab.methods.tuning import TuningMethod
from promptbank.model.lora import LoraLayer

__all__ = ["TARGETS", "Lora"]

TARGETS = ("q_proj", "v_proj", "c_attn")
"""Names of the adapted modules: query and value projections, or GPT-2's fused attention projection."""


@dataclass(frozen=True)
class Lora(TuningMethod):
    """Learns A and B of the query and value projections."""

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.05

    training: ClassVar = {"lr": 1e-3}

    def prepare(self, model: nn.Module, seed: int) -> None:
        """Put a `LoraLayer` in the place of every target."""
        generator = torch.Generator().manual_seed(seed)
        found = list(_places(model))
        if not found:
            raise TrainingError(
                f"{type(model).__name__} has no module named {', '.join(TARGETS)}, so LoRA has nothing to adapt; "
                "leave lora out of --methods"
            )
        for parent, name, base in found:
            layer = LoraLayer(base, rank=self.rank, alpha=self.alpha, dropout=self.dropout, generator=generator)
            setattr(parent, name, layer)


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear | Conv1D]]:
    for parent in model.modules():
        for name, module in parent.named_children():
            if name in TARGETS and isinstance(module, (nn.Linear, Conv1D)):
                yield parent, name, module
