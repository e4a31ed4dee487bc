"""Methods that leave the backbone alone: shots in the prompt, and TF-IDF, as methods to compare with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from promptbank.engine.evaluate import TaskScores, score_texts
from promptbank.errors import PromptBankError
from promptbank.lab.methods.classic import TfidfLogistic, label_ids, tfidf_settings, tfidf_version
from promptbank.lab.methods.icl import InContext, draw_shots
from promptbank.lab.methods.learner import FLOAT32_BYTES, Learner, LearningResult, Method, Size
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.progress import Progress
from tasks import Example, Split, TaskCard

__all__ = ["Shots", "Tfidf"]


@dataclass(frozen=True)
class Shots(Method):
    """In-context learning without calibration; fewer shots where there are fewer training examples.

    Attributes:
        shots: examples in the prompt, drawn with the run's seed.
    """

    trains: ClassVar[bool] = False
    shots: int = 4

    def begin(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> ShotLearner:
        """Begin without shots."""
        return ShotLearner(backbone, lm, config, self.shots)


@dataclass(frozen=True)
class Tfidf(Method):
    """Logistic regression on TF-IDF, a classifier for each task; it needs no dev set and learns from it too."""

    trains: ClassVar[bool] = False

    def ready(self) -> None:
        """Import scikit-learn: half a second and 150 MB are no cost of a task."""
        tfidf_version()

    def begin(self, _backbone: Backbone, _lm: LanguageModel, _config: TrainConfig) -> TfidfLearner:
        """Begin without classifiers."""
        return TfidfLearner()

    def settings(self) -> dict[str, object]:
        """Return the features and the penalty, and the package that decides the rest; None where it is missing."""
        try:
            version = tfidf_version()
        except PromptBankError:
            version = None
        return {**tfidf_settings(), "scikit-learn": version}


class ShotLearner(Learner):
    """The shots drawn so far, by task."""

    def __init__(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig, shots: int) -> None:
        self._backbone, self._lm, self._config, self._count = backbone, lm, config, shots
        self._shots: dict[str, list[Example]] = {}

    def learn(self, card: TaskCard, split: Split, _progress: Progress | None = None) -> LearningResult:
        """Draw the task's shots."""
        label_ids(card)
        count = min(self._count, len(split.train))
        self._shots[card.sha256] = draw_shots(split.train, count, self._config.seed)
        return LearningResult(rows=count)

    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> TaskScores:
        """Score the label forms after the task's shots."""
        shots = self._shots.get(card.sha256, [])
        answers = InContext(self._lm, self._backbone, card, shots).score([e.fields for e in examples])
        scored = score_texts(card, examples, [max(a.scores, key=a.scores.__getitem__) for a in answers])
        counts = {
            "truncated": sum(a.truncated > 0 for a in answers),
            "rows_with_fewer_shots": sum(a.shots < len(shots) for a in answers),
        }
        return replace(scored, metrics=scored.metrics | {key: count for key, count in counts.items() if count})

    def size(self, card: TaskCard) -> Size:
        """Return the bytes of the shots as JSON lines in UTF-8."""
        shown = [{**e.fields, card.answer_field: e.answer} for e in self._shots.get(card.sha256, [])]
        return Size(0, sum(len(json.dumps(shot, ensure_ascii=False).encode()) + 1 for shot in shown))


class TfidfLearner(Learner):
    """The classifiers fitted so far, by task."""

    def __init__(self) -> None:
        self._fitted: dict[str, TfidfLogistic] = {}

    def learn(self, card: TaskCard, split: Split, _progress: Progress | None = None) -> LearningResult:
        """Fit the task's classifier."""
        known = [*split.train, *split.dev]
        self._fitted[card.sha256] = TfidfLogistic.fit(card, known)
        return LearningResult(rows=len(known))

    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> TaskScores:
        """Score the task's classifier."""
        return score_texts(card, examples, self._fitted[card.sha256].predict(examples))

    def size(self, card: TaskCard) -> Size:
        """Return coefficients and intercepts, and the bytes of these, of the IDF weights and of the vocabulary.

        scikit-learn computes in float64; as of all methods, what is kept is counted as float32.
        """
        words, logistic = self._fitted[card.sha256].pipeline.named_steps.values()
        vocabulary = sum(len(word.encode()) + 1 for word in words.vocabulary_)
        learnt = logistic.coef_.size + logistic.intercept_.size
        return Size(learnt, (learnt + words.idf_.size) * FLOAT32_BYTES + vocabulary)
