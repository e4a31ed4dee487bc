"""Names and values as people and programs write them: any name, numbers and booleans as JSON text, null as absent.

Sources: deepset-ai/FARM 66 (labels True and False), mathesar-foundation/mathesar 2656 (1.0), zai-org/GLM-4 591
(objects that are no JSON), pandas (numbers with NaN become floats), NeMo templates of its users.
"""

from __future__ import annotations

import json

import pytest

from tasks import CardError, DataError, Example, Field, InputRecord, TaskCard, example_from, parse_card, scan_template
from tasks.records import json_type

CARD = {
    "taskname": "mood",
    "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "label_space": {"true": ["true", "yes"], "1": ["1"], "2.5": ["2.5"]},
}


def made(card: dict[str, object] = CARD, **data: object) -> Example:
    return example_from(InputRecord(1, data, "f:1"), parse_card(card), need_answer=True)


@pytest.mark.parametrize(
    "name",
    ["fråga", "句子", "intent options", "factual?", "text!r", "0", "a.b", "Q: 1/2", "عنوان", "मौसम", "x-y", " text "],
)
def test_any_text_without_braces_names_a_field(name: str) -> None:
    template = f"{{{name}}}<|VIRTUAL_PROMPT_0|> {{label}}"
    assert scan_template(template)[1] == ()
    card = parse_card(CARD | {"prompt_template": template, "truncate_field": name})
    assert card.fields == (name,)
    record = InputRecord(1, {name: "a", "label": 1}, "f:1")
    assert dict(example_from(record, card, need_answer=True).fields) == {name: "a"}


def test_the_answer_field_may_have_any_name_too() -> None:
    template = "{text}<|VIRTUAL_PROMPT_0|> {svar?}"
    card = parse_card(CARD | {"prompt_template": template, "answer_field": "svar?"})
    assert example_from(InputRecord(1, {"text": "a", "svar?": True}, "f:1"), card, need_answer=True).answer == "true"
    assert card.segments[-1] == Field("svar?")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (17, "17"),
        (-3, "-3"),
        (17.0, "17.0"),
        (0.1, "0.1"),
        (1e100, "1e+100"),
        (10**30, "1" + "0" * 30),
        ("17.0", "17.0"),
    ],
)
def test_numbers_and_booleans_count_as_their_json_text(value: object, text: str) -> None:
    example = made(text=value, label=1, id=value, group=value)
    assert (example.fields["text"], example.id, example.group) == (text, text, text)
    assert text == (value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize(
    ("label", "answer"), [(True, "true"), ("True", "true"), (1, "1"), (2.5, "2.5"), ("2.5 ", "2.5")]
)
def test_labels_may_be_booleans_and_numbers(label: object, answer: str) -> None:
    assert made(text="a", label=label).answer == answer


def test_a_float_is_not_rounded_to_a_label() -> None:
    with pytest.raises(DataError, match=r"unknown label '1\.0'"):
        made(text="a", label=1.0)


def test_null_means_absent_everywhere() -> None:
    absent = made(text="a", label=1)
    assert made(text="a", label=1, id=None, group=None, lang=None, taskname=None, more=None) == absent
    with pytest.raises(DataError) as caught:
        made(text=None, label=None)
    assert str(caught.value) == (
        "f:1: field 'text' is null; the record has 'text', 'label'; the answer field 'label' is missing"
    )


@pytest.mark.parametrize("value", [["a"], {"a": "b"}, [], {}])
def test_arrays_and_objects_are_no_text(value: object) -> None:
    with pytest.raises(DataError) as caught:
        made(text=value, label=1)
    assert f"field 'text' must be text, not {json.dumps(value)}" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({}, "an object"), ([], "an array"), ("", "a string"), (True, "a boolean"), (1, "a number"), (1.5, "a number"),
        (None, "null"),
    ],
)  # fmt: skip
def test_types_are_called_as_in_json(value: object, name: str) -> None:
    assert json_type(value) == name


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"virtual_token_splits": "4"}, "virtual_token_splits", 'Input should be a valid array (not "4")'),
        ({"virtual_token_splits": {"a": 4}}, "virtual_token_splits", 'Input should be a valid array (not {"a": 4})'),
        ({"virtual_token_splits": [True]}, "virtual_token_splits.0", "Input should be a valid integer (not true)"),
        ({"total_virtual_tokens": 4.0}, "total_virtual_tokens", "Input should be a valid integer (not 4.0)"),
        ({"label_space": ["a"]}, "label_space", 'Input should be a valid object (not ["a"])'),
        ({"label_space": {"a": "b"}}, "label_space.a", 'Input should be a valid array (not "b")'),
        ({"label_space": {"a": [None]}}, "label_space.a.0", "Input should be a valid string (not null)"),
        ({"answer_only_loss": "yes"}, "answer_only_loss", 'Input should be a valid boolean (not "yes")'),
        ({"description": "x" * 99, "phrases": []}, "phrases", "Input should be a valid object (not [])"),
    ],
)
def test_faults_of_cards_speak_json(changes: dict[str, object], where: str, says: str) -> None:
    with pytest.raises(CardError) as caught:
        parse_card(CARD | changes)
    assert (where, says) in [(fault.where, fault.message) for fault in caught.value.faults]
    assert not {"tuple", "dict", "True", "None"} & set(str(caught.value).split())


def test_a_missing_key_is_told_without_the_whole_card() -> None:
    card = {key: value for key, value in CARD.items() if key != "taskname"}
    with pytest.raises(CardError, match=r"the card has faults: taskname: Field required$"):
        parse_card(card)


def test_parsed_and_python_cards_are_the_same() -> None:
    assert isinstance(parse_card(CARD), TaskCard)
    assert parse_card(CARD | {"virtual_token_splits": (4,)}) == parse_card(CARD)
