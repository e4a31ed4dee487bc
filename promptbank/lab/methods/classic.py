"""Baselines without a language model: the most frequent label, and logistic regression on TF-IDF.

A prompt that does not beat them has learnt nothing worth serving. TF-IDF needs scikit-learn (extra ``baseline``),
imported when it is first needed.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from promptbank.errors import InputError, PromptBankError, TrainingError
from tasks import ANSWER_FORMATS, Example, IntentSlots, TaskCard

__all__ = ["CLASSICAL", "Majority", "TfidfLogistic", "label_ids", "tfidf_settings", "tfidf_version"]

INVERSE_PENALTY = 10
MOST_ITERATIONS = 1000
LONGEST_PHRASE = 2
"""Words; shorter ones count too."""


def tfidf_settings() -> dict[str, object]:
    """Return what decides the result of TF-IDF beside its rows and its version."""
    return {"c": INVERSE_PENALTY, "longest_phrase": LONGEST_PHRASE, "most_iterations": MOST_ITERATIONS}


def tfidf_version() -> str:
    """Return the version of scikit-learn, and import it.

    Raises:
        PromptBankError: it is not installed.
    """
    _sklearn()
    return importlib.metadata.version("scikit-learn")


def label_ids(card: TaskCard) -> tuple[str, ...]:
    """Return the label ids of a closed card, in its order.

    Raises:
        InputError: answers of the card are free text.
    """
    if card.label_space is None:
        raise InputError(f"{card.taskname}:{card.lang} has open answers; baselines need a card with a label_space")
    return tuple(card.label_space)


@dataclass(frozen=True)
class Majority:
    """Answers the most frequent label of its training rows, whatever it is asked.

    Attributes:
        label: its id; of equally frequent ones the first in the card.
    """

    label: str

    @classmethod
    def fit(cls, card: TaskCard, examples: Sequence[Example]) -> Majority:
        """Count the labels of labelled examples.

        Raises:
            InputError: the card has no label set.
        """
        counts = Counter(example.answer for example in examples)
        return cls(max(label_ids(card), key=counts.__getitem__))

    def predict(self, examples: Sequence[Example]) -> list[str]:
        """Return a label id for each example."""
        return [self.label] * len(examples)


class _Fitted(Protocol):
    def predict(self, texts: Sequence[str]) -> Iterable[object]: ...


@dataclass(frozen=True, eq=False)
class TfidfLogistic:
    """Words and word pairs with sublinear TF-IDF weights, multinomial logistic regression, C = 10.

    Of open answers with a format it learns their class alone: it names intents, and no slots.

    Attributes:
        card: names the text fields, which are read in its order, a line each.
        pipeline: the fitted scikit-learn pipeline, from texts to label ids, or to classes of answers.
    """

    card: TaskCard
    pipeline: _Fitted

    @classmethod
    def fit(cls, card: TaskCard, examples: Sequence[Example]) -> TfidfLogistic:
        """Fit to labelled examples; the result depends on nothing random.

        Raises:
            InputError: the card has neither a label set nor an answer format.
            PromptBankError: scikit-learn is not installed.
            TrainingError: fewer than two labels, or no word in any text.
        """
        learnt = _classes(card, [example.answer or "" for example in examples])
        found = sorted(set(learnt))
        if len(found) < 2:
            raise TrainingError(
                f"TF-IDF needs training rows of two labels or more, not only of {found}; give more rows"
            )
        pipeline = _pipeline()
        try:
            pipeline.fit([_text(card, e) for e in examples], learnt)
        except ValueError as exc:
            raise TrainingError(f"TF-IDF cannot learn from these {len(examples)} rows: {exc}") from exc
        return cls(card, pipeline)

    def predict(self, examples: Sequence[Example]) -> list[str]:
        """Return an answer for each example: a label id, or text of the card's format."""
        if not examples:
            return []
        found = map(str, self.pipeline.predict([_text(self.card, e) for e in examples]))
        if self.card.answer_format is None:
            return list(found)
        return [ANSWER_FORMATS[self.card.answer_format].write(self.card, IntentSlots(name)) for name in found]


CLASSICAL: dict[str, type[Majority] | type[TfidfLogistic]] = {"majority": Majority, "tfidf": TfidfLogistic}


class _Pipeline(_Fitted, Protocol):
    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> object: ...


def _sklearn() -> tuple[Any, Any, Any]:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as exc:
        raise PromptBankError(
            "the TF-IDF baseline needs scikit-learn; install it with: pip install 'promptbank[baseline]'"
        ) from exc
    return TfidfVectorizer, LogisticRegression, make_pipeline


def _pipeline() -> _Pipeline:
    vectorizer, logistic, make_pipeline = _sklearn()
    words = vectorizer(ngram_range=(1, LONGEST_PHRASE), sublinear_tf=True)
    made: _Pipeline = make_pipeline(words, logistic(C=INVERSE_PENALTY, max_iter=MOST_ITERATIONS))
    return made


def _classes(card: TaskCard, answers: list[str]) -> list[str]:
    """Return what is to be learnt of each answer."""
    if card.answer_format is not None:
        return [ANSWER_FORMATS[card.answer_format].read(card, answer).intent for answer in answers]
    label_ids(card)
    return answers


def _text(card: TaskCard, example: Example) -> str:
    return "\n".join(example.fields[name] for name in card.fields)
