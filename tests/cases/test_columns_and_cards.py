"""Columns under other names, and a card that is drafted from data.

Sources: banking77 (77 labels, columns text and label, or category), huggingface/datasets' emotion (labels as numbers),
snipsco/nlu-benchmark (intents such as BookRestaurant), files with spaces, dots and umlauts in their names.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks import CardError, DataError, InputRecord, read_cards, read_examples
from tasks.data import parse_columns, read_data, rename_columns
from tasks.draft import draft_card, sound_taskname


def records(*rows: dict[str, object]) -> list[InputRecord | DataError]:
    return [InputRecord(number, row, f"f:{number}") for number, row in enumerate(rows, start=1)]


def pairs(*told: tuple[object, object]) -> list[InputRecord | DataError]:
    return records(*({"query": text, "intent": label} for text, label in told))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("text=utterance,label=intent", {"text": "utterance", "label": "intent"}),
        (" text = utterance , label = intent ", {"text": "utterance", "label": "intent"}),
        ('text="what, when",label=intent', {"text": '"what', 'when"': ""}),
        ('"text=what, when",label=a=b', {"text": "what, when", "label": "a=b"}),
        ("fråga=Köptext 1", {"fråga": "Köptext 1"}),
    ],
)
def test_columns_are_given_as_field_and_column(text: str, columns: dict[str, str]) -> None:
    if "" in columns.values():
        with pytest.raises(DataError, match="is no field=column"):
            parse_columns(text)
    else:
        assert parse_columns(text) == columns


@pytest.mark.parametrize("text", ["", "text", "text=", "=utterance", "text=a,text=b", "text=a,,label=b"])
def test_columns_that_cannot_be_meant_are_refused_with_the_way_to_write_them(text: str) -> None:
    with pytest.raises(DataError, match=r"text=utterance,label=intent|stands twice"):
        parse_columns(text)


def test_renamed_columns_are_fields_and_the_rest_stays() -> None:
    rows = records({"utterance": "hi", "intent": "greet", "label": 3, "id": "7"}, {"utterance": "bye", "id": "8"})
    first, second = rename_columns(iter(rows), {"text": "utterance", "label": "intent"})
    assert first.data == {"text": "hi", "label": "greet", "id": "7"}
    assert "f:2: column 'intent' is missing; the record has 'utterance', 'id'" in str(second)
    (both,) = rename_columns(iter(records({"a": "x", "b": "y"})), {"a": "b", "b": "a"})
    assert both.data == {"a": "y", "b": "x"}


def test_a_file_with_other_columns_is_read_for_a_card(tmp_path: Path) -> None:
    path = tmp_path / "banking.csv"
    path.write_text("text;category;extra\nWhere is my card?;card_arrival;1\n")
    (record,) = read_data(str(path), columns=parse_columns("query=text,intent=category"))
    assert record.data == {"query": "Where is my card?", "intent": "card_arrival", "extra": "1"}


@pytest.mark.parametrize(
    ("name", "taskname"),
    [
        ("tickets.csv", "tickets"),
        ("data/Support tickets (v2).tsv.gz", "Support-tickets-(v2)"),
        ("fråga.svar:2024.jsonl", "fråga-svar-2024"),
        ("../a@b{c}.xlsx", "a-b-c"),
        ("owner/set", "set"),
        ("...", "task"),
    ],
)
def test_a_sound_taskname_is_made_of_a_file_name(name: str, taskname: str) -> None:
    assert sound_taskname(name) == taskname


@pytest.mark.parametrize(
    ("labels", "forms"),
    [
        (["card_arrival", "pin_lost"], {"card_arrival": "card arrival", "pin_lost": "pin lost"}),
        (["BookRestaurant", "PlayMusic"], {"BookRestaurant": "book restaurant", "PlayMusic": "play music"}),
        (["ham", "Spam", "spam", "spam "], {"ham": "ham", "spam": "spam"}),
        (["a_b", "a b", "c"], {"a b": "a b", "a_b": "a_b", "c": "c"}),
        (["R&D", "e-mail", "U.S. news"], {"R&D": "R&D", "U.S. news": "U.S. news", "e-mail": "e-mail"}),
        (["ko\u0308p", "köp", "sälj"], {"köp": "köp", "sälj": "sälj"}),
        ([0, 1, True], {"0": "0", "1": "1", "true": "true"}),
    ],
)
def test_labels_come_as_they_stand_and_are_written_in_plain_words(labels: list[object], forms: dict[str, str]) -> None:
    told = [("how are you", label) for label in labels]
    space = draft_card(pairs(*told), text="query", label="intent", name="x").card.label_space
    assert space == {label: (form,) for label, form in forms.items()}


def orders(count: int, different: int, *, none: int = 0, elsewhere: int = 0) -> list[tuple[str, object]]:
    """Return texts with order numbers to be copied, some without one, and some whose answer is not in the text."""
    found: list[tuple[str, object]] = [
        (f"my order NO-{n % different} is late", f" NO-{n % different}") for n in range(count)
    ]
    return [*found, *[("hello", "None")] * none, *[(f"call {n}", f"other {n}") for n in range(elsewhere)]]


@pytest.mark.parametrize(
    ("told", "answer_format", "labels", "said"),
    [
        (
            orders(40, 40),
            "span.v1",
            0,
            '40 of 40 answers stand letter by letter in their text: they are copied from it ("an',
        ),
        (
            orders(38, 38, none=3, elsewhere=2),
            "span.v1",
            0,
            '38 of 43 answers stand letter by letter in their text, and 3 are "none": they',
        ),
        (orders(37, 37, elsewhere=2), None, 0, "the 39 different answers of 39 records are open answers"),  # 94.9 %
        (orders(45, 15), None, 15, 'in their text: if they are to be copied, give "answer_format": "span.v1"'),
        (orders(44, 14, none=1), None, 15, 'in their text, and 1 is "none": if they are to be copied'),
        (orders(10, 10, elsewhere=3), None, 13, "the 13 different answers of 13 records are labels; the rarest"),
        ([("good or bad", "x"), ("good", "none")], None, 2, "2 different answers of 2 records are labels; the rarest"),
        (
            [("good", "none"), ("x y", "x")],
            None,
            2,
            '1 of 2 answers stand letter by letter in their text, and 1 is "none"',
        ),
    ],
)
def test_answers_that_stand_in_their_text_are_taken_for_copies_where_there_are_too_many_for_labels(
    told: list[tuple[str, object]], answer_format: str | None, labels: int, said: str
) -> None:
    draft = draft_card(pairs(*told), text="query", label="intent", name="x")
    assert (draft.card.answer_format, len(draft.card.label_space or ())) == (answer_format, labels)
    assert said in draft.guesses[0]
    assert ("copied" in draft.guesses[0]) is ("in their text" in said)


def test_a_drafted_card_fits_its_data_and_says_what_was_guessed(tmp_path: Path) -> None:
    path = tmp_path / "my intents.jsonl"
    rows = [{"query": f"text {n}", "intent": f"label_{n % 77}"} for n in range(300)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    draft = draft_card(read_data(str(path)), text="query", label="intent", name=str(path), identify=lambda _: "sv")
    card = draft.card
    assert (card.taskname, card.lang, card.fields, card.truncate_field) == ("my-intents", "sv", ("query",), "query")
    assert card.label_space is not None
    assert len(card.label_space) == 77
    assert len(read_examples([path], card)) == 300
    (tmp_path / "card.jsonl").write_text(card.canonical_json())
    assert read_cards(tmp_path / "card.jsonl") == [card]
    said = " | ".join(draft.guesses)
    for part in (
        "the 77 different answers of 300 records are labels",
        "'label_69' with 3",
        "looks like 'sv'",
        "'my-intents'",
    ):
        assert part in said


def test_what_is_doubtful_about_a_draft_is_said() -> None:
    numbers = draft_card(pairs(("a", 0), ("b", 1)), text="query", label="intent", name="x").guesses
    assert "they are numbers: give their names as forms" in numbers[0]
    spelt = draft_card(pairs(("a", "Yes"), ("b", "yes"), ("c", "no")), text="query", label="intent", name="x").guesses
    assert "some are written in several ways" in spelt[0]
    answers = draft_card(pairs(*((str(n), f"answer {n}") for n in range(40))), text="query", label="intent", name="x")
    assert answers.card.label_space is None
    assert answers.guesses[0] == "the 40 different answers of 40 records are open answers, not labels"
    assert "taken to be English" in answers.guesses[1]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "there are no records"),
        (
            [{"query": "a"}, {"intent": "b"}],
            "f:1: column 'intent' is missing; the record has 'query'; f:2: col",
        ),
        ([{"query": "a", "intent": " "}], "there are no records with an answer"),
    ],
)
def test_no_card_is_drafted_of_rows_without_text_or_label(rows: list[dict[str, object]], says: str) -> None:
    with pytest.raises(DataError) as caught:
        draft_card(records(*rows), text="query", label="intent", name="x")
    assert says in str(caught.value)


def test_a_column_with_braces_must_be_renamed_first() -> None:
    with pytest.raises(CardError, match="prompt_template"):
        draft_card(records({"te{xt": "a", "l": "b"}, {"te{xt": "c", "l": "d"}), text="te{xt", label="l", name="x")


def test_a_card_of_one_label_is_not_drafted() -> None:
    rows = [InputRecord(n, {"query": f"ask {n}", "intent": "Billing"}, f"f:{n}") for n in range(3)]
    with pytest.raises(DataError, match="all 3 records have the answer 'Billing'"):
        draft_card(rows, text="query", label="intent", name="one")
