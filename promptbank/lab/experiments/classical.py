"""The classical baselines on one split, as a part of an experiment's result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from promptbank.lab.methods.classic import CLASSICAL, Majority, TfidfLogistic, tfidf_version
from tasks import Example, Split, TaskCard, classification_report

__all__ = ["classical_cell", "classical_name"]


def classical_name(part: str) -> str:
    """Return the name of a cell of the classical methods, with the version that decides it beside settings and rows.

    It is asked for before anything is trained, so a package that is missing is told then; and a newer one makes these
    cells anew, and no training.

    Raises:
        PromptBankError: scikit-learn is not installed.
    """
    return f"classical-{part}.sklearn-{tfidf_version()}"


def classical_cell(card: TaskCard, split: Split) -> Callable[[], dict[str, Any]]:
    """Return what fits each classical method on training and dev rows (none needs a dev set) and scores it on test.

    A cell says by method how many rows it learnt from (``rows``), its test metrics, predictions and warnings.
    """

    def make() -> dict[str, Any]:
        known = [*split.train, *split.dev]
        gold, labels = [e.answer or "" for e in split.test], tuple(card.label_space or {})
        cells = {}
        for name in CLASSICAL:
            method, warnings = _fitted(name, card, known)
            predicted = method.predict(split.test)
            cells[name] = {
                "rows": len(known),
                "test": classification_report(gold, predicted, labels).as_dict(),
                "predicted": {e.id: p for e, p in zip(split.test, predicted, strict=True)},
                "warnings": warnings,
            }
        return cells

    return make


def _fitted(name: str, card: TaskCard, known: Sequence[Example]) -> tuple[Majority | TfidfLogistic, list[str]]:
    """Fit a method, with what is to be warned of; where all rows have one label, it is answered by every method."""
    found = sorted({e.answer or "" for e in known})
    if name == "majority" or len(found) > 1:
        return CLASSICAL[name].fit(card, known), []
    return Majority.fit(card, known), [f"all of its {len(known)} rows are {found[0]!r}, which it answers always"]
