"""Answer formats: what the open answers of a card are, by the name that its ``answer_format`` gives.

A format reads answers and scores them, and says which part of one a classifier can learn; the inference engine has a
grammar of the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tasks.errors import DataError
from tasks.slot_metrics import intent_slot_report
from tasks.slots import IntentSlots, parse_intent_slots, render_intent_slots

if TYPE_CHECKING:
    from tasks.card import TaskCard

__all__ = ["ANSWER_FORMATS", "AnswerFormat", "IntentSlotsFormat", "check_answer"]


class AnswerFormat(Protocol):
    """One way to write structure as text."""

    def check(self, card: TaskCard, answer: str) -> None:
        """Raise `DataError` when an answer is not of this format."""

    def scores(
        self, card: TaskCard, texts: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
    ) -> dict[str, float]:
        """Return the scores of predicted answers about the given texts, by name."""

    def class_of(self, card: TaskCard, answer: str) -> str:
        """Return what of an answer is one of few, so that a classifier can learn it; raise as `check` does."""

    def answer_of(self, name: str) -> str:
        """Return the answer that says no more than a class."""


class IntentSlotsFormat:
    """Intents and slots as in `tasks.slots`, with the card's slot types."""

    def check(self, card: TaskCard, answer: str) -> None:
        """Raise `DataError` when an answer cannot be read."""
        parse_intent_slots(answer, card.slot_types)

    def scores(
        self, card: TaskCard, texts: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
    ) -> dict[str, float]:
        """Return the fields of `IntentSlotReport`."""
        return intent_slot_report(texts, gold, predicted, card.slot_types).as_dict()

    def class_of(self, card: TaskCard, answer: str) -> str:
        """Return the intent."""
        return parse_intent_slots(answer, card.slot_types).intent

    def answer_of(self, name: str) -> str:
        """Return an intent without slots."""
        return render_intent_slots(IntentSlots(name))


ANSWER_FORMATS: dict[str, AnswerFormat] = {"intent_slots.v1": IntentSlotsFormat()}


def check_answer(card: TaskCard, answer: str) -> None:
    """Refuse a gold answer that is not of its card's format; a card without one takes any.

    Raises:
        DataError: the answer cannot be read.
    """
    if card.answer_format is None:
        return
    try:
        ANSWER_FORMATS[card.answer_format].check(card, answer)
    except DataError as exc:
        raise DataError(f"the answer is no {card.answer_format}: {exc}") from exc
