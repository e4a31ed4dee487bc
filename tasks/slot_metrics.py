"""Scores of predicted intents and slots against gold ones.

Slots count as multisets over all rows (micro averages): by type and value, as text, and by type and place in the
utterance, which also tells two equal values apart.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass

from tasks.equivalence import canonical
from tasks.errors import DataError
from tasks.slots import IntentSlots, locate, parse_intent_slots

__all__ = ["IntentSlotReport", "intent_slot_report"]


@dataclass(frozen=True)
class IntentSlotReport:
    """Scores of one set; shares are 0 to 1, and 0 where undefined.

    Attributes:
        n: rows.
        intent_accuracy: share of rows with the right intent.
        slot_precision: share of the predicted slots that are gold, by type and value.
        slot_recall: share of the gold slots that were predicted, by type and value.
        slot_f1: harmonic mean of the two.
        span_f1: the same by type and place in the utterance; a value that is not there is never right.
        exact_match: share of rows with the right intent and the same slots, in any order.
        grounded: share of rows that can be read and whose every slot value stands in the utterance.
        parsed: share of rows that can be read; others have no intent and no slots.
    """

    n: int
    intent_accuracy: float
    slot_precision: float
    slot_recall: float
    slot_f1: float
    span_f1: float
    exact_match: float
    grounded: float
    parsed: float

    def as_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Row:
    utterance: str
    gold: IntentSlots
    predicted: IntentSlots | None


def intent_slot_report(
    utterances: Sequence[str], gold: Sequence[str], predicted: Sequence[str], types: Collection[str] | None = None
) -> IntentSlotReport:
    """Compare predicted with gold answers of the form of `tasks.slots`.

    Args:
        utterances: the texts that the answers are about.
        gold: label texts, as many.
        predicted: label texts, as many; one that cannot be read is a wrong row.
        types: the slot types of the card, if known.

    Raises:
        ValueError: no rows, or different numbers of them.
        DataError: a gold answer cannot be read; its row counts from 1.
    """
    if not gold or not len(utterances) == len(gold) == len(predicted):
        raise ValueError(
            f"{len(utterances)} utterances, {len(gold)} gold and {len(predicted)} predicted answers; "
            "equal numbers above 0 are needed"
        )
    rows = [
        _Row(utterance, _gold(text, number, types), _parsed(guess, types))
        for number, (utterance, text, guess) in enumerate(zip(utterances, gold, predicted, strict=True), start=1)
    ]
    right, guessed, due = _overlap((_values(row.gold), _values(row.predicted)) for row in rows)
    in_place = _overlap((_spans(row.gold, row), _spans(row.predicted, row)) for row in rows)[0]
    return IntentSlotReport(
        n=len(rows),
        intent_accuracy=_share(rows, lambda row: row.predicted is not None and row.predicted.intent == row.gold.intent),
        slot_precision=right / guessed if guessed else 0.0,
        slot_recall=right / due if due else 0.0,
        slot_f1=_f1(right, guessed, due),
        span_f1=_f1(in_place, guessed, due),
        exact_match=_share(rows, _is_exact),
        grounded=_share(rows, _is_grounded),
        parsed=_share(rows, lambda row: row.predicted is not None),
    )


def _gold(text: str, number: int, types: Collection[str] | None) -> IntentSlots:
    try:
        return parse_intent_slots(text, types)
    except DataError as exc:
        raise DataError(f"gold answer {number} cannot be read: {exc}") from exc


def _parsed(text: str, types: Collection[str] | None) -> IntentSlots | None:
    try:
        return parse_intent_slots(text, types)
    except DataError:
        return None


def _share(rows: Sequence[_Row], holds: Callable[[_Row], bool]) -> float:
    return sum(map(holds, rows)) / len(rows)


def _is_exact(row: _Row) -> bool:
    found = row.predicted
    return found is not None and found.intent == row.gold.intent and _values(found) == _values(row.gold)


def _is_grounded(row: _Row) -> bool:
    return row.predicted is not None and all(slot.value in row.utterance for slot in row.predicted.slots)


def _values(answer: IntentSlots | None) -> Counter[Hashable]:
    return Counter((canonical(slot.type), canonical(slot.value)) for slot in answer.slots) if answer else Counter()


def _spans(answer: IntentSlots | None, row: _Row) -> Counter[Hashable]:
    """Return types with places; values that have none are left out."""
    placed = locate(answer.slots, row.utterance) if answer else ()
    return Counter((slot.type, slot.start, slot.end) for slot in placed if slot.start is not None)


def _overlap(pairs: Iterable[tuple[Counter[Hashable], Counter[Hashable]]]) -> tuple[int, int, int]:
    """Return how many are in both, predicted and gold."""
    sizes = [((gold & found).total(), found.total(), gold.total()) for gold, found in pairs]
    both, guessed, due = map(sum, zip(*sizes, strict=True))
    return both, guessed, due


def _f1(right: int, guessed: int, due: int) -> float:
    return 2 * right / (guessed + due) if guessed + due else 0.0
