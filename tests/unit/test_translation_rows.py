"""Rows become records and records rows: only words are shown to an engine, the label's meaning never changes."""

import math
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptbank.errors import InputError
from promptbank.mt.cards import target_card, undecided_words
from promptbank.mt.task_records import source_examples, translated_example
from tasks import DataError, InputRecord, TaskCard, builtin_card, builtin_cards, parse_card
from tests.stores import ROOT
from translate import ClassLabel, IntentLabel, Record, SlotLabel, Span
from translate.inventory.file import shipped_inventory
from translate.inventory.inventory import Decision, Inventory
from translate.pipeline.translated import assemble, label_text

SENTIMENT, SLOTS = builtin_card("sentiment-task", "en"), builtin_card("intent_and_slot", "en")
SWEDISH = shipped_inventory("en", "sv")


def one(data: Mapping[str, object], card: TaskCard) -> tuple[Record, ...]:
    return source_examples([InputRecord(1, data, "rows.jsonl:1")], card, name="rows.jsonl")[0].records


def carried(data: Mapping[str, object], card: TaskCard, inventory: Inventory) -> dict[str, object]:
    """The row through an engine that copies, with every span where it was."""
    row = source_examples([InputRecord(1, data, "rows.jsonl:1")], card, name="rows.jsonl")[0]
    made = [assemble(record, record.text, record.spans, inventory) for record in row.records]
    whole = [record for record in made if record is not None]
    said = next((t for r in row.records if (t := label_text(r, inventory))), "")
    return translated_example(row, whole, said, target_card(card, inventory))


def test_the_phrase_around_a_sentence_is_taken_off_and_its_target_is_protected() -> None:
    row = {"sentence": "Lloyds pays. Sentiment for Lloyds", "label": "positive", "target": "Lloyds", "id": "a"}
    (record,) = one(row, SENTIMENT)
    assert (record.text, record.protected, record.label) == ("Lloyds pays.", ("Lloyds",), ClassLabel("positive"))
    assert record.framed == row["sentence"]


def test_without_a_target_of_its_own_the_last_phrase_of_the_sentence_counts() -> None:
    said = "Sentiment for Acme is up. Sentiment for Tesco"
    (record,) = one({"sentence": said, "label": "negative"}, SENTIMENT)
    assert (record.text, record.protected) == ("Sentiment for Acme is up.", ("Tesco",))


def test_a_row_whose_target_is_another_one_keeps_its_whole_sentence() -> None:
    (record,) = one({"sentence": "Up. Sentiment for Acme", "label": "positive", "target": "Tesco"}, SENTIMENT)
    assert (record.text, record.frame) == ("Up. Sentiment for Acme", None)


def test_an_intent_label_becomes_spans_in_the_order_of_the_text_and_slots_in_that_of_the_label() -> None:
    row = {
        "utterance": "wake me up at nine am on friday",
        "label": "\nIntent: alarm_set\nSlots: date(friday), time(nine am)",
    }
    (record,) = one(row, SLOTS)
    assert record.spans == (Span(14, 21, "time"), Span(25, 31, "date"))
    assert record.label == IntentLabel("alarm_set", (SlotLabel("date", "friday", 1), SlotLabel("time", "nine am", 0)))


def test_a_slot_that_is_not_in_the_text_is_noted_and_not_lost() -> None:
    row = {"utterance": "wake me up", "label": "\nIntent: alarm_set\nSlots: date(friday)"}
    (record,) = one(row, SLOTS)
    assert record.notes == ("src_slot_not_in_text",)
    assert record.label == IntentLabel("alarm_set", (SlotLabel("date", "friday", None),))


def test_a_phrase_with_braces_of_its_own_is_taken_off_and_put_back() -> None:
    card = SENTIMENT.model_copy(update={"phrases": {"for": "{sentence} {{for}} {target}"}})
    (record,) = one({"sentence": "Up {for} Acme", "label": "positive", "target": "Acme"}, card)
    assert (record.text, record.framed) == ("Up", "Up {for} Acme")


def test_the_article_s_row_keeps_its_intent_and_slot_types() -> None:
    row = {
        "taskname": "intent_and_slot",
        "utterance": "start the coffee machine",
        "label": "\nIntent: iot_coffee\nSlots: device_type(coffee machine)",
        "id": "7",
    }
    source = source_examples([InputRecord(1, row, "rows.jsonl:1")], SLOTS, name="rows.jsonl")[0]
    target = assemble(source.records[0], "starta kaffemaskinen", (Span(7, 20, "device_type"),), SWEDISH)
    assert target is not None
    assert translated_example(source, [target], "", target_card(SLOTS, SWEDISH)) == {
        "taskname": "intent_and_slot",
        "utterance": "starta kaffemaskinen",
        "label": "\nIntent: iot_coffee\nSlots: device_type(kaffemaskinen)",
        "id": "7",
        "group": source.example.group,
        "lang": "sv",
    }


def test_label_and_phrase_come_from_the_inventory_and_id_and_group_from_the_source() -> None:
    row = {"sentence": "Up. Sentiment for Acme", "label": "positive", "target": "Acme", "id": "7", "group": "g"}
    assert carried(row, SENTIMENT, SWEDISH) == {
        **row,
        "sentence": "Up. Känslan för Acme",
        "label": "positiv",
        "lang": "sv",
    }


def test_a_derived_id_and_group_are_written_out_so_that_folds_are_the_source_s() -> None:
    row = {"sentence": "Sales rose.", "label": "positive"}
    source = source_examples([InputRecord(1, row, "rows.jsonl:1")], SENTIMENT, name="rows.jsonl")[0].example
    made = carried(row, SENTIMENT, SWEDISH)
    assert (made["id"], made["group"]) == (source.id, source.group)


@given(
    text=st.text(st.characters(categories=("L", "Nd", "Zs", "P"), include_characters="{}"), min_size=1).filter(
        str.strip
    ),
    target=st.sampled_from(["Acme", "A {sentence} B", "Sentiment for X", ""]),
    label=st.sampled_from(["positive", "negative"]),
)
def test_a_copied_row_is_the_same_row(text: str, target: str, label: str) -> None:
    nothing = Inventory("en", "xx")
    tidy = " ".join(text.split())
    row = {"sentence": tidy, "label": label, "id": "1", "group": "g"}
    if target:
        row |= {"sentence": f"{tidy} Sentiment for {target}", "target": target}
    assert carried(row, SENTIMENT, nothing) == {**row, "lang": "xx"}


def test_every_text_field_is_translated_and_a_free_answer_too() -> None:
    card = parse_card(
        {
            "taskname": "qa",
            "prompt_template": "{context} {question}<|VIRTUAL_PROMPT_0|>{answer}",
            "total_virtual_tokens": 1,
            "virtual_token_splits": [1],
            "truncate_field": "context",
            "answer_field": "answer",
        }
    )
    records = one({"context": "A cat sat.", "question": "Who?", "answer": "The cat", "id": "1"}, card)
    assert [(r.id, r.text) for r in records] == [("1", "A cat sat."), ("1#question", "Who?"), ("1#answer", "The cat")]
    made = carried({"context": "A cat sat.", "question": "Who?", "answer": "The cat"}, card, Inventory("en", "xx"))
    assert (made["context"], made["question"], made["answer"]) == ("A cat sat.", "Who?", "The cat")


def test_rows_without_labels_are_taken_when_none_has_one() -> None:
    (record,) = one({"sentence": "Sales rose."}, SENTIMENT)
    assert record.label is None


@pytest.mark.parametrize(
    ("value", "said"),
    [(math.inf, "inf"), ([1.0, math.nan], "[1.0, nan]"), (b"x", "b'x'"), (["\ud800"], r"['\ud800']")],
)
def test_a_row_that_could_not_be_written_again_is_a_fault_of_its_line(value: object, said: str) -> None:
    row = {"sentence": "Sales rose.", "label": "positive", "extra": value}
    with pytest.raises(DataError, match=re.escape(f"rows.jsonl:1: field 'extra' is {said}, which is no JSON value")):
        one(row, SENTIMENT)


def test_a_form_that_the_target_card_does_not_know_is_refused() -> None:
    row = source_examples([InputRecord(1, {"sentence": "Up.", "label": "positive"}, "r:1")], SENTIMENT, name="r")[0]
    with pytest.raises(InputError, match="label_space"):
        translated_example(row, row.records, "toppen", target_card(SENTIMENT, SWEDISH))


def test_a_form_that_means_another_label_is_refused() -> None:
    row = source_examples([InputRecord(1, {"sentence": "Up.", "label": "positive"}, "r:1")], SENTIMENT, name="r")[0]
    with pytest.raises(InputError, match="reads as 'negative'"):
        translated_example(row, row.records, "negativ", target_card(SENTIMENT, SWEDISH))


def test_the_shipped_swedish_cards_are_what_the_shipped_inventory_writes() -> None:
    english = [card for card in builtin_cards() if card.lang == "en"]
    assert [target_card(card, SWEDISH) for card in english] == [builtin_card(c.taskname, "sv") for c in english]
    assert [undecided_words(card, SWEDISH) for card in english] == [[]] * len(english)


def test_the_icelandic_inventory_decides_every_word_of_the_cards_and_waits_for_a_native_speaker() -> None:
    icelandic = shipped_inventory("en", "is")
    english = [card for card in builtin_cards() if card.lang == "en"]
    cards = {card.taskname: target_card(card, icelandic) for card in english}
    assert [undecided_words(card, icelandic) for card in english] == [[]] * len(english)
    assert cards["sentiment-task"].label_space["positive"][0] == "jákvætt"
    assert cards["sentiment-task"].phrases == {"target": "{sentence} Viðhorf til {target}"}
    assert cards["intent_and_slot"].intents == builtin_card("intent_and_slot", "en").intents
    assert {card.lang for card in cards.values()} == {"is"}
    assert {one.status for entries in icelandic.decisions.values() for one in entries.values()} == {"auto"}
    head = (ROOT / "translate" / "inventories" / "labels.is.toml").read_text(encoding="utf-8").partition("src =")[0]
    assert "no native speaker has read them" in head


def test_words_of_a_template_are_translated_and_braces_and_markers_stay() -> None:
    card = parse_card(
        {
            "taskname": "t",
            "prompt_template": "{{x}} {text} Mood: <|VIRTUAL_PROMPT_0|> {label}",
            "total_virtual_tokens": 1,
            "virtual_token_splits": [1],
            "label_space": {"a": ["a"]},
        }
    )
    decided = Inventory("en", "sv", {("text",): {"Mood:": Decision(target="Humör:")}})
    assert target_card(card, decided).prompt_template == "{{x}} {text} Humör: <|VIRTUAL_PROMPT_0|> {label}"
