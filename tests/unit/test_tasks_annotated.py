"""Annotated utterances: brackets are taken off with their offsets; ids and groups are stable; nothing is dropped."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tasks import CONVERTERS, DataError, Slot, builtin_card, parse_intent_slots, read_examples
from tasks.converters.annotated import parse_annotation

ASSISTANT = [
    {"answerid": "7", "scenario": "alarm", "intent": "alarm_query", "annotation": "alarms", "text": "alarms"},
    {
        "answerid": "7",
        "scenario": "iot",
        "intent": "iot_coffee",
        "annotation": "make coffee with the [device_type : coffee machine] at [time : five]",
        "text": "make coffee with the coffee machine at five",
    },
    {"answerid": "8", "scenario": "alarm", "intent": "alarm_query", "annotation": " Alarms", "text": " Alarms"},
]
MASSIVE = [
    {
        "id": "1",
        "scenario": "alarm",
        "intent": "alarm_set",
        "en": "wake me up at nine am",
        "en_annot": "wake me up at [time : nine am]",
        "sv": "väck mig vid nio",
        "sv_annot": "väck mig vid [time : nio]",
    },
    {
        "id": "2",
        "scenario": "alarm",
        "intent": "alarm_set",
        "en": "Wake me up at  nine am",
        "en_annot": "Wake me up at  [time : nine am]",
        "sv": "upp klockan nio",
        "sv_annot": "upp klockan [time : nio]",
    },
]

Rows = Sequence[dict[str, object]] | Sequence[dict[str, str]]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Rows], Path]:
    def write(rows: Rows) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.mark.parametrize(
    ("annotation", "text", "slots"),
    [
        ("alarms", "alarms", []),
        ("at [time : nine am] on [date : friday]!", "at nine am on friday!", [("time", 3, 10), ("date", 14, 20)]),
        ("[a:x][b:y]", "xy", [("a", 0, 1), ("b", 1, 2)]),
        ("see [song : a [live] (b), c: d]", "see a [live] (b), c: d", [("song", 4, 22)]),
        ("[ time  :  nio ]", "nio", [("time", 0, 3)]),
        ("", "", []),
    ],
)
def test_brackets_are_taken_off_and_offsets_point_at_the_values(
    annotation: str, text: str, slots: list[tuple[str, int, int]]
) -> None:
    assert parse_annotation(annotation) == (text, tuple(Slot(n, text[a:b], a, b) for n, a, b in slots))


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ("at [time : nine", "character 3: '[' is never closed"),
        ("at [time : [nine]", "character 3: '[' is never closed"),
        ("at nine]", "character 7: ']' without '['"),
        ("at [nine]", "character 3: '[nine]' is no slot"),
        ("at [time : ]", "is no slot; it is written [type : value]"),
        ("at [ : nine]", "is no slot"),
    ],
)
def test_what_is_no_annotation_is_told_with_its_place(annotation: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_annotation(annotation)
    assert says in str(caught.value)


def test_assistant_rows_become_records_of_the_article(written: Callable[[Rows], Path]) -> None:
    converted = CONVERTERS["assistant"]([written(ASSISTANT)])
    assert [(r["utterance"], r["label"]) for r in converted.records] == [
        ("alarms", "\nIntent: alarm_query\nSlots: None"),
        (
            "make coffee with the coffee machine at five",
            "\nIntent: iot_coffee\nSlots: device_type(coffee machine), time(five)",
        ),
        (" Alarms", "\nIntent: alarm_query\nSlots: None"),
    ]
    assert {tuple(r) for r in converted.records} == {("taskname", "utterance", "label", "id", "group")}
    assert converted.notes == ("3 records in 2 groups",)


def test_assistant_ids_differ_though_answer_ids_do_not_and_depend_on_the_row_alone(
    written: Callable[[Rows], Path],
) -> None:
    both = [r["id"] for r in CONVERTERS["assistant"]([written(ASSISTANT)]).records]
    assert len(set(both)) == 3
    assert all(i.startswith(f"assistant-{row['answerid']}-") for i, row in zip(both, ASSISTANT, strict=True))
    assert [r["id"] for r in CONVERTERS["assistant"]([written(ASSISTANT[1:])]).records] == both[1:]


def test_assistant_groups_are_utterances_but_for_case_and_white_space(written: Callable[[Rows], Path]) -> None:
    first, other, again = (r["group"] for r in CONVERTERS["assistant"]([written(ASSISTANT)]).records)
    assert first == again != other


def test_both_languages_of_massive_share_ids_and_groups(written: Callable[[Rows], Path]) -> None:
    path = written(MASSIVE)
    english, swedish = (CONVERTERS[f"massive-{lang}"]([path]).records for lang in ("en", "sv"))
    assert [r["id"] for r in english] == [r["id"] for r in swedish] == ["massive-1", "massive-2"]
    assert len({r["group"] for r in (*english, *swedish)}) == 1  # the English of both rows is the same utterance
    assert [r["utterance"] for r in swedish] == ["väck mig vid nio", "upp klockan nio"]
    assert swedish[0]["label"] == "\nIntent: alarm_set\nSlots: time(nio)"
    assert english[0]["label"] == "\nIntent: alarm_set\nSlots: time(nine am)"


def test_an_annotation_that_differs_from_its_text_is_used_and_told(written: Callable[[Rows], Path]) -> None:
    converted = CONVERTERS["assistant"]([written([ASSISTANT[0], ASSISTANT[1] | {"text": "make coffee"}])])
    assert converted.records[1]["utterance"] == ASSISTANT[1]["text"]
    assert any(note.startswith("1 annotations differ from their text") for note in converted.notes)


def test_all_faulty_rows_are_told_at_once_with_their_lines(written: Callable[[Rows], Path]) -> None:
    rows = [
        ASSISTANT[0] | {"annotation": "at [nine"},
        {"text": "x"},
        ASSISTANT[0] | {"intent": "two words"},
        ASSISTANT[0] | {"intent": 7},
    ]
    path = written(rows)
    with pytest.raises(DataError) as caught:
        CONVERTERS["assistant"]([path])
    for number, says in enumerate(("never closed", "intent, annotation, answerid", "no identifier", "intent"), start=1):
        assert any(f"{path}:{number}: " in part and says in part for part in str(caught.value).split("; "))


def test_converted_records_are_read_back_under_the_card(written: Callable[[Rows], Path]) -> None:
    records = CONVERTERS["massive-en"]([written(MASSIVE)]).records
    card = builtin_card("intent_and_slot")
    examples = read_examples([written(records)], card)
    assert all(set(r) == {*card.fields, card.answer_field, "taskname", "id", "group"} for r in records)
    assert [(e.id, e.group, e.answer) for e in examples] == [(r["id"], r["group"], r["label"]) for r in records]
    assert parse_intent_slots(examples[0].answer or "").intent == "alarm_set"
