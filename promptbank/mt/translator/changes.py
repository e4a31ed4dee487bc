"""What a trained translator changed of its backbone, layer by layer, and what the layers read meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.lora import LoraLayer
from promptbank.mt.languages import Languages
from promptbank.mt.translator.factorise import Change, DenseChange, LowRankChange
from promptbank.mt.translator.model import StoredUpdate, prepared
from promptbank.mt.translator.pairs import Wording, render_pairs
from promptbank.mt.translator.updates import linear_layers, matrix_of

__all__ = ["Pairs", "changes_and_moments", "input_moments", "whole_changes"]

Pairs = Sequence[tuple[str, str]]
"""Sentences and their translations."""


def changes_and_moments(
    stored: StoredUpdate, backbone: Backbone, calibration: Pairs
) -> tuple[dict[str, Change], dict[str, Tensor]]:
    """Return what each layer changed by, and the moments of its inputs if there are calibration pairs.

    Args:
        stored: a translator.
        backbone: the one it goes on.
        calibration: may be empty, and so are the moments then.

    Returns:
        Changes of the layers that changed, and second moments (in, in); both by the names of weights.

    Raises:
        TrainingError: the translator is of a method that has no changes to factorise.
    """
    method = stored.update.as_dict()["method"]
    if method not in CHANGES:
        raise TrainingError(f"a translator of method {method!r} cannot be factorised; possible: {', '.join(CHANGES)}")
    model = prepared(backbone, stored.update)
    stored.update.load(model, stored.tensors)
    changes = CHANGES[method](model, backbone)
    if not calibration:
        return changes, {}
    stored.update.merge(model)
    wording = Wording(backbone.tokenizer, Languages.parse(stored.facts["langpair"]))
    rows = [row.ids for row in render_pairs(wording, calibration, window=backbone.window)]
    return changes, input_moments(model, rows)


def input_moments(model: nn.Module, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Return the second moments of the inputs of all linear layers but the head, float32 (in, in), by weight name.

    Args:
        model: the translator, plain.
        rows: token ids; each is read alone, so that no pad counts.
    """
    layers = linear_layers(model)
    sums = {name: torch.zeros(matrix_of(layer).shape[1], matrix_of(layer).shape[1]) for name, layer in layers.items()}

    def add(name: str, inputs: Tensor) -> None:
        flat = inputs.detach().float().flatten(0, -2)  # (positions, in)
        sums[name].addmm_(flat.T, flat)

    hooks = [
        layer.register_forward_pre_hook(lambda _layer, inputs, name=name: add(name, inputs[0]))
        for name, layer in layers.items()
    ]
    base: Any = model.base_model
    with torch.no_grad():
        for row in rows:
            base(input_ids=torch.tensor([list(row)]), use_cache=False)
    for hook in hooks:
        hook.remove()
    positions = sum(map(len, rows))
    return {name: total / positions for name, total in sums.items()}


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
