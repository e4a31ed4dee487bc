"""The methods that tune weights of the backbone: all of them, the biases alone, or low-rank updates (LoRA)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from promptbank.errors import TrainingError
from promptbank.lab.methods.tuning import TuningMethod
from promptbank.model.forward import vocabulary_layers
from promptbank.model.lora import LoraLayer

__all__ = ["LORA_TARGETS", "BitFit", "FullTuning", "Lora"]

LORA_TARGETS = ("q_proj", "v_proj", "c_attn")
"""Names of the adapted modules: query and value projections, or GPT-2's fused attention projection."""


@dataclass(frozen=True)
class FullTuning(TuningMethod):
    """Learns all weights, so a task costs a whole model.

    Attributes:
        embeddings: learn the vocabulary tables (input and output) too; in gemma-3-270m they are 168 of 268 million
            parameters.
    """

    embeddings: bool = True

    training: ClassVar = {"lr": 5e-5}

    def prepare(self, model: nn.Module, _seed: int) -> None:
        """Let the weights learn."""
        model.requires_grad_(True)
        for table in () if self.embeddings else vocabulary_layers(model):
            table.requires_grad_(False)


@dataclass(frozen=True)
class BitFit(TuningMethod):
    """Learns the biases alone, the parameters named ``....bias`` (Ben Zaken et al. 2021, arXiv 2106.10199)."""

    training: ClassVar = {"lr": 1e-3}

    def prepare(self, model: nn.Module, _seed: int) -> None:
        """Let the biases learn."""
        biases = [parameter for name, parameter in model.named_parameters() if name.endswith(".bias")]
        if not biases:
            raise TrainingError(
                f"{type(model).__name__} has no bias (Llama and Gemma kinds have none), so BitFit has nothing to "
                "learn; leave bitfit out of --methods, or use a GPT-2 kind"
            )
        for bias in biases:
            bias.requires_grad_(True)


@dataclass(frozen=True)
class Lora(TuningMethod):
    """Learns low-rank updates of the query and value projections (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = 16
    alpha: float = 32
    dropout: float = 0.05

    training: ClassVar = {"lr": 1e-3}

    def prepare(self, model: nn.Module, seed: int) -> None:
        """Put a `LoraLayer` in the place of every target."""
        generator = torch.Generator().manual_seed(seed)
        found = list(_lora_places(model))
        if not found:
            raise TrainingError(
                f"{type(model).__name__} has no module named {', '.join(LORA_TARGETS)}, so LoRA has nothing to adapt; "
                "leave lora out of --methods"
            )
        for parent, name, base in found:
            layer = LoraLayer(base, rank=self.rank, alpha=self.alpha, dropout=self.dropout, generator=generator)
            setattr(parent, name, layer)


def _lora_places(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear | Conv1D]]:
    for parent in model.modules():
        for name, module in parent.named_children():
            if name in LORA_TARGETS and isinstance(module, (nn.Linear, Conv1D)):
                yield parent, name, module
