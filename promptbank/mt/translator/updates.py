"""What of the backbone learns to translate: all layers, or a low-rank addition to them; and either of them packed.

The vocabulary tables stay frozen in both: 168 of 268 million parameters of gemma-3-270m, and the same tokens in either
language.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from promptbank.errors import TrainingError
from promptbank.model.forward import vocabulary_layers
from promptbank.model.lora import LoraLayer, merge
from promptbank.mt.translator.coding import coding_of
from promptbank.training.checkpoint import load_learnt

__all__ = [
    "METHODS",
    "FullUpdate",
    "LowRankUpdate",
    "PackedUpdate",
    "Update",
    "linear_layers",
    "matrix_of",
    "update_of",
]

LORA_SEED = 20_231
"""Draws A; a constant, so that an update can be put into a fresh copy before its numbers are known."""


class Update(ABC):
    """A way to change a backbone: what learns, and how it becomes plain weights again.

    Attributes:
        lr: peak learning rate that suits it.
    """

    lr: ClassVar[float] = 2e-4

    @abstractmethod
    def prepare(self, model: nn.Module) -> None:
        """Mark what learns, adding it where it is not there yet.

        Args:
            model: a private copy in which nothing learns.
        """

    def load(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Write stored numbers into a prepared copy.

        Raises:
            TrainingError: they are not those of this backbone and update.
        """
        load_learnt(model, tensors)

    @abstractmethod
    def merge(self, model: nn.Module) -> None:
        """Make a prepared and learnt copy a plain model again that computes the same."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return the name and settings, to be stored beside the weights."""


@dataclass(frozen=True)
class FullUpdate(Update):
    """All weights but the vocabulary tables and learned positions."""

    def prepare(self, model: nn.Module) -> None:
        """Let them learn."""
        model.requires_grad_(True)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.requires_grad_(False)
        vocabulary_layers(model)[1].requires_grad_(False)

    def merge(self, _model: nn.Module) -> None:
        """Do nothing: it is one already."""

    def as_dict(self) -> dict[str, Any]:
        """Return the name."""
        return {"method": "full.v1"}


@dataclass(frozen=True)
class LowRankUpdate(Update):
    """LoRA on every linear layer but the head (Hu et al. 2021): 7.6 million parameters at rank 32 in gemma-3-270m."""

    # after 170,000 tokens dev loss 1.43 (2.42 at first) and not yet decayed; at 2e-4 1.48 (2.52) after its decay
    lr: ClassVar[float] = 8e-4
    rank: int = 32
    alpha: float = 64.0

    def prepare(self, model: nn.Module) -> None:
        """Put a `LoraLayer` in the place of every linear layer.

        Raises:
            TrainingError: the model has none.
        """
        generator = torch.Generator().manual_seed(LORA_SEED)
        head = vocabulary_layers(model)[1]
        places = [
            (parent, name, module)
            for parent in model.modules()
            for name, module in parent.named_children()
            if isinstance(module, nn.Linear) and module is not head
        ]
        if not places:
            raise TrainingError(f"{type(model).__name__} has no linear layers to adapt; use --method full")
        for parent, name, module in places:
            layer = LoraLayer(module, rank=self.rank, alpha=self.alpha, dropout=0.0, generator=generator)
            setattr(parent, name, layer)

    def merge(self, model: nn.Module) -> None:
        """Add the additions to the weights."""
        merge(model)

    def as_dict(self) -> dict[str, Any]:
        """Return name, rank and alpha."""
        return {"method": "lora.v1", **asdict(self)}


@dataclass(frozen=True)
class PackedUpdate(Update):
    """What either of the others changed, packed into few bytes (`promptbank.mt.translator.pack`); it does not learn."""

    coding: str = "int8.v1"

    def prepare(self, _model: nn.Module) -> None:
        """Do nothing: no parameter learns."""

    @torch.no_grad()
    def load(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Add the decoded changes to the weights, and write what was stored whole.

        Raises:
            TrainingError: a tensor belongs to no weight of this backbone, or to another coding.
        """
        coding, layers, parameters = coding_of(self.coding), linear_layers(model), dict(model.named_parameters())
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            weight, _, part = name.rpartition(".")
            if weight in layers and part in coding.names:
                parts.setdefault(weight, {})[part] = tensor
            elif name in parameters and parameters[name].shape == tensor.shape:
                parameters[name].copy_(tensor)
            else:
                raise TrainingError(f"the packed update holds {name!r}, which this backbone or {self.coding} has not")
        for weight, stored in parts.items():
            matrix = matrix_of(layers[weight])
            matrix.add_(coding.decode(stored, *matrix.shape))

    def merge(self, _model: nn.Module) -> None:
        """Do nothing: it is a plain model already."""

    def as_dict(self) -> dict[str, Any]:
        """Return name and coding."""
        return {"method": "packed.v1", **asdict(self)}


METHODS: Mapping[str, type[FullUpdate] | type[LowRankUpdate] | type[PackedUpdate]] = {
    "full.v1": FullUpdate,
    "lora.v1": LowRankUpdate,
    "packed.v1": PackedUpdate,
}
"""The updates by versioned name."""


def update_of(stored: Mapping[str, Any]) -> Update:
    """Return the update that `Update.as_dict` told of.

    Raises:
        TrainingError: there is none of this name.
    """
    settings = dict(stored)
    name = settings.pop("method", None)
    if name not in METHODS:
        raise TrainingError(f"unknown method {name!r} of a translator; known: {', '.join(METHODS)}")
    return METHODS[name](**settings)


def linear_layers(model: nn.Module) -> dict[str, nn.Linear | Conv1D]:
    """Return the linear layers but the head, by the names of their weights."""
    head = vocabulary_layers(model)[1]
    return {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and module is not head
    }


def matrix_of(layer: nn.Linear | Conv1D) -> Tensor:
    """Return a layer's weight as (out, in), sharing its memory; Conv1D keeps it the other way round."""
    weight: Tensor = layer.weight.data
    return weight if isinstance(layer, nn.Linear) else weight.T
