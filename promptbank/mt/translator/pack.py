"""A trained translator as a package of some megabytes, and as the start of a low-rank training.

A full update of gemma-3-270m is 100 million numbers. `pack_translator` keeps of each layer's change the components that
matter most a byte, so that all fit a limit, and stores them in few bits; norms and biases stay whole. What truncation
loses, some steps of low-rank training can repair: `as_low_rank` makes their start. The source of the methods is in
`promptbank.mt.translator.factorise`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.lora import LoraLayer
from promptbank.mt.languages import Languages
from promptbank.mt.translator.allowed_tokens import read_tokens, tokens_bytes
from promptbank.mt.translator.changes import changes_of, whole_changes
from promptbank.mt.translator.coding import Coding, coding_of
from promptbank.mt.translator.factorise import Change, DenseChange, SvdComponents, allocate
from promptbank.mt.translator.model import (
    StoredUpdate,
    describe,
    prepared,
    read_update,
    save_translator,
    write_translator,
)
from promptbank.mt.translator.updates import LowRankUpdate, PackedUpdate

__all__ = ["MAX_BYTES", "LayerReport", "PackReport", "as_low_rank", "pack_translator"]

NAME_BYTES = 40
"""Of the name of a layer's weight, such as ``model.layers.0.self_attn.q_proj.weight``."""

MAX_BYTES = 20_000_000
"""Of a packed translator, all files together."""


@dataclass(frozen=True)
class LayerReport:
    """One layer of a packed translator.

    Attributes:
        rank: components that are stored.
        kept: share of the change's energy that the stored numbers keep, 1 - ||D - D'||^2 / ||D||^2.
        energy: ||D||^2.
    """

    rank: int
    kept: float
    energy: float


@dataclass(frozen=True)
class PackReport:
    """What was packed.

    Attributes:
        folder: of the packed translator.
        weights_bytes: of its numbers, with their names.
        total_bytes: of all files.
        kept: share of all layers' energy that is kept.
        layers: by the name of their weight, in the backbone's order; those that changed.
        whole: names of the parameters that are stored whole.
    """

    folder: Path
    weights_bytes: int
    total_bytes: int
    kept: float
    layers: dict[str, LayerReport]
    whole: tuple[str, ...]


def pack_translator(
    source: Path,
    backbone: Backbone,
    target: Path,
    *,
    max_bytes: int = MAX_BYTES,
    coding: str = "int8.v1",
    tokens: Iterable[int] | None = None,
) -> PackReport:
    """Write a translator as a packed one, which `load_translator` reads like any other.

    Args:
        source: folder of a trained translator, full or low-rank.
        backbone: the one it goes on.
        target: made if it is not there; another folder than the source.
        max_bytes: most bytes of the target's files together.
        coding: a key of ``CODINGS``: "sign.v1" or "int4.v1" for a full tuning, "int8.v1" or "bf16.v1" for a low-rank
            one; `promptbank.mt.translator.coding` says what they lose.
        tokens: what the packed one may write (`promptbank.mt.translator.allowed_tokens`); the source's own if None.

    Raises:
        TrainingError: the source cannot be packed or not into so few bytes; the target stays as it was.
        BackboneMismatchError: the source was trained on another backbone or tokenizer.
    """
    numbers, stored = coding_of(coding), _source(source, target, backbone)
    plan = _Plan.of(stored, backbone, numbers)
    facts = {
        **stored.facts["training"],
        "packed": {
            "source_sha256": stored.facts["weights_sha256"], "method": stored.facts["update"]["method"],
            "max_bytes": max_bytes,
        },
    }  # fmt: skip
    languages = Languages.parse(stored.facts["langpair"])

    def description(weights: bytes) -> str:
        sha256 = hashlib.sha256(weights).hexdigest()
        return describe(backbone, PackedUpdate(coding), sha256, languages=languages, facts=facts)

    held = read_tokens(source, backbone.vocab_size) if tokens is None else tokens
    listed = b"" if held is None else tokens_bytes(held, backbone.vocab_size)
    weights, ranks = plan.fit(max_bytes - len(description(b"").encode()) - len(listed))
    text = description(weights)
    write_translator(target, weights, text, listed)
    layers = plan.report(ranks)
    energy = sum(layer.energy for layer in layers.values())
    kept = sum(layer.kept * layer.energy for layer in layers.values()) / energy if energy else 1.0
    return PackReport(
        target, len(weights), len(weights) + len(text.encode()) + len(listed), kept, layers, tuple(plan.whole)
    )


def as_low_rank(
    source: Path,
    backbone: Backbone,
    target: Path,
    *,
    rank: int,
    alpha: float | None = None,
) -> Path:
    """Write a translator as a low-rank one of equal rank in all layers, for a low-rank training to start from.

    Norms and biases that a full tuning changed are not part of a low-rank update and go back to the backbone's.

    Args:
        source: folder of a trained translator, full or low-rank.
        backbone: the one it goes on.
        target: made if it is not there; another folder than the source.
        rank: of `LowRankUpdate`.
        alpha: of it; twice the rank if absent, as ``mt train`` has it.

    Returns:
        The target; its numbers are float32.

    Raises:
        TrainingError: the source cannot be factorised, or the backbone has no linear layers to adapt.
        BackboneMismatchError: the source was trained on another backbone or tokenizer.
    """
    stored = _source(source, target, backbone)
    changes = changes_of(stored, backbone)
    update = LowRankUpdate(rank=rank, alpha=2.0 * rank if alpha is None else alpha)
    model = prepared(backbone, update)
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer):
            _start(layer, rank, changes.get(f"{name}.weight"))
    languages = Languages.parse(stored.facts["langpair"])
    facts = {**stored.facts["training"], "factorised": {"source_sha256": stored.facts["weights_sha256"]}}
    return save_translator(target, model, backbone, update, languages=languages, facts=facts, dtype=torch.float32)


def _source(source: Path, target: Path, backbone: Backbone) -> StoredUpdate:
    if source.resolve() == target.resolve():
        raise TrainingError(f"{target} is the translator that is read; name another folder for what is made of it")
    return read_update(source, backbone)


@torch.no_grad()
def _start(layer: LoraLayer, rank: int, change: Change | None) -> None:
    """Make a layer's addition the best of this rank; a layer that did not change keeps its B of zeros."""
    if change is None:
        return
    b, a = change.spectrum().factors(rank)
    found = a.shape[0]  # the rank may be above that of the matrix
    for factor in (layer.a, layer.b):
        factor.zero_()
    layer.a[:found], layer.b[:, :found] = a / layer.scale**0.5, b / layer.scale**0.5


@dataclass(frozen=True, eq=False)
class _Plan:
    """What a pack is made of."""

    coding: Coding
    changes: Mapping[str, Change]
    whole: dict[str, Tensor]
    rough: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    spectra: dict[str, SvdComponents] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: StoredUpdate, backbone: Backbone, coding: Coding) -> _Plan:
        """Decompose what a translator changed."""
        plan = cls(coding, changes_of(stored, backbone), whole_changes(stored, backbone))
        for name, change in plan.changes.items():
            dense = change.dense()
            plan.rough[name] = rough = coding.rough(dense)
            rest = DenseChange(dense - coding.decode(rough, *dense.shape)) if rough else change
            plan.spectra[name] = rest.spectrum()
        return plan

    def fit(self, room: int) -> tuple[bytes, dict[str, int]]:
        """Return a file of at most so many bytes with the most valuable components, and their ranks.

        Raises:
            TrainingError: not even one component fits, or what is stored at any rank does not.
        """
        gains = {name: spectrum.values.double().square() for name, spectrum in self.spectra.items()}
        each = {name: self.coding.component_bytes(*_shape(spectrum)) for name, spectrum in self.spectra.items()}
        names = {name: self._names_bytes(spectrum) for name, spectrum in self.spectra.items()}
        overhead = least = len(save(self._tensors(dict.fromkeys(self.spectra, 0))))
        while overhead <= room:
            ranks = allocate(gains, each, room - overhead, names)
            weights = save(self._tensors(ranks))
            if len(weights) > room:  # by some digits of the offsets in the file
                overhead += len(weights) - room
                continue
            if any(ranks.values()) or any(self.rough.values()) or not self.changes:
                return weights, ranks
            break
        raise TrainingError(
            f"{room} bytes are left for numbers, too few: the {len(self.whole)} parameters that are stored whole and "
            f"the rough part of {len(self.changes)} layers take {least}, and components come on top; raise max_bytes"
        )

    def _names_bytes(self, spectrum: SvdComponents) -> int:
        """Return what the names of a layer's tensors take in the file; offsets may have some more digits."""
        tensors = self.coding.encode(*spectrum.factors(1))
        return len(save(tensors)) - sum(t.nbytes for t in tensors.values()) + len(tensors) * NAME_BYTES

    def report(self, ranks: Mapping[str, int]) -> dict[str, LayerReport]:
        """Say what the stored numbers keep of each layer."""
        return {name: self._layer_report(name, change.dense(), ranks[name]) for name, change in self.changes.items()}

    def _layer_report(self, name: str, change: Tensor, rank: int) -> LayerReport:
        stored = self._layer(name, rank)
        missed = change - self.coding.decode(stored, *change.shape) if stored else change
        return LayerReport(rank, 1 - _energy(missed) / _energy(change), _energy(change))

    def _tensors(self, ranks: Mapping[str, int]) -> dict[str, Tensor]:
        layers = {f"{n}.{part}": t for n, rank in ranks.items() for part, t in self._layer(n, rank).items()}
        return {**self.whole, **layers}

    def _layer(self, name: str, rank: int) -> dict[str, Tensor]:
        factors = self.coding.encode(*self.spectra[name].factors(rank)) if rank else {}
        return {**self.rough[name], **factors}


def _shape(spectrum: SvdComponents) -> tuple[int, int]:
    return spectrum.left.shape[0], spectrum.right.shape[1]


def _energy(matrix: Tensor) -> float:
    """Return ||M||^2."""
    return float(matrix.double().square().sum())
