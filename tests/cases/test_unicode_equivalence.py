"""One word in two Unicode forms is one word: names, labels, groups and duplicates; stored bytes stay as given.

Sources: persephone-tools/persephone 125, ArcReel/ArcReel 1578 (Vietnamese), LuminizeH/nogizaka-call 1 (kana),
Garmelon/PFERD 141 (names from macOS).
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from tasks import (
    CardError,
    DataError,
    InputRecord,
    IntentSlots,
    Slot,
    UnknownCardError,
    data_sha256,
    exact_match,
    example_from,
    fold_of,
    intent_slot_report,
    parse_card,
    parse_intent_slots,
    pick_card,
    read_cards,
    read_examples,
    render_intent_slots,
)
from tasks.equivalence import canonical, folded, is_among

WORDS = ["köp", "Hiếu", "ダンス", "Ångström", "한국어", "Ελλάδα"]
TWO_FORMS = [(unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)) for word in WORDS]


def card_with(**changes: object) -> object:
    sound = {
        "taskname": "mood",
        "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
        "total_virtual_tokens": 4,
        "virtual_token_splits": [4],
        "label_space": {"good": ["good"], "bad": ["bad"]},
    }
    return parse_card(sound | changes)


@pytest.mark.parametrize(("composed", "apart"), TWO_FORMS)
def test_the_forms_of_a_word_count_as_equal_and_other_words_do_not(composed: str, apart: str) -> None:
    assert composed != apart
    assert canonical(composed) == canonical(apart)
    assert folded(f" {composed}\n") == folded(apart.upper().lower())
    assert is_among(apart, ["x", composed])
    assert is_among(composed, [apart])
    assert not is_among(composed, ["x", f"{apart}x"])
    assert canonical("kop") != canonical("köp")


@pytest.mark.parametrize(
    ("one", "other"),
    [("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Ǆ", "ǆ"), ("ῼ", "ῳ"), ("ΐ", "Ϊ́")],
)
def test_case_never_counts_where_a_label_is_compared(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    card = card_with(label_space={"a": [one], "b": ["other"]})
    assert card.label_id(other) == "a"


@pytest.mark.parametrize(("composed", "apart"), TWO_FORMS)
def test_a_label_is_known_in_either_form(composed: str, apart: str) -> None:
    for given, asked in ((composed, apart), (apart, composed)):
        card = card_with(label_space={given: [f"{given} nu"], "x": ["x"]})
        assert card.label_id(asked) == card.label_id(f" {asked} NU") == given
        assert card.form(given) == f"{given} nu"  # as it was given
        with pytest.raises(CardError, match="also means"):
            card_with(label_space={given: ["a"], asked: ["b"]})


def test_one_taskname_in_two_forms_is_one_task(tmp_path: Path) -> None:
    composed, apart = TWO_FORMS[0]
    cards = [card_with(taskname=name).plain() for name in (composed, apart)]
    path = tmp_path / "cards.jsonl"
    path.write_text("".join(json.dumps(card) + "\n" for card in cards))
    with pytest.raises(CardError, match=r"line 2, taskname: .* stands above already"):
        read_cards(path)
    path.write_text(json.dumps(cards[1]) + "\n")
    (stored,) = read_cards(path)
    assert stored.taskname == apart
    assert pick_card([stored], composed) is pick_card([stored], apart) is stored
    with pytest.raises(UnknownCardError):
        pick_card([stored], "kop")
    for name in (composed, apart):
        record = InputRecord(1, {"taskname": name, "text": "a", "label": "good"}, "f:1")
        assert example_from(record, stored, need_answer=True).taskname == apart


def test_one_text_in_two_forms_is_one_group_and_keeps_its_bytes(tmp_path: Path) -> None:
    card, path = card_with(), tmp_path / "x.jsonl"
    rows = [{"text": f"vi {word} nu", "label": "good"} for word in TWO_FORMS[0]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read_examples([path], card)
    assert [first.fields["text"], second.fields["text"]] == [row["text"] for row in rows]
    assert first.group == second.group
    assert first.id != second.id
    assert data_sha256([first]) != data_sha256([second])


def test_groups_of_other_forms_never_straddle_a_split() -> None:
    composed, apart = TWO_FORMS[1]
    made = [
        example_from(InputRecord(1, {"text": t, "label": "good", "group": g}, "f:1"), card_with(), need_answer=True)
        for t, g in (("a", composed), ("b", apart))
    ]
    assert {example.group for example in made} == {composed}
    assert all(fold_of(example.group, 10) == fold_of(composed, 10) for example in made)


def test_ids_that_differ_in_form_only_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"text": f"t{n}", "label": "good", "id": own} for n, own in enumerate(TWO_FORMS[0])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="stands at"):
        read_examples([path], card_with())


@pytest.mark.parametrize(("composed", "apart"), TWO_FORMS)
def test_a_field_is_found_in_either_form(composed: str, apart: str) -> None:
    for template, key in ((composed, apart), (apart, composed)):
        card = card_with(prompt_template=f"{{{template}}}<|VIRTUAL_PROMPT_0|> {{label}}", truncate_field=template)
        record = InputRecord(1, {key: "hej", "label": "bad"}, "f:1")
        assert dict(example_from(record, card, need_answer=True).fields) == {composed: "hej"}


def test_intents_and_slot_types_are_known_in_either_form() -> None:
    composed, apart = TWO_FORMS[0]
    label = render_intent_slots(IntentSlots("do", (Slot(apart, "mjölk"),)), [composed])
    assert parse_intent_slots(label, [composed]).slots[0].type == apart
    assert parse_intent_slots(f"\nIntent: do\nSlots: a(x), {apart}(y)", ["a", composed]).slots[1].value == "y"
    format_keys = {"label_space": None, "answer_format": "intent_slots.v1", "intents": ["do"]}
    with pytest.raises(CardError, match="stands above already"):
        card_with(**format_keys, slot_types=[composed, apart])
    assert card_with(**format_keys, slot_types=["मौसम", "place"]).slot_types == ("मौसम", "place")


def test_answers_in_either_form_are_equally_right() -> None:
    composed, apart = TWO_FORMS[0]
    assert exact_match([f"vi  {composed}"], [f"vi {apart}"]) == 1.0
    gold, said = (f"\nIntent: do\nSlots: a({word})" for word in (composed, apart))
    report = intent_slot_report([f"vi {composed}"], [gold], [said])
    assert (report.slot_f1, report.exact_match) == (1.0, 1.0)
