"""Answer formats: how the open answers of a card are written, by the name that its ``answer_format`` gives.

To add one, write a class here and a grammar of the same name in ``promptbank/engine/grammar.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tasks.errors import DataError
from tasks.slot_metrics import intent_slot_report
from tasks.slots import IntentSlots, parse_intent_slots, render_intent_slots

if TYPE_CHECKING:
    from tasks.card import TaskCard

__all__ = ["ANSWER_FORMATS", "FORMAT_SCORES", "AnswerFormat", "IntentSlotsFormat", "check_answer"]


class AnswerFormat(Protocol):
    """One way to write structure as text.

    Attributes:
        keys: the keys of a card that name what its answers may hold; a card of this format has all of them.
        shown: the scores that are told in one line.
    """

    keys: tuple[str, ...]
    shown: tuple[str, ...]

    def read(self, card: TaskCard, answer: str) -> IntentSlots:
        """Return the class that an answer names and its parts; a classifier can learn the class alone.

        Raises:
            DataError: the answer is not of this format.
        """

    def write(self, card: TaskCard, parts: IntentSlots) -> str:
        """Return the answer that `read` reads as these parts; raise `DataError` where there is none."""

    def scores(
        self, card: TaskCard, texts: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
    ) -> dict[str, float]:
        """Return the scores of predicted answers about the given texts, by name; `exact_match` is one of them."""


class IntentSlotsFormat:
    """Intents and slots as in `tasks.slots`, with the card's slot types."""

    keys: tuple[str, ...] = ("intents", "slot_types")
    shown: tuple[str, ...] = ("intent_accuracy", "slot_f1")

    def read(self, card: TaskCard, answer: str) -> IntentSlots:
        """Parse an answer."""
        return parse_intent_slots(answer, card.slot_types)

    def write(self, card: TaskCard, parts: IntentSlots) -> str:
        """Render an answer."""
        return render_intent_slots(parts, card.slot_types)

    def scores(
        self, card: TaskCard, texts: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
    ) -> dict[str, float]:
        """Return the fields of `IntentSlotReport`."""
        return intent_slot_report(texts, gold, predicted, card.slot_types).as_dict()


ANSWER_FORMATS: dict[str, AnswerFormat] = {"intent_slots.v1": IntentSlotsFormat()}
FORMAT_SCORES = tuple(dict.fromkeys(score for each in ANSWER_FORMATS.values() for score in each.shown))
"""The scores of all formats that are told in one line."""


def check_answer(card: TaskCard, answer: str) -> None:
    """Refuse a gold answer that is not of its card's format; a card without one takes any.

    Raises:
        DataError: the answer cannot be read.
    """
    if card.answer_format is None:
        return
    try:
        ANSWER_FORMATS[card.answer_format].read(card, answer)
    except DataError as exc:
        raise DataError(f"the answer is no {card.answer_format}: {exc}") from exc
