"""The setup of an experiment on one task: backbone, card, examples and settings, and its identity."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from promptbank import __version__
from promptbank.errors import ConfigError, InputError
from promptbank.lab.experiments.folder import JsonObject
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.precision import training_dtype
from promptbank.training.progress import Progress
from tasks import Example, TaskCard, data_sha256

__all__ = ["TOGETHER", "ExperimentSetup", "base_identity"]

TOGETHER = 16
"""Most trainings in shared batches; with 16 sequences each, 256 sequences a pass."""


@dataclass(frozen=True, eq=False)
class ExperimentSetup:
    """What an experiment on one task works with.

    Attributes:
        home: of the bank; the experiment's folder lies in its ``runs/``.
        backbone: float32.
        lm: its forward passes.
        card: the task.
        examples: the whole set.
        config: of its trainings, where the experiment does not replace a part.
        progress: is told how trainings go.
        remarks: what a reader should know of the examples.
    """

    home: Path
    backbone: Backbone
    lm: LanguageModel
    card: TaskCard
    examples: Sequence[Example]
    config: TrainConfig
    progress: Progress
    remarks: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> JsonObject:
        """Return what decides every result that is made with it."""
        return {
            **base_identity(self.backbone, self.lm, [self.card]),
            "data_sha256": data_sha256(self.examples),
            "rows": len(self.examples),
            "config": self.config.decisive(),
            "trained_in": training_dtype(self.config.dtype),
            "together": TOGETHER,
        }

    def notes(self) -> JsonObject:
        """Return what a reader should know and what decides nothing."""
        return {"backbone": self.backbone.name, **self.remarks}

    def refuse_stored_start(self, kind: str) -> None:
        """Refuse settings that start from a stored row, for experiments that may not look at the user's bank.

        Raises:
            ConfigError: they do.
        """
        if self.config.starts_from_row:
            raise ConfigError(
                f"init {self.config.init!r} is not possible in a {kind}: it learns into a bank of its own, where there "
                "is no row to start from, and rows of your bank may have learnt its test rows; take text, labels or "
                "vocabulary, or compare starts with `promptbank curve --start`"
            )

    def refuse_open(self, kind: str) -> None:
        """Refuse a card without a label set, for experiments that rank by accuracy.

        Raises:
            InputError: it has none.
        """
        if self.card.is_open:
            raise InputError(
                f"{self.card.taskname}:{self.card.lang} has open answers, and a {kind} goes by accuracy over a "
                "label_space; give a closed card, or measure settings one by one with `promptbank crossval`"
            )


def base_identity(backbone: Backbone, lm: LanguageModel, cards: Iterable[TaskCard]) -> JsonObject:
    """Return what decides every result beside data and settings: backbone, cards, package versions.

    The backbone's name is none of it: it is for people, and one backbone has several.
    """
    cards = list(cards)
    constrained = ("llguidance",) if any(card.answer_format for card in cards) else ()
    packages = {name: importlib.metadata.version(name) for name in ("torch", "transformers", *constrained)}
    return {
        "fingerprint": backbone.fingerprint,
        "tokenizer_sha256": backbone.tokenizer_sha256,
        "scores": str(lm.dtype).removeprefix("torch.") + ", from the stored row",
        "threads": torch.get_num_threads(),
        "cards": [json.loads(card.canonical_json()) for card in cards],  # keeps the order of the labels
        "packages": {"promptbank": __version__, **packages},
    }
