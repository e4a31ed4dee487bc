"""Intents and slots as text: written, read back, refused where they could not be, and found in the utterance."""

import json
import time

import pytest

from tasks import (
    DataError,
    IntentSlots,
    Slot,
    builtin_card,
    locate,
    parse_intent_slots,
    render_intent_slots,
    sample_path,
)


def answer(*slots: tuple[str, str], intent: str = "play_music") -> IntentSlots:
    return IntentSlots(intent, tuple(Slot(name, value) for name, value in slots))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            answer(("device_type", "coffee machine"), intent="iot_coffee"),
            "\nIntent: iot_coffee\nSlots: device_type(coffee machine)",
        ),
        (answer(intent="alarm_query"), "\nIntent: alarm_query\nSlots: None"),
        (
            answer(("time", "six thirty"), ("date", "tomorrow"), intent="alarm_set"),
            "\nIntent: alarm_set\nSlots: time(six thirty), date(tomorrow)",
        ),
    ],
)
def test_the_text_is_the_articles(given: IntentSlots, text: str) -> None:
    assert render_intent_slots(given) == text
    assert parse_intent_slots(text) == given


@pytest.mark.parametrize(
    "value", ["yes (live), no", "a) b", "(", ":)", "((", "), ", "), b", "b(", "), b (c", ",", " x ", "x\ny", "), 2(a"]
)
def test_values_may_hold_commas_and_any_parentheses(value: str) -> None:
    for given in (answer(("song", value)), answer(("song", value), ("year", "1973"), ("song", value))):
        assert parse_intent_slots(render_intent_slots(given)) == given


def test_a_slot_starts_only_at_a_type_that_the_card_knows() -> None:
    given = answer(("song", "yes (a), live(b)"), ("year", "2001"))
    assert parse_intent_slots(render_intent_slots(given, ["song", "year"]), ["song", "year"]) == given
    with pytest.raises(DataError, match=r"holds '\), live\(', which starts a new slot"):
        render_intent_slots(given)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (answer(("song", "")), "empty value"),
        (answer(("song", "a), b(c")), "starts a new slot"),
        (answer(("a b", "c")), "slot type 'a b' is no identifier"),
        (answer(intent="play music"), "intent 'play music' is no identifier"),
        (answer(intent=""), "is no identifier"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(wrong: IntentSlots, says: str) -> None:
    with pytest.raises(DataError, match=says):
        render_intent_slots(wrong)


def test_an_unknown_type_is_told_with_a_near_one() -> None:
    for call in (
        lambda: render_intent_slots(answer(("dat", "x")), ["date", "time"]),
        lambda: parse_intent_slots("\nIntent: a\nSlots: dat(x)", ["date", "time"]),
    ):
        with pytest.raises(DataError, match="unknown slot type 'dat'; 2 are known, such as date"):
            call()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "character 0: 'Intent:' is needed, not the end"),
        ("sure!", "character 0: 'Intent:' is needed, not 'sure!'"),
        ("\nIntent: ", "character 9: an intent is needed"),
        ("\nIntent: 1a\nSlots: None", "character 9: an intent is needed"),
        ("\nIntent: a", "character 10: 'Slots:' is needed, not the end"),
        ("\nIntent: a b\nSlots: None", "character 11: 'Slots:' is needed, not 'b"),
        ("\nIntent: a\nSlots: ", "character 18: 'None' or a slot"),
        ("\nIntent: a\nSlots: None None", "character 18: 'None' or a slot"),
        ("\nIntent: a\nSlots: date", "character 18: 'None' or a slot"),
        ("\nIntent: a\nSlots: date(x", "character 24: ')' after the value of 'date' is needed, not the end"),
        ("\nIntent: a\nSlots: date(", r"character 23: ')' after the value"),
        ("\nIntent: a\nSlots: date(x), time(y", "character 33: ')' after the value of 'time'"),
        ("\nIntent: a\nSlots: date(x),", "')' after the value of 'date'"),
        ("\nIntent: a\nSlots: date()", "character 23: slot 'date' has an empty value"),
        ("\nIntent: a\nSlots: date(), time(x)", "character 23: slot 'date' has an empty value"),
    ],
)
def test_a_malformed_text_is_told_with_its_place(text: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_intent_slots(text)
    assert says in str(caught.value)


def test_white_space_around_the_parts_does_not_matter() -> None:
    assert parse_intent_slots("  Intent:  a \n\n Slots: date(x) \n") == answer(("date", "x"), intent="a")


def test_a_long_malformed_text_is_read_in_a_moment() -> None:
    started = time.perf_counter()
    with pytest.raises(DataError):
        parse_intent_slots("\nIntent: a\nSlots: b(" + "), c (" * 100_000 + "x", ["b"])
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("values", "utterance", "starts"),
    [
        (["one", "one"], "one or one", [0, 7]),
        (["one", "one", "one"], "one or one", [0, 7, None]),
        (["am"], "call sam at five am", [17]),  # whole words first
        (["kaffe"], "sätt på kaffemaskinen", [8]),  # parts of words where there is no other
        (["five", "five minutes"], "at five for five minutes", [3, 12]),
        (["five minutes", "five"], "five for five minutes", [9, 0]),
        (["b", "a"], "a b a", [2, 4]),  # the text goes on after the slot before
        (["Rome"], "fly to rome", [None]),
        (["aa", "a"], "aaa", [0, 2]),
        (["x"], "", [None]),
    ],
)
def test_values_are_found_where_they_stand(values: list[str], utterance: str, starts: list[int | None]) -> None:
    found = locate([Slot("t", value) for value in values], utterance)
    assert [slot.start for slot in found] == starts
    assert all(slot.start is None or utterance[slot.start : slot.end] == slot.value for slot in found)
    assert all((slot.start is None) == (slot.end is None) for slot in found)


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_shipped_sample_is_of_the_cards_format(part: str) -> None:
    card = builtin_card("intent_and_slot")
    path = sample_path(card, part)  # type: ignore[arg-type]  # train or test
    assert path is not None
    for line in path.read_text().splitlines():
        row = json.loads(line)
        read = parse_intent_slots(row["label"], card.slot_types)
        assert read.intent in (card.intents or ())
        assert render_intent_slots(read, card.slot_types) == row["label"]
        assert all(slot.start is not None for slot in locate(read.slots, row["utterance"]))
