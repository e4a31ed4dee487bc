"""The classical baselines on one split, as a part of an experiment's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promptbank.methods.classic import Majority, TfidfLogistic
from tasks import Split, TaskCard, classification_report

__all__ = ["CLASSICAL", "classical_cell"]

CLASSICAL: dict[str, type[Majority] | type[TfidfLogistic]] = {"majority": Majority, "tfidf": TfidfLogistic}


def classical_cell(card: TaskCard, split: Split) -> Callable[[], dict[str, Any]]:
    """Return what fits each classical method on training and dev rows (none needs a dev set) and scores it on test."""

    def make() -> dict[str, Any]:
        known = [*split.train, *split.dev]
        gold, labels = [e.answer or "" for e in split.test], tuple(card.label_space or {})
        cells = {}
        for name, method in CLASSICAL.items():
            predicted = method.fit(card, known).predict(split.test)
            cells[name] = {
                "test": classification_report(gold, predicted, labels).as_dict(),
                "predicted": {e.id: p for e, p in zip(split.test, predicted, strict=True)},
            }
        return cells

    return make
