"""The shipped samples: rows of our own, of varied wording, each with what converters would have written."""

import json
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from tasks import builtin_card, read_examples, sample_path

TASKNAMES = ("sentiment-task", "topic-task", "intent_and_slot")
SUFFIX = " Sentiment for "


def rows(taskname: str, *parts: str) -> list[dict[str, Any]]:
    card = builtin_card(taskname)
    found = []
    for part in parts or ("train", "test"):
        path = sample_path(card, part)  # type: ignore[arg-type]  # the two names that there are
        assert path is not None
        found += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return found


@pytest.mark.parametrize("taskname", TASKNAMES)
def test_every_row_names_its_task_id_and_group_and_nothing_strange(taskname: str) -> None:
    card = builtin_card(taskname)
    needed = {"taskname", "id", "group", card.answer_field, *card.fields}
    for row in rows(taskname):
        assert needed <= set(row) <= needed | {"target"}
    ids = [row["id"] for row in rows(taskname)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("part", ["train", "test"])
def test_sentiment_is_about_balanced_and_half_of_it_names_a_target(part: str) -> None:
    found = rows("sentiment-task", part)
    share = Counter(row["label"] for row in found)["positive"] / len(found)
    assert 0.5 <= share <= 0.6
    assert 0.4 <= sum("target" in row for row in found) / len(found) <= 0.6


def test_a_row_has_a_target_exactly_when_its_sentence_names_it() -> None:
    for row in rows("sentiment-task"):
        if "target" in row:
            assert row["sentence"].endswith(SUFFIX + row["target"])
        else:
            assert SUFFIX not in row["sentence"]


def test_one_sentence_with_two_targets_has_one_group() -> None:
    groups: dict[str, set[str]] = {}
    for row in rows("sentiment-task"):
        groups.setdefault(row["sentence"].split(SUFFIX)[0], set()).add(row["group"])
    assert all(len(group) == 1 for group in groups.values())
    assert len({next(iter(group)) for group in groups.values()}) == len(groups)


@pytest.mark.parametrize("taskname", TASKNAMES)
def test_no_two_sentences_are_near_copies(taskname: str) -> None:
    field = builtin_card(taskname).fields[0]
    sentences = sorted({row[field].split(SUFFIX)[0] for row in rows(taskname)})
    words = [set(sentence.lower().split()) for sentence in sentences]
    alike = [
        (sentences[i], sentences[j])
        for i, j in combinations(range(len(sentences)), 2)
        if len(words[i] & words[j]) > 0.6 * len(words[i] | words[j])
    ]
    assert alike == []


def test_topics_are_balanced() -> None:
    for part, each in (("train", 30), ("test", 10)):
        assert set(Counter(row["label"] for row in rows("topic-task", part)).values()) == {each}


def test_slot_values_stand_in_their_utterance() -> None:
    for row in rows("intent_and_slot"):
        start, intent, slots = row["label"].split("\n")
        assert start == ""
        assert intent.startswith("Intent: ")
        named = slots.removeprefix("Slots: ")
        for slot in [] if named == "None" else named.split("), "):
            name, value = slot.removesuffix(")").split("(", 1)
            assert name
            assert value in row["utterance"]


def test_both_variants_take_the_same_sample() -> None:
    card = builtin_card("sentiment-task", "en", "article")
    path = sample_path(card, "test")
    assert path is not None
    assert len(read_examples([path], card)) == 60
