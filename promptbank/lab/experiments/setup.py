"""The setup of an experiment: backbone, card, examples and settings, which decide its result, and its trials."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from promptbank import __version__
from promptbank.bank.session import Bank
from promptbank.errors import ConfigError, InputError
from promptbank.lab.experiments.folder import ExperimentFolder, JsonObject, open_experiment
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.precision import training_dtype
from promptbank.training.progress import NoProgress, Progress
from tasks import BY_HASH, DatasetReport, Example, Split, SplitRules, TaskCard, data_sha256

__all__ = ["ExperimentSetup", "Lab", "Trial"]

TOGETHER = 16
"""Most trainings in shared batches; with 16 sequences each, 256 sequences a pass."""
TOGETHER_ON_RAY = 4
"""The same where groups are learnt on several machines."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One training of an experiment, and the examples that score it."""

    name: str
    card: TaskCard
    split: Split
    config: TrainConfig


@dataclass(frozen=True, eq=False)
class Lab:
    """What every experiment works with.

    Attributes:
        home: of the bank; an experiment's folder lies in its ``runs/``.
        backbone: float32.
        lm: its forward passes.
        progress: is told how trainings go.
        cluster: the bank whose Ray cluster learns; None where this process does.
    """

    home: Path
    backbone: Backbone
    lm: LanguageModel
    progress: Progress = field(default_factory=NoProgress)
    cluster: Bank | None = None

    @property
    def together(self) -> int:
        """Most trainings of a group, which share batches."""
        return TOGETHER_ON_RAY if self.cluster else TOGETHER

    def open(
        self, kind: str, cards: Sequence[TaskCard], identity: JsonObject, notes: JsonObject
    ) -> AbstractContextManager[ExperimentFolder]:
        """Open the folder of an experiment on cards; ``identity`` and ``notes`` are what it adds (`open_experiment`).

        The backbone's name is a note: it is for people, and one backbone has several.
        """
        constrained = ("llguidance",) if any(card.answer_format for card in cards) else ()
        packages = {name: importlib.metadata.version(name) for name in ("torch", "transformers", *constrained)}
        base = {
            "fingerprint": self.backbone.fingerprint,
            "tokenizer_sha256": self.backbone.tokenizer_sha256,
            "scores": str(self.lm.dtype).removeprefix("torch.") + ", from the stored row",
            "threads": torch.get_num_threads(),
            "cards": [json.loads(card.canonical_json()) for card in cards],  # keeps the order of the labels
            "packages": {"promptbank": __version__, **packages},
        }
        return open_experiment(self.home, kind, {**base, **identity}, {"backbone": self.backbone.name, **notes})


@dataclass(frozen=True, eq=False)
class ExperimentSetup:
    """What an experiment on one task works with.

    Attributes:
        lab: home and backbone.
        card: the task.
        examples: the whole set.
        config: of its trainings, where the experiment does not replace a part.
        remarks: what a reader should know of the examples.
        report: on the examples as a whole, where one was made.
    """

    lab: Lab
    card: TaskCard
    examples: Sequence[Example]
    config: TrainConfig
    remarks: Mapping[str, str] = field(default_factory=dict)
    report: DatasetReport | None = None

    def open(
        self, kind: str, identity: JsonObject, notes: JsonObject | None = None
    ) -> AbstractContextManager[ExperimentFolder]:
        """Open the folder of an experiment; ``identity`` and ``notes`` are what it adds to the setup's own."""
        own = {
            "data_sha256": data_sha256(self.examples),
            "rows": len(self.examples),
            "config": self.config.decisive(),
            "trained_in": training_dtype(self.config.dtype),
            "together": self.lab.together,
        }
        return self.lab.open(kind, [self.card], own | identity, {**self.remarks, **(notes or {})})

    def rules(self, folds: str = BY_HASH.folds) -> SplitRules:
        """Return how the examples are divided; see `TrainConfig.split_rules`."""
        return self.config.split_rules(self.card, folds=folds)

    def trial(self, name: str, split: Split, **changes: object) -> Trial:
        """Return a training of the task, with changed settings."""
        return Trial(name, self.card, split, self.config.model_copy(update=changes))

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
