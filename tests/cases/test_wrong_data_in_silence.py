"""What is wrong with a set as a whole is said before anything is learnt from it.

Sources: huggingface/datasets 4261, embeddings-benchmark/mteb 1036 (leaks across splits), xliuhw/NLU-Evaluation-Data 7,
TelecomsXChangeAPi/OpenTextShield 194 (duplicates but for case and marks, symbols only).
"""

from __future__ import annotations

import json
import random

import pytest

from tasks import DataError, Example, parse_card
from tasks.dataset_report import LEAST_WORDS, Doubt, check_labels, report_on

CARD = parse_card(
    {
        "taskname": "filter",
        "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
        "total_virtual_tokens": 4,
        "virtual_token_splits": [4],
        "label_space": {"spam": ["spam"], "ham": ["ham"], "news": ["news"]},
    }
)


def examples(*told: tuple[str, str], name: str = "train") -> list[Example]:
    return [
        Example(id=str(n), group=str(n), taskname="filter", lang="en", fields={"text": text}, answer=label,
                source=f"{name}.jsonl:{n}")
        for n, (text, label) in enumerate(told, start=1)
    ]  # fmt: skip


def doubts(train: list[Example], test: list[Example] = ()) -> dict[str, Doubt]:
    return {doubt.kind: doubt for doubt in report_on({"train": train, "test": test}, CARD).doubts}


def test_a_set_of_one_label_is_refused() -> None:
    with pytest.raises(DataError, match="all 30 examples have the label 'spam', so nothing can be learnt or measured"):
        check_labels(examples(*((f"buy {n}", "spam") for n in range(30))), CARD)
    with pytest.raises(DataError, match="add examples of another label"):
        check_labels(
            examples(("a", "spam"), ("b", "spam")), parse_card(CARD.plain() | {"label_space": {"spam": ["spam"]}})
        )
    check_labels(examples(("a", "spam"), ("b", "ham")), CARD)
    check_labels(examples(("a", "x"), ("b", "x")), parse_card(CARD.plain() | {"label_space": None}))


def test_labels_are_counted_and_unused_ones_named() -> None:
    report = report_on({"train": examples(("a", "spam"), ("b", "spam")), "test": examples(("c", "ham"))}, CARD)
    assert report.parts == {"train": 2, "test": 1}
    assert report.labels == {"spam": 2, "ham": 1, "news": 0}
    assert report.unused == ("news",)
    assert next(report.lines()) == "1 of the card's 3 labels has no example: 'news'"
    assert report_on({"train": examples(("a", "b"))}, parse_card(CARD.plain() | {"label_space": None})).labels == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("same text", "same text"),
        ("Same  text ", "same text"),
        ("köp nu", "ko\u0308p nu"),
        ("!!!", "!!!"),
        ("👍", "👍"),
    ],
)
def test_one_text_with_two_answers_is_a_contradiction(first: str, second: str) -> None:
    found = doubts(examples((first, "spam"), ("other", "ham"), (second, "ham")))
    assert str(found["contradiction"]) == "1 text has more than one answer: train.jsonl:1, train.jsonl:3"
    assert "contradiction" not in doubts(examples((first, "ham"), (second, "ham")))


def test_contradictions_across_parts_are_found_too() -> None:
    found = doubts(examples(("a b", "spam")), examples(("a b", "ham"), name="test"))
    assert found["contradiction"].places == ("train.jsonl:1", "test.jsonl:1")


@pytest.mark.parametrize("text", ["", " ", "\n\t", "...", "—", "!?", "\u200b"])
def test_blank_texts_are_counted(text: str) -> None:
    assert doubts(examples(("a", "ham"), (text, "spam")))["blank"].places == ("train.jsonl:2",)


@pytest.mark.parametrize("text", ["a", "7", "👍", "€", "你"])
def test_short_texts_are_not_blank(text: str) -> None:
    assert "blank" not in doubts(examples((text, "spam")))


def test_equal_texts_in_a_part_and_across_parts_are_told_apart() -> None:
    found = doubts(
        examples(("a b c", "ham"), ("d", "spam"), ("a b c", "ham"), ("a b c", "ham")),
        examples(("d", "spam"), ("e", "ham"), name="test"),
    )
    assert (found["duplicate"].count, found["duplicate"].places) == (2, ("train.jsonl:3", "train.jsonl:4"))
    assert str(found["across-parts"]) == "1 text stands in an earlier part too: test.jsonl:1"


LONG = "could you please tell me where my parcel is"


@pytest.mark.parametrize(
    "other",
    [
        "Could you please tell me where my PARCEL is?",
        "could  you, please: tell me where my parcel is",
        "could you please tell me where my letter is",  # one word for another
        "could you please tell me where my small parcel is",  # one more
        "could you tell me where my parcel is",  # one less
        "please could you tell me where my parcel is",  # one moved
    ],
)
def test_nearly_equal_texts_are_counted(other: str) -> None:
    for first, second in ((LONG, other), (other, LONG)):
        assert doubts(examples((first, "ham"), ("unlike", "spam"), (second, "ham")))["near-duplicate"].places == (
            "train.jsonl:3",
        )
        across = doubts(examples((first, "ham")), examples((second, "ham"), name="test"))
        assert across["near-across-parts"].places == ("test.jsonl:1",)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("play song one", "play song two"),  # short texts differ in one word often
        (LONG, "could you please show her where my parcel is"),
        ("a b c d e f g", "g f e d c b a"),
        ("what is the time in paris", "what is the time in paris and what is it in rome"),
    ],
)
def test_texts_that_differ_in_more_are_not(first: str, second: str) -> None:
    assert "near-duplicate" not in doubts(examples((first, "ham"), (second, "ham")))


def test_near_duplicates_agree_with_comparing_all_pairs() -> None:
    rng, words = random.Random(5), ["a", "b", "c"]
    texts = [" ".join(rng.choices(words, k=rng.randrange(5, 9))) for _ in range(250)]

    def near(one: list[str], other: list[str]) -> bool:
        if one == other:
            return True
        shorter = [
            {tuple(t[:i] + t[i + 1 :]) for i in range(len(t))} if len(t) >= LEAST_WORDS else set() for t in (one, other)
        ]
        whole = tuple(one) in shorter[1] or tuple(other) in shorter[0]
        return whole or bool(shorter[0] & shorter[1])

    expected = sum(
        any(near(texts[i].split(), texts[j].split()) and texts[i] != texts[j] for j in range(i))
        for i in range(len(texts))
    )
    found = doubts(examples(*((text, "ham") for text in texts)))["near-duplicate"].count
    assert found >= 0.9 * expected  # only the first text of each key is kept, which may be an equal one
    assert found <= expected


def test_texts_in_another_language_are_counted_where_they_are_long_enough() -> None:
    told = examples(
        ("where is my parcel, I ask myself", "ham"), ("var är mitt paket undrar jag", "ham"), ("hej", "ham")
    )
    report = report_on({"train": told}, CARD, identify=lambda text: "sv-SE" if "ä" in text else "en")
    (doubt,) = [doubt for doubt in report.doubts if doubt.kind == "language"]
    assert str(doubt) == "1 of 2 long texts does not look like 'en': train.jsonl:2"


def test_many_places_are_counted_and_some_named_and_all_is_plain_json() -> None:
    report = report_on({"train": examples(*((" ", "ham") for _ in range(12)))}, CARD)
    blank = next(doubt for doubt in report.doubts if doubt.kind == "blank")
    assert (blank.count, len(blank.places)) == (12, 10)
    assert str(blank).endswith("train.jsonl:10, ...")
    told = json.loads(json.dumps(report.as_dict()))
    assert told["labels"] == {"spam": 0, "ham": 12, "news": 0}
    assert {doubt["kind"] for doubt in told["doubts"]} == {"blank", "duplicate", "one-label"}
    assert len(list(report.lines())) == 4


def test_a_sound_set_has_no_doubts() -> None:
    train = examples(("win money now", "spam"), ("see you at lunch", "ham"), ("minister resigns", "news"))
    report = report_on({"train": train}, CARD, identify=lambda _: "en")
    assert (report.doubts, report.unused, list(report.lines())) == ((), (), [])
