"""Answer formats: how the open answers of a card are written, by the name that its ``answer_format`` gives.

To add one, write a class here and a grammar of the same name in ``promptbank/engine/grammar.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tasks.equivalence import folded
from tasks.errors import DataError
from tasks.metrics import exact_match
from tasks.slot_metrics import intent_slot_report
from tasks.slots import IntentSlots, Slot, parse_intent_slots, render_intent_slots

if TYPE_CHECKING:
    from tasks.card import TaskCard

__all__ = ["ANSWER_FORMATS", "FORMAT_SCORES", "AnswerFormat", "IntentSlotsFormat", "SpanFormat", "check_answer"]

NONE, SPAN = "none", "span"


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


class SpanFormat:
    """One stretch of the text, letter by letter, or "none" where it has no answer."""

    keys: tuple[str, ...] = ()
    shown: tuple[str, ...] = ("word_f1",)

    def read(self, _card: TaskCard, answer: str) -> IntentSlots:
        """Return class "none", or class "span" with the stretch as its only part."""
        text = answer.strip()
        if not text:
            raise DataError('it is blank; give a stretch of the text, or "none"')
        return IntentSlots(NONE) if folded(text) == NONE else IntentSlots(SPAN, (Slot(SPAN, text),))

    def write(self, _card: TaskCard, parts: IntentSlots) -> str:
        """Return the stretch, or "none" where there is no part."""
        return parts.slots[0].value if parts.slots else NONE

    def scores(
        self, _card: TaskCard, _texts: Sequence[str], gold: Sequence[str], predicted: Sequence[str]
    ) -> dict[str, float]:
        """Return how often answers are equal but for white space, and the mean F1 of their words.

        The second is that of SQuAD (Rajpurkar et al. 2016), without its rules for English articles.
        """
        pairs = list(zip(gold, predicted, strict=True))
        f1 = sum(_word_f1(*pair) for pair in pairs) / len(pairs)
        return {"n": len(pairs), "exact_match": exact_match(gold, predicted), "word_f1": f1}


def _word_f1(gold: str, predicted: str) -> float:
    """Return the harmonic mean of precision and recall over words, case aside."""
    wanted, found = (Counter(folded(text).split()) for text in (gold, predicted))
    common = (wanted & found).total()
    return 2 * common / (wanted.total() + found.total()) if common else 0.0


ANSWER_FORMATS: dict[str, AnswerFormat] = {"intent_slots.v1": IntentSlotsFormat(), "span.v1": SpanFormat()}
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
