"""Full fine-tuning: every weight learns, so a task costs a whole model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from promptbank.lab.methods.tuning import TuningMethod
from promptbank.model.forward import vocabulary_layers

__all__ = ["FullTuning"]


@dataclass(frozen=True)
class FullTuning(TuningMethod):
    """Learns all weights.

    Attributes:
        embeddings: learn the vocabulary tables (input and output) too; in gemma-3-270m they are 168 of 268 million
            parameters.
    """

    embeddings: bool = True

    training: ClassVar = {"lr": 5e-5}

    def prepare(self, model: nn.Module, _seed: int) -> None:
        """Let the weights learn."""
        model.requires_grad_(True)
        if not self.embeddings:
            for table in vocabulary_layers(model):
                table.requires_grad_(False)
