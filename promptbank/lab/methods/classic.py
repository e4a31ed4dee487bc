"""Baselines without a language model: the most frequent label, and logistic regression on TF-IDF.

A prompt that does not beat them has learnt nothing worth serving. TF-IDF needs scikit-learn (extra ``baseline``),
imported when it is first needed.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from promptbank.errors import InputError, PromptBankError, TrainingError
from tasks import ANSWER_FORMATS, Example, IntentSlots, Split, TaskCard, classification_report

__all__ = [
    "CLASSICAL",
    "Majority",
    "TfidfLogistic",
    "classical_part_name",
    "classical_scores",
    "label_ids",
    "tfidf_settings",
    "tfidf_version",
]

INVERSE_PENALTY = 10
MOST_ITERATIONS = 1000
LONGEST_PHRASE = 2
"""Words; shorter ones count too."""


def tfidf_settings() -> dict[str, object]:
    """Return what decides the result of TF-IDF beside its examples and its version."""
    return {"c": INVERSE_PENALTY, "longest_phrase": LONGEST_PHRASE, "most_iterations": MOST_ITERATIONS}


def tfidf_version() -> str:
    """Import scikit-learn, and return its version.

    Raises:
        PromptBankError: it is not installed.
    """
    _new_pipeline()
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
    """Answers the most frequent label of its training examples; of equally frequent ones the first in the card."""

    label: str

    @classmethod
    def fit(cls, card: TaskCard, examples: Sequence[Example]) -> Majority:
        """Count the labels of examples; raise `InputError` where the card has no label set."""
        counts = Counter(example.answer for example in examples)
        return cls(max(label_ids(card), key=counts.__getitem__))

    def predict(self, examples: Sequence[Example]) -> list[str]:
        """Return a label id for each example."""
        return [self.label] * len(examples)


class _Pipeline(Protocol):
    """What is used of a scikit-learn pipeline, which has no types."""

    named_steps: Mapping[str, Any]

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> object: ...

    def predict(self, texts: Sequence[str]) -> Iterable[object]: ...


@dataclass(frozen=True, eq=False)
class TfidfLogistic:
    """Words and word pairs with sublinear TF-IDF weights, multinomial logistic regression, C = 10.

    It reads the card's text fields in order, a line each. Of open answers with a format it learns their class alone: it
    names intents, and no slots.
    """

    card: TaskCard
    pipeline: _Pipeline

    @classmethod
    def fit(cls, card: TaskCard, examples: Sequence[Example]) -> TfidfLogistic:
        """Fit to labelled examples; the result depends on nothing random.

        Raises:
            InputError: the card has neither a label set nor an answer format.
            PromptBankError: scikit-learn is not installed.
            TrainingError: fewer than two labels, or no word in any text.
        """
        classes = _classes(card, [example.answer or "" for example in examples])
        known = sorted(set(classes))
        if len(known) < 2:
            raise TrainingError(
                f"TF-IDF needs training rows of two labels or more, not only of {known}; give more rows"
            )
        pipeline = _new_pipeline()
        try:
            pipeline.fit([_text(card, e) for e in examples], classes)
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
        form = ANSWER_FORMATS[self.card.answer_format]
        return [form.write(self.card, IntentSlots(name)) for name in found]


CLASSICAL: dict[str, type[Majority] | type[TfidfLogistic]] = {"majority": Majority, "tfidf": TfidfLogistic}


def classical_part_name(part: str) -> str:
    """Return the name of a part of a result that the classical methods make, with the version that decides it too.

    It is asked for before anything is trained, so a package that is missing is named then; and a newer one makes these
    parts anew, and no training.

    Raises:
        PromptBankError: scikit-learn is not installed.
    """
    return f"classical-{part}.sklearn-{tfidf_version()}"


def classical_scores(card: TaskCard, split: Split) -> dict[str, Any]:
    """Fit each classical method on training and dev examples (none needs a dev set), and score it on the test ones.

    Returns:
        By method the number of examples it learnt from (``rows``), its test metrics, predictions and warnings.
    """
    known = [*split.train, *split.dev]
    gold, scores = [e.answer or "" for e in split.test], {}
    for name in CLASSICAL:
        method, warnings = _fitted(name, card, known)
        predicted = method.predict(split.test)
        scores[name] = {
            "rows": len(known),
            "test": classification_report(gold, predicted, label_ids(card)).as_dict(),
            "predicted": {e.id: p for e, p in zip(split.test, predicted, strict=True)},
            "warnings": warnings,
        }
    return scores


def _fitted(name: str, card: TaskCard, known: Sequence[Example]) -> tuple[Majority | TfidfLogistic, list[str]]:
    """Fit a method; where all examples have one label, every method answers it, with a warning."""
    found = sorted({e.answer or "" for e in known})
    if name == "majority" or len(found) > 1:
        return CLASSICAL[name].fit(card, known), []
    return Majority.fit(card, known), [f"all of its {len(known)} rows are {found[0]!r}, which it answers always"]


def _new_pipeline() -> _Pipeline:
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError as exc:
        raise PromptBankError(
            "the TF-IDF baseline needs scikit-learn; install it with: pip install 'promptbank[baseline]'"
        ) from exc
    words = TfidfVectorizer(ngram_range=(1, LONGEST_PHRASE), sublinear_tf=True)
    made: _Pipeline = make_pipeline(words, LogisticRegression(C=INVERSE_PENALTY, max_iter=MOST_ITERATIONS))
    return made


def _classes(card: TaskCard, answers: list[str]) -> list[str]:
    """Return what is to be learnt of each answer."""
    if card.answer_format is not None:
        return [ANSWER_FORMATS[card.answer_format].read(card, answer).intent for answer in answers]
    label_ids(card)
    return answers


def _text(card: TaskCard, example: Example) -> str:
    return "\n".join(example.fields[name] for name in card.fields)
