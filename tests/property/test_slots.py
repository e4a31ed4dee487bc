"""Intents and slots: what is written is read back, whatever a person writes; whatever is read never crashes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from tasks import (
    DataError,
    IntentSlots,
    Slot,
    intent_slot_report,
    locate,
    parse_intent_slots,
    render_intent_slots,
)
from tasks.converters.annotated import parse_annotation
from tasks.slots import is_identifier

NAMES = st.from_regex(r"[^\W\d]\w{0,8}", fullmatch=True)
# letters that make borders, and any text; white space alone is no value
VALUES = (st.text(alphabet="ab(), \n", max_size=12) | st.text(max_size=12)).filter(str.strip)
SLOTS = st.lists(st.builds(Slot, NAMES, VALUES), max_size=4)


@given(NAMES, SLOTS, st.booleans())
def test_what_can_be_written_is_read_back(intent: str, slots: list[Slot], known: bool) -> None:
    answer = IntentSlots(intent, tuple(slots))
    types = {slot.type for slot in slots} if known else None
    try:
        text = render_intent_slots(answer, types)
    except DataError:
        assert any("), " in slot.value for slot in slots)  # the one thing that a value must not hold starts so
        return
    assert parse_intent_slots(text, types) == answer


@given(NAMES, SLOTS)
def test_any_value_without_a_border_can_be_written(intent: str, slots: list[Slot]) -> None:
    assume(not any("), " in slot.value for slot in slots))
    render_intent_slots(IntentSlots(intent, tuple(slots)))


@given(st.text() | st.text(alphabet="ab(), \n").map("\nIntent: a\nSlots: ".__add__))
def test_any_text_is_read_or_refused_and_what_was_read_can_be_written(text: str) -> None:
    try:
        answer = parse_intent_slots(text)
    except DataError:
        return
    assert parse_intent_slots(render_intent_slots(answer)) == answer


@given(st.lists(st.tuples(st.text(alphabet="ab c", max_size=6), st.text(alphabet="ab", min_size=1, max_size=3))))
def test_located_slots_never_overlap_and_hold_their_values(parts: list[tuple[str, str]]) -> None:
    utterance = "".join(before + value for before, value in parts)
    found = locate([Slot("t", value) for _, value in parts], utterance)
    spans = sorted((s.start, s.end) for s in found if s.start is not None and s.end is not None)
    assert all(utterance[s.start : s.end] == s.value for s in found if s.start is not None)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@given(st.lists(st.tuples(st.text(alphabet="ab ,("), NAMES, st.text(alphabet="ab[]():", max_size=5)), max_size=4))
def test_an_annotation_is_taken_apart_as_it_was_put_together(parts: list[tuple[str, str, str]]) -> None:
    balanced = [(before, name, value.replace("[", "").replace("]", "") or "x") for before, name, value in parts]
    text, slots = parse_annotation("".join(f"{before}[{name} : {value}]" for before, name, value in balanced))
    assert text == "".join(before + value for before, _, value in balanced)
    assert [(s.type, s.value) for s in slots] == [(name, value) for _, name, value in balanced]
    assert all(text[s.start : s.end] == s.value for s in slots)


@given(st.lists(st.tuples(NAMES, st.lists(st.tuples(NAMES, st.sampled_from("abc")), max_size=3)), min_size=1))
def test_scores_of_gold_against_itself_are_perfect_and_all_scores_are_shares(
    rows: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    gold = [render_intent_slots(IntentSlots(i, tuple(Slot(n, v) for n, v in slots))) for i, slots in rows]
    texts = ["a b c a b c a b c"] * len(gold)
    same = intent_slot_report(texts, gold, gold)
    assert (same.intent_accuracy, same.exact_match, same.grounded, same.parsed) == (1, 1, 1, 1)
    perfect = float(any(slots for _, slots in rows))
    assert (same.slot_precision, same.slot_recall, same.slot_f1, same.span_f1) == (perfect,) * 4
    other = intent_slot_report(texts, gold, gold[1:] + gold[:1]).as_dict()
    assert all(0 <= value <= 1 for key, value in other.items() if key != "n")


@given(st.text(max_size=5))
def test_an_identifier_is_what_the_text_can_hold(text: str) -> None:
    try:
        written = render_intent_slots(IntentSlots(text))
    except DataError:
        assert not is_identifier(text)
        return
    assert parse_intent_slots(written) == IntentSlots(text)
