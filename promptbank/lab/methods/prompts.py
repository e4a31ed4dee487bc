"""Prompts as a method to compare: every task gets a row of its own, and none touches another."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from promptbank.engine.evaluate import TaskScores, evaluate
from promptbank.engine.predictor import Predictor, ServedTask
from promptbank.errors import ConfigError, UnknownTaskError
from promptbank.lab.methods.learner import Learner, LearningResult, Method, Size
from promptbank.model.backbone import Backbone
from promptbank.model.encoder import build_encoder
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.config import TrainConfig
from promptbank.training.examples import check_prompts, training_renderer
from promptbank.training.progress import Progress
from promptbank.training.prompt_run import Plan
from promptbank.training.prompts import train_prompts
from promptbank.training.run_warnings import run_warnings
from promptbank.training.start import STARTS, start_ids, starting_table
from tasks import Example, Split, TaskCard

__all__ = ["DeepPromptTuning", "PromptLearner", "PromptTuning"]


@dataclass(frozen=True)
class PromptTuning(Method):
    """Learns the (V, H) virtual-token embeddings of a task through an encoder.

    Attributes:
        encoder: versioned name; "embedding.v1" is prompt tuning, where the embeddings themselves are the parameters.
    """

    encoder: str = "lstm.v1"

    training: ClassVar = {"restarts": 0, "kind": "rows"}  # no other method gets a second chance after a collapse

    def begin(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> PromptLearner:
        """Begin with an empty table.

        Raises:
            ConfigError: the prompt is to start from a row, and there is no bank here.
        """
        if config.init not in STARTS:
            raise ConfigError(
                f"a comparison has no bank to start from, so init {config.init!r} is not possible; "
                f"take one of {', '.join(STARTS)}"
            )
        return PromptLearner(backbone, lm, config.model_copy(update={"encoder": self.encoder}))


class DeepPromptTuning(PromptTuning):
    """Learns vectors for every layer too."""

    training: ClassVar = PromptTuning.training | {"kind": "deep"}


class PromptLearner(Learner):
    """The prompts learnt so far.

    Args:
        backbone: tokenizer and window.
        lm: its forward passes.
        config: settings of every task; ``init`` is a key of `STARTS`.
    """

    def __init__(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> None:
        self._backbone, self._lm, self._config = backbone, lm, config
        self.tasks: dict[tuple[str, str], ServedTask] = {}

    def check(self, card: TaskCard, examples: Sequence[Example]) -> None:
        """Refuse examples that do not fit the window."""
        check_prompts(self._renderer(card), examples)

    def learn(self, card: TaskCard, split: Split, progress: Progress | None = None) -> LearningResult:
        """Learn the task's prompt; one that was there is learnt anew."""
        config, renderer = self._config, self._renderer(card)
        ids = start_ids(config.init, renderer, vocabulary=self._lm.vocabulary, seed=config.seed)
        start = self._as_kind(starting_table(self._lm, ids))
        plan = Plan(renderer, split.train, split.dev, config, start)
        with tempfile.TemporaryDirectory() as folder:
            (trained,) = train_prompts(self._lm, [plan], folder=Path(folder), identity="compare", progress=progress)
        self.tasks[_key(card)] = ServedTask(*_key(card), 0, "", renderer, trained.table)
        warnings = run_warnings(
            self._backbone,
            card,
            split.train,
            split.dev,
            truncated=trained.truncated,
            unwritable=trained.unwritable,
            reach=trained.longest_reach,
            collapse=trained.epochs[trained.best_epoch - 1].dev.collapse,
        )
        return LearningResult(trained.best_epoch, trained.epochs, warnings=tuple(warnings))

    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> TaskScores:
        """Score the task's prompt.

        Raises:
            UnknownTaskError: it has none yet.
        """
        if _key(card) not in self.tasks:
            raise UnknownTaskError(f"{card.taskname}:{card.lang} has no row yet; learn it first")
        return evaluate(Predictor(self._lm), self.tasks[_key(card)], examples)

    def _renderer(self, card: TaskCard) -> Renderer:
        return training_renderer(self._backbone, card, self._config)

    def _as_kind(self, rows: PromptTable) -> PromptTable:
        return rows.of_kind(self._config.prompt_kind, len(self._lm.layers))

    def size(self, card: TaskCard) -> Size:
        """Return the encoder's parameters, and the bytes of the row that is left of it."""
        start = self._as_kind(PromptTable.of_rows(torch.zeros(card.total_virtual_tokens, self._lm.hidden_size)))
        scales = {name: torch.ones(()) for name in start.tensors}
        encoder = build_encoder(self._config.encoder, start, 1.0, seed=0, scales=scales)
        return Size(sum(p.numel() for p in encoder.parameters()), len(start.to_bytes()))


def _key(card: TaskCard) -> tuple[str, str]:
    return card.taskname, card.lang
