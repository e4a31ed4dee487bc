"""What a trained translator changed of its backbone, layer by layer."""

import torch
from torch import Tensor, nn

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.lora import LoraLayer
from promptbank.mt.translator.factorise import Change, DenseChange, LowRankChange
from promptbank.mt.translator.model import StoredUpdate, prepared
from promptbank.mt.translator.updates import linear_layers, matrix_of

__all__ = ["changes_of", "whole_changes"]


def changes_of(stored: StoredUpdate, backbone: Backbone) -> dict[str, Change]:
    """Return what each layer changed by, of those that changed, by the names of their weights.

    Args:
        stored: a translator.
        backbone: the one it goes on.

    Raises:
        TrainingError: the translator is of a method that has no changes to factorise.
    """
    method = str(stored.update.as_dict()["method"])
    if method not in CHANGES:
        raise TrainingError(f"a translator of method {method!r} cannot be factorised; possible: {', '.join(CHANGES)}")
    model = prepared(backbone, stored.update)
    stored.update.load(model, stored.tensors)
    return CHANGES[method](model, backbone)


def whole_changes(stored: StoredUpdate, backbone: Backbone) -> dict[str, Tensor]:
    """Return the changed parameters that are no matrices of layers, as they were stored."""
    layers, before = linear_layers(backbone.model), dict(backbone.model.named_parameters())
    kept = {name: t for name, t in stored.tensors.items() if name in before and name not in layers}
    return {name: t for name, t in kept.items() if not torch.equal(t.float(), before[name].float())}


def _full_changes(model: nn.Module, backbone: Backbone) -> dict[str, Change]:
    before = linear_layers(backbone.model)
    found = {name: matrix_of(layer) - matrix_of(before[name]).float() for name, layer in linear_layers(model).items()}
    return {name: DenseChange(change) for name, change in found.items() if bool(change.any())}


@torch.no_grad()
def _low_rank_changes(model: nn.Module, _backbone: Backbone) -> dict[str, Change]:
    return {
        f"{name}.weight": LowRankChange(layer.scale * layer.b, layer.a.detach())
        for name, layer in model.named_modules()
        if isinstance(layer, LoraLayer) and bool(layer.b.any())
    }


CHANGES = {"full.v1": _full_changes, "lora.v1": _low_rank_changes}
"""How to find what a prepared and loaded copy changed, by the method of the translator."""
