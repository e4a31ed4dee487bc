"""BitFit (Ben Zaken et al. 2021, arXiv 2106.10199): only the biases learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from promptbank.errors import TrainingError
from promptbank.lab.methods.tuning import TuningMethod

__all__ = ["BitFit"]


@dataclass(frozen=True)
class BitFit(TuningMethod):
    """Learns the parameters of which the name ends in ``.bias``."""

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
