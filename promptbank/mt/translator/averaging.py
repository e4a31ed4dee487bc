"""Weights of several evaluations, kept beside the checkpoints to be averaged."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import Checkpoint, Checkpoints, learnt, read_tensors, write_tensors

__all__ = ["TranslatorCheckpoints", "mean_of"]


class TranslatorCheckpoints(Checkpoints):
    """The checkpoints of a translator's training, and the weights that it keeps to be averaged."""

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint; remove the oldest, and kept weights that it no longer speaks of."""
        super().save(state)
        oldest = self._kept(min(state.position["kept"], default=state.step))
        for path in self.folder.glob("kept-*.safetensors"):
            if path < oldest:
                path.unlink()

    def keep_weights(self, model: nn.Module, step: int) -> None:
        """Keep what a model has learnt after so many steps."""
        write_tensors(self._kept(step), learnt(model), {})

    def kept(self, steps: Sequence[int]) -> list[dict[str, Tensor]]:
        """Return the weights that were kept after so many steps each."""
        return [read_tensors(self._kept(step))[0] for step in steps]

    def clear(self) -> None:
        """Remove everything."""
        for path in self.folder.glob("kept-*.safetensors"):
            path.unlink()
        super().clear()

    def _kept(self, step: int) -> Path:
        return self.folder / f"kept-{step:08d}.safetensors"


def mean_of(several: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor, summed in float64.

    Raises:
        TrainingError: there is nothing to average.
    """
    if not several:
        raise TrainingError("no weights were kept to be averaged; use --average 1")
    return {
        name: torch.stack([tensors[name].double() for tensors in several]).mean(0).to(first.dtype)
        for name, first in several[0].items()
    }
