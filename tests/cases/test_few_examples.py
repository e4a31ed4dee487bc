"""Few examples: dev sets and folds that have every label, groups kept whole; the rules that runs recorded never move.

Sources: embeddings-benchmark/mteb 519 and v7labs/darwin-py 406 (a class with one member), usc-isi-i2/dsbox-ta2 112,
davidsbatista/text-classification 4, scikit-learn's StratifiedGroupKFold.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import (
    DataError,
    Example,
    InputRecord,
    SplitError,
    builtin_card,
    crossval_split,
    given_split,
    parse_card,
    split_dev,
)
from tasks.data import records_by_task
from tasks.splits import BY_HASH, DEV_RULES, FOLD_RULES, SplitRules, given_dev
from tasks.strata import LEAST, label_of

STRATIFIED = SplitRules(folds="even.v1", dev="stratified.v1")


def examples(labels: Sequence[str], groups: Sequence[str] | None = None) -> list[Example]:
    return [
        Example(
            id=str(n), group=groups[n] if groups else f"g{n}", taskname="t", lang="en", fields={"x": "y"}, answer=label
        )
        for n, label in enumerate(labels)
    ]


def counts(part: Sequence[Example]) -> Counter[str]:
    return Counter(example.answer or "" for example in part)


@pytest.mark.parametrize(
    ("labels", "fraction", "dev"),
    [
        (["a", "b"] * 6, 0.1, {"a": 2, "b": 2}),  # 12 examples: "no example left for dev" by hash
        (["a", "b"] * 12, 0.1, {"a": 4, "b": 4}),  # 24 examples: one by hash
        (["a", "b"] * 55, 0.05, {"a": 4, "b": 4}),  # 110 examples: five by hash
        (["a", "b"] * 200, 0.1, {"a": 20, "b": 20}),  # many: the share itself
        (["a"] * 17, 0.1, {"a": 4}),
        (["a"] * 30 + ["b"] * 2, 0.1, {"a": 4, "b": 1}),  # a rare label gives one of its two
        (["a"] * 12 + ["b"], 0.1, {"a": 4}),  # a label with one example keeps it
        ([f"l{n % 77}" for n in range(77 * 4)], 0.1, {f"l{n}": 1 for n in range(77)}),  # 77 labels of 4 examples
        (["a", "b"] * 10, 0.5, {"a": 5, "b": 5}),
        (["a"] * 2 + ["b"] * 3, 0.9, {"a": 1, "b": 2}),  # one of each is left to learn from
    ],
)
def test_every_label_has_dev_examples_where_it_has_two(labels: list[str], fraction: float, dev: dict[str, int]) -> None:
    train, kept = split_dev(examples(labels), fraction, STRATIFIED)
    assert counts(kept) == dev
    assert counts(train) + counts(kept) == Counter(labels)


def test_answers_that_all_differ_are_divided_as_one_label() -> None:
    card = parse_card(builtin_card("sentiment-task").plain() | {"label_space": None})
    told = examples([f"answer {n}" for n in range(40)])
    train, dev = split_dev(told, 0.1, SplitRules(dev="stratified.v1", label=label_of(card)))
    assert (len(train), len(dev)) == (36, LEAST)
    with pytest.raises(SplitError, match="no example left for dev"):  # as labels each must be learnt
        split_dev(told, 0.1, STRATIFIED)


@given(
    labels=st.lists(st.sampled_from("aaabbc"), min_size=2, max_size=60),
    sizes=st.lists(st.integers(1, 6), min_size=60, max_size=60),
    fraction=st.floats(0.01, 0.9),
    order=st.randoms(),
)
def test_groups_stay_whole_every_label_can_be_learnt_and_order_does_not_matter(labels, sizes, fraction, order) -> None:
    groups = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)][: len(labels)]
    known = examples(labels, groups)
    kept = DEV_RULES["stratified.v1"](known, fraction, STRATIFIED)
    shuffled = list(known)
    order.shuffle(shuffled)
    assert DEV_RULES["stratified.v1"](shuffled, fraction, STRATIFIED) == kept
    train = [example for example in known if example.group not in kept]
    dev = [example for example in known if example.group in kept]
    assert set(counts(train)) == set(labels)
    for label in set(labels) - set(counts(dev)):  # then no group of it can be taken without losing a label
        for group in {e.group for e in train if e.answer == label}:
            others = counts([e for e in train if e.group != group])
            assert labels.count(label) == 1 or any(not others[e.answer] for e in train if e.group == group)


def test_a_group_with_many_labels_is_not_torn() -> None:
    groups = ["big"] * 10 + [f"g{n}" for n in range(10)]
    train, dev = split_dev(examples(["a", "b"] * 10, groups), 0.2, STRATIFIED)
    assert not {e.group for e in train} & {e.group for e in dev}
    assert counts(dev) == {"a": 3, "b": 3}


def test_labels_of_formatted_answers_are_their_intents() -> None:
    card = builtin_card("intent_and_slot")
    texts = [f"\nIntent: {intent}\nSlots: time({n})" for n, intent in enumerate(["alarm_set", "alarm_query"] * 6)]
    rules = SplitRules(dev="stratified.v1", label=label_of(card))
    _, dev = split_dev(examples(texts), 0.1, rules)
    assert Counter(map(label_of(card), dev)) == {"alarm_set": 2, "alarm_query": 2}
    assert label_of(card)(examples(["no such format"])[0]) == ""


@given(
    labels=st.lists(st.sampled_from("aabc"), min_size=10, max_size=80),
    folds=st.integers(2, 10),
)
def test_even_folds_of_single_examples_differ_by_one_example_of_each_label(labels: list[str], folds: int) -> None:
    place = FOLD_RULES["even.v1"](examples(labels), folds, "salt", STRATIFIED)
    for label in set(labels):
        sizes = [
            sum(place[f"g{n}"] == fold and labels[n] == label for n in range(len(labels))) for fold in range(folds)
        ]
        assert max(sizes) - min(sizes) <= 1 or labels.count(label) == 1


def test_even_folds_keep_groups_whole_and_are_as_even_as_they_allow() -> None:
    groups = ["big"] * 8 + [f"g{n}" for n in range(12)]
    known = examples(["a", "b"] * 10, groups)
    parts = [crossval_split(known, 4, fold, 0.1, rules=STRATIFIED) for fold in range(4)]
    assert sorted(len(part.test) for part in parts) == [4, 4, 4, 8]
    assert {e.id for part in parts for e in part.test} == {e.id for e in known}
    assert all({e.group for e in part.test}.isdisjoint({e.group for e in (*part.train, *part.dev)}) for part in parts)


def test_the_rules_by_hash_are_the_default_and_functions_of_the_group_alone() -> None:
    known = examples(["a", "b"] * 100)

    def spread(salt: str, group: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{salt}\0{group}".encode()).digest()[:8], "big")

    by_hand = [spread("promptbank.fold.v1", e.group) % 5 for e in known]
    for fold in range(5):
        split = crossval_split(known, 5, fold, 0.1)
        assert split == crossval_split(known, 5, fold, 0.1, rules=BY_HASH)
        assert [e.id for e in split.test] == [e.id for e, k in zip(known, by_hand, strict=True) if k == fold]
        point = [
            int.from_bytes(hashlib.sha256(f"promptbank.dev.v1\0{e.group}".encode()).digest()[:8], "big") for e in known
        ]
        rest = [(e, p) for e, p, k in zip(known, point, by_hand, strict=True) if k != fold]
        assert [e.id for e in split.dev] == [e.id for e, p in rest if p < 0.1 * 2**64]


def test_a_test_set_of_its_own_goes_with_a_stratified_dev_set() -> None:
    split = given_split(examples(["a", "b"] * 6), examples(["a"], ["other"]), 0.1, STRATIFIED)
    assert counts(split.dev) == {"a": 2, "b": 2}


def test_a_set_that_cannot_be_divided_says_what_helps() -> None:
    with pytest.raises(SplitError, match=r"no example left for dev \(train 1, dev 0\); give more examples, another"):
        split_dev(examples(["a"]), 0.1, STRATIFIED)


def test_dev_examples_of_their_own_are_kept_as_they_are() -> None:
    known, apart = examples(["a", "b"]), examples(["a"], ["other"])
    assert given_dev(known, apart) == (known, apart)
    with pytest.raises(SplitError, match="1 of 1 dev examples are of a group that train has too, first 'g0'"):
        given_dev(known, examples(["a"]))
    with pytest.raises(SplitError, match="no example left for dev"):
        given_dev(known, [])


def mixed(*rows: dict[str, object]) -> list[InputRecord | DataError]:
    return [InputRecord(number, row, f"f:{number}") for number, row in enumerate(rows, start=1)]


def test_a_mixed_file_gives_each_task_its_records_and_counts_the_others() -> None:
    sentiment, topic = builtin_card("sentiment-task"), builtin_card("topic-task")
    rows = mixed(
        {"taskname": "sentiment-task", "n": 1},
        {"taskname": "topic-task", "lang": "en", "n": 2},
        {"taskname": "intent_and_slot", "n": 3},
        {"taskname": "sentiment-task", "lang": "sv", "n": 4},
        {"taskname": "sentiment-task", "lang": None, "n": 5},
    )
    found = records_by_task(rows, [sentiment, topic])
    assert [[record.data["n"] for record in part] for part in found.records] == [[1, 5], [2]]
    assert found.left == {"intent_and_slot": 1, "sentiment-task:sv": 1}
    alone = records_by_task([*rows, *mixed({"n": 6}), DataError("f:7: broken")], [sentiment])
    assert [r.data["n"] if isinstance(r, InputRecord) else str(r) for r in alone.records[0]] == [1, 5, 6, "f:7: broken"]
    assert alone.left == {"topic-task:en": 1, "intent_and_slot": 1, "sentiment-task:sv": 1}


def test_a_record_of_no_task_is_told_where_several_are_asked_for() -> None:
    cards = [builtin_card("sentiment-task"), builtin_card("topic-task")]
    with pytest.raises(
        DataError, match="f:1: the record must name one of sentiment-task:en, topic-task:en by taskname"
    ):
        records_by_task(mixed({"n": 1}), cards)
    both = [builtin_card("sentiment-task"), builtin_card("sentiment-task", "sv")]
    with pytest.raises(DataError, match="f:1: the record must name one of sentiment-task:en, sentiment-task:sv"):
        records_by_task(mixed({"taskname": "sentiment-task"}), both)
