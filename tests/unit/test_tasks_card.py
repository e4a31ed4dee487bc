"""Templates and cards: scanned by hand, every fault at once, with its place."""

import hashlib
import json
from pathlib import Path

import pytest

from tasks import (
    CardError,
    DataError,
    Field,
    SpecError,
    TaskRef,
    Text,
    UnknownCardError,
    UnknownLabelError,
    VirtualBlock,
    builtin_card,
    builtin_cards,
    parse_card,
    parse_spec,
    read_cards,
    read_examples,
    sample_path,
    scan_template,
    variant_names,
)

SOUND = {
    "taskname": "mood",
    "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "label_space": {"good": ["good", "fine"], "bad": ["bad"]},
}


def faults(**changes: object) -> list[tuple[str, int | None, str]]:
    with pytest.raises(CardError) as caught:
        parse_card(SOUND | changes, source="cards.jsonl:1")
    assert "cards.jsonl:1" in str(caught.value)
    return [(f.where, f.position, f.message) for f in caught.value.faults]


def test_a_template_is_scanned_into_its_segments() -> None:
    segments, found = scan_template("a {{b}} {c}<|VIRTUAL_PROMPT_0|><|VIRTUAL_PROMPT_1|> {label}")
    assert found == ()
    assert segments == (Text("a {b} "), Field("c"), VirtualBlock(0), VirtualBlock(1), Text(" "), Field("label"))


@pytest.mark.parametrize(
    ("template", "position", "says"),
    [
        ("ab {text", 3, "never closed"),
        ("ab } {label}", 3, "without '{'"),
        ("ab {} c", 3, "is no field name"),
        ("{ \n}", 0, "is no field name: it is empty"),
        ("a{b<|VIRTUAL_PROMPT_0|>}", 1, "is no field name: it holds a marker"),
        ("x<|VIRTUAL_PROMPT_x|>", 1, "is no marker"),
        ("x<|VIRTUAL_PROMPT_0>", 1, "is no marker"),
        ("x<|VIRTUAL_PROMPT_00|>", 1, "is no marker"),
        ("x<|VIRTUAL_PROMPT_٠|>", 1, "is no marker"),
        ("x<|VIRTUAL_PROMPT_" + "9" * 5000 + "|>", 1, "is no marker"),
    ],
)
def test_a_fault_of_a_template_has_its_position(template: str, position: int, says: str) -> None:
    found = scan_template(template)[1]
    assert found[0].position == position
    assert says in found[0].message


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"prompt_template": "{text} {label}"}, "prompt_template", "no <|VIRTUAL_PROMPT_0|>"),
        ({"prompt_template": "<|VIRTUAL_PROMPT_1|>{text} {label}"}, "prompt_template", "must be numbered [0]"),
        ({"prompt_template": "<|VIRTUAL_PROMPT_0|><|VIRTUAL_PROMPT_0|>{text}{label}"}, "prompt_template", "2 times"),
        ({"virtual_token_splits": [2, 2]}, "virtual_token_splits", "2 splits for 1 marker"),
        ({"virtual_token_splits": [0], "total_virtual_tokens": 0}, "virtual_token_splits", "at least 1"),
        ({"total_virtual_tokens": 5}, "total_virtual_tokens", "add up to 4"),
        ({"prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label} end"}, "prompt_template", "last thing"),
        ({"prompt_template": "{label}<|VIRTUAL_PROMPT_0|>{text}"}, "prompt_template", "last thing"),
        ({"prompt_template": "{text}<|VIRTUAL_PROMPT_0|>{label}{label}"}, "prompt_template", "more than once"),
        ({"prompt_template": "{text}<|VIRTUAL_PROMPT_0|>"}, "prompt_template", "does not hold the answer field"),
        ({"prompt_template": "<|VIRTUAL_PROMPT_0|>{label}"}, "prompt_template", "no text field"),
        ({"truncate_field": "label"}, "truncate_field", "no text field of the template"),
        ({"taskname": "a:b"}, "taskname", "must not be empty"),
        ({"taskname": "a.b"}, "taskname", "must not be empty"),
        ({"lang": "Swedish"}, "lang", "no language code"),
        ({"label_space": {}}, "label_space", "is empty"),
        ({"label_space": {"a": []}}, "label_space.a", "has no form"),
        ({"label_space": {"a": ["x"], "b": ["X "]}}, "label_space.b", "also means 'a'"),
        ({"label_space": {"a": ["b"], "b": ["c"]}}, "label_space.b", "also means 'a'"),
        ({"label_space": {"a": [" "]}}, "label_space.a", "blank"),
        ({"total_virtual_tokens": "4"}, "total_virtual_tokens", "integer"),
        ({"virtual_tokens": 4}, "virtual_tokens", "did you mean"),
        ({"label_space": [["a", ["x"]], ["a", ["y"]]]}, "label_space", "object"),
        ({"label_space": [[["a"], ["x"]]]}, "label_space", "object"),
        ({"description": "a\ud800"}, "description", "no text that can be stored"),
        ({"label_space": {"a": ["x\0"]}}, "label_space", "no text that can be stored"),
    ],
)
def test_every_kind_of_fault_is_found(changes: dict[str, object], where: str, says: str) -> None:
    assert any(w == where and says in message for w, _, message in faults(**changes))


def test_many_misnumbered_markers_are_told_without_a_list_of_all_right_numbers() -> None:
    found = faults(prompt_template="{text}" + "".join(f"<|VIRTUAL_PROMPT_{2 * n}|>" for n in range(20)) + "{label}")
    assert [m for w, _, m in found if w == "prompt_template"] == [
        f"marker {2 * n}, but the markers must be numbered 0 to 19" for n in range(10, 20)
    ]
    assert next(p for w, p, _ in found if w == "prompt_template") == len("{text}" + 10 * "<|VIRTUAL_PROMPT_0|>") + 5


def test_faults_of_keys_are_found_beside_keys_of_a_wrong_type() -> None:
    found = faults(total_virtual_tokens="4", label_space=[["a", ["x"]], ["b", ["X"]]], virtual_token_splits=[0])
    assert [w for w, _, _ in found] == ["total_virtual_tokens", "virtual_token_splits", "label_space.b"]


def test_all_faults_are_told_at_once() -> None:
    found = faults(prompt_template="{text <|VIRTUAL_PROMPT_2|> {label} x", total_virtual_tokens=9, lang="x", extra=1)
    assert {where for where, _, _ in found} == {"extra", "lang", "prompt_template", "total_virtual_tokens"}
    assert len(found) >= 6


def test_a_key_of_the_wrong_type_hides_no_fault_of_another_key() -> None:
    found = faults(total_virtual_tokens="4", virtual_token_splits=[0], lang="x", label_space={"a": ["b"], "b": ["b"]})
    assert {where for where, _, _ in found} == {
        "total_virtual_tokens",
        "virtual_token_splits",
        "lang",
        "label_space.b",
    }


@pytest.mark.parametrize(
    ("template", "position", "says"),
    [
        ("{text}<|VIRTUAL_PROMPT_0|> <|VIRTUAL_PROMPT_0|>{label}", 27, "marker 0 stands 2 times"),
        ("{text}<|VIRTUAL_PROMPT_0|> <|VIRTUAL_PROMPT_2|>{label}", 27, "marker 2, but"),
        ("{text}<|VIRTUAL_PROMPT_0|>{label}{{label}}", 26, "must be the last thing"),
        ("{{label}}{text}{label}<|VIRTUAL_PROMPT_0|>{label}", 42, "more than once"),
    ],
)
def test_a_fault_of_the_order_points_at_the_place(template: str, position: int, says: str) -> None:
    assert any(where == position and says in message for _, where, message in faults(prompt_template=template))


def test_what_is_no_object_is_no_card() -> None:
    with pytest.raises(CardError, match="a card is a JSON object, not list"):
        parse_card([])  # type: ignore[arg-type]  # what a careless caller passes


def test_labels_are_found_by_id_form_case_and_white_space() -> None:
    card = parse_card(SOUND)
    assert [card.label_id(text) for text in ("good", "fine", " FINE ", "Bad")] == ["good", "good", "good", "bad"]
    assert card.form("good") == "good"
    with pytest.raises(UnknownLabelError, match=r"unknown label 'so-so'.*good \(good, fine\), bad \(bad\)"):
        card.label_id("so-so")


def test_a_card_comes_back_from_its_canonical_json_in_order() -> None:
    card = parse_card(SOUND | {"label_space": {"z": ["z"], "a": ["a"]}})
    back = parse_card(json.loads(card.canonical_json()))
    assert back == card
    assert list(back.label_space or {}) == ["z", "a"]
    assert back.sha256 == card.sha256


STRUCTURED = {
    "taskname": "asks",
    "prompt_template": "{text}<|VIRTUAL_PROMPT_0|>{label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "answer_format": "intent_slots.v1",
    "intents": ["ask", "tell"],
    "slot_types": ["date"],
}


def test_an_open_card_may_say_what_its_answers_are() -> None:
    card = parse_card(STRUCTURED)
    assert (card.is_open, card.intents, card.slot_types, card.text_field) == (True, ("ask", "tell"), ("date",), "text")
    assert parse_card(json.loads(card.canonical_json())) == card
    two = {"prompt_template": "{a}{b}<|VIRTUAL_PROMPT_0|>{label}", "truncate_field": "b"}
    assert parse_card(STRUCTURED | two).text_field == "b"


def test_a_card_without_an_answer_format_keeps_the_hash_it_was_stored_under() -> None:
    # canonical JSON as it was before the keys for answer formats came
    stored = (
        '{"answer_field": "label", "answer_only_loss": true, "description": "", "label_space": null, "lang": "en", '
        '"phrases": {}, "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}", "taskname": "mood", '
        '"total_virtual_tokens": 4, "truncate_field": null, "virtual_token_splits": [4]}'
    )
    card = parse_card({key: value for key, value in SOUND.items() if key != "label_space"})
    assert card.canonical_json() == stored
    assert card.sha256 == hashlib.sha256(stored.encode()).hexdigest()
    assert {"answer_format", "intents", "slot_types"}.isdisjoint(card.plain())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"answer_format": None}, {"intents": "is for cards", "slot_types": "is for cards"}),
        ({"answer_format": "xml"}, {"answer_format": "unknown 'xml'; known: intent_slots.v1"}),
        ({"label_space": {"a": ["a"]}}, {"answer_format": "is for open answers"}),
        ({"intents": None, "slot_types": []}, {"intents": "name at least one", "slot_types": "name at least one"}),
        ({"intents": ["a b", "c", "c"]}, {"intents.0": "'a b' is no identifier", "intents.2": "'c' stands above"}),
        ({"slot_types": ["a", 7]}, {"slot_types.1": "string"}),
        ({"slot_types": ["a("]}, {"slot_types.0": "'a(' is no identifier"}),
        ({"prompt_template": "{a}{b}<|VIRTUAL_PROMPT_0|>{label}"}, {"truncate_field": "one of a, b"}),
        (
            {"answer_format": "xml", "intents": ["1"], "slot_types": ["2"], "lang": "x"},
            {"answer_format": "unknown", "intents.0": "'1'", "slot_types.0": "'2'", "lang": "code"},
        ),
    ],
)
def test_every_fault_of_an_answer_format_is_told_at_once(changes: dict[str, object], found: dict[str, str]) -> None:
    with pytest.raises(CardError) as caught:
        parse_card(STRUCTURED | changes)
    told = {fault.where: fault.message for fault in caught.value.faults}
    assert told.keys() == found.keys()
    assert all(says in told[where] for where, says in found.items())


def test_the_template_hash_is_over_what_is_rendered() -> None:
    card = parse_card(SOUND)
    assert parse_card(SOUND | {"description": "other"}).template_sha256 == card.template_sha256
    for change in ({"prompt_template": "{text}<|VIRTUAL_PROMPT_0|>{label}"}, {"label_space": {"good": ["good"]}}):
        assert parse_card(SOUND | change).template_sha256 != card.template_sha256


def test_faults_of_a_file_of_cards_name_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    path.write_text(
        "\n".join(json.dumps(SOUND | change) for change in ({}, {"lang": "X"}, {"total_virtual_tokens": 1}))
    )
    with pytest.raises(CardError) as caught:
        read_cards(path)
    assert [fault.where for fault in caught.value.faults] == ["line 2, lang", "line 3, total_virtual_tokens"]
    path.write_text(f"{json.dumps(SOUND)}\n{json.dumps(SOUND | {'lang': 'en', 'total_virtual_tokens': 4})}\n")
    with pytest.raises(CardError, match="line 2, taskname: mood:en stands above already"):
        read_cards(path)
    path.write_text("")
    with pytest.raises(DataError, match="holds no card"):
        read_cards(path)


def test_built_in_cards_are_found_by_name_language_and_variant() -> None:
    assert builtin_card("sentiment-task").lang == "en"
    assert builtin_card("sentiment-task", "sv").form("positive") == "positiv"
    assert variant_names() == ["around", "article"]
    article = [card for card in builtin_cards("article") if card.taskname == "sentiment-task"]
    assert [(c.total_virtual_tokens, c.virtual_token_splits) for c in article] == [(16, (10, 6)), (10, (10,))]
    with pytest.raises(UnknownCardError, match="did you mean sentiment-task"):
        builtin_card("sentiment_task")
    with pytest.raises(UnknownCardError, match="languages: en, sv"):
        builtin_card("sentiment-task", "gl")
    with pytest.raises(UnknownCardError, match="variants: around, article"):
        builtin_card("sentiment-task", variant="nope")


@pytest.mark.parametrize(
    ("taskname", "sizes"), [("sentiment-task", (240, 60)), ("topic-task", (120, 40)), ("intent_and_slot", (60, 20))]
)
def test_shipped_samples_fit_their_cards_and_share_no_group(taskname: str, sizes: tuple[int, int]) -> None:
    card = builtin_card(taskname)
    train, test = (read_examples([sample_path(card, part)], card) for part in ("train", "test"))
    assert (len(train), len(test)) == sizes
    assert not {e.group for e in train} & {e.group for e in test}
    assert not {tuple(e.fields.values()) for e in train} & {tuple(e.fields.values()) for e in test}
    if card.label_space:
        assert {e.answer for e in train} == {e.answer for e in test} == set(card.label_space)


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("a", TaskRef("a")),
        ("a:sv", TaskRef("a", "sv")),
        ("a@12", TaskRef("a", None, 12)),
        ("intent_and_slot:pt-BR@3", TaskRef("intent_and_slot", "pt-BR", 3)),
    ],
)
def test_references_follow_one_grammar_both_ways(text: str, ref: TaskRef) -> None:
    assert parse_spec(text) == ref
    assert str(ref) == text


@pytest.mark.parametrize("text", ["", ":sv", "a:", "a@", "a@0", "a@x", "a b", "a.b", "a/b", "a:SV", "a@1@2", "a:sv:no"])
def test_what_is_no_reference_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(SpecError, match=r"taskname\[:lang\]\[@version\]"):
        parse_spec(text)
