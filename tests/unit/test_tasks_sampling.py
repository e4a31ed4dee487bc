"""Samples: nested, independent of order, balanced where asked."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import Split, SplitError
from tasks.sampling import balanced_examples, few_per_label, first_examples, first_share, smaller_split
from tests.worlds import examples_of

EXAMPLES = examples_of(40)


@given(order=st.permutations(range(40)), small=st.floats(0.01, 1), large=st.floats(0.01, 1), seed=st.integers(0, 9))
def test_a_small_share_is_in_a_larger_one_in_any_order(order: list[int], small: float, large: float, seed: int) -> None:
    small, large = sorted((small, large))
    few = first_share(EXAMPLES, small, seed=seed)
    more = first_share([EXAMPLES[i] for i in order], large, seed=seed)
    assert more[: len(few)] == few
    assert len(more) == max(1, round(large * 40))


def test_each_label_has_as_many_rows_and_smaller_samples_are_in_larger_ones() -> None:
    four, eight = (few_per_label(EXAMPLES, count, seed=1) for count in (4, 8))
    for label in ("positive", "negative"):
        assert sum(e.answer == label for e in four) == 4
        assert sum(e.answer == label for e in eight) == 8
    assert {e.id for e in four} < {e.id for e in eight}


def test_other_labels_do_not_move_a_labels_rows() -> None:
    positive = [e for e in EXAMPLES if e.answer == "positive"]
    alone = few_per_label(positive, 3, seed=5)
    assert alone == [e for e in few_per_label(EXAMPLES, 3, seed=5) if e.answer == "positive"]


def test_seeds_draw_different_rows() -> None:
    assert first_share(EXAMPLES, 0.2, seed=0) != first_share(EXAMPLES, 0.2, seed=1)


def test_too_few_rows_are_an_error_that_names_the_label() -> None:
    with pytest.raises(SplitError, match="label 'negative' has 20 examples, and 21 are wanted"):
        few_per_label(EXAMPLES, 21, seed=0)
    assert len(few_per_label(EXAMPLES, 99, seed=0, allow_short=True)) == 40


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_a_share_is_above_nothing_and_at_most_all(share: float) -> None:
    with pytest.raises(SplitError, match="share"):
        first_share(EXAMPLES, share, seed=0)


@given(
    labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=40),
    rows=st.integers(1, 40),
    more=st.integers(0, 40),
    seed=st.integers(0, 9),
)
def test_a_balanced_sample_has_the_shares_of_all_rows_and_is_in_a_larger_one(
    labels: list[str], rows: int, more: int, seed: int
) -> None:
    examples = [replace(e, answer=label) for e, label in zip(EXAMPLES, labels, strict=False)]
    drawn = balanced_examples(examples, rows, seed=seed)
    assert len(drawn) == min(rows, len(examples))
    for label in set(labels):
        due = len(drawn) * labels.count(label) / len(labels)
        assert abs(sum(e.answer == label for e in drawn) - due) <= 1.5  # half a row of its own, and those of two others
    assert balanced_examples(list(reversed(examples)), rows + more, seed=seed)[: len(drawn)] == drawn


def test_a_balanced_sample_of_answers_that_all_differ_is_the_first_rows() -> None:
    examples = [replace(e, answer=e.id) for e in EXAMPLES]
    assert balanced_examples(examples, 7, seed=3) == first_examples(examples, 7, seed=3)


def test_dev_rows_shrink_with_the_training_rows_and_test_rows_stay() -> None:
    split = Split(tuple(EXAMPLES[:20]), tuple(EXAMPLES[20:25]), tuple(EXAMPLES[25:]))
    fewer = smaller_split(split, 9, seed=3)
    assert fewer.train == tuple(first_examples(EXAMPLES[:20], 9, seed=3))
    assert fewer.dev == tuple(balanced_examples(EXAMPLES[20:25], 3, seed=3))  # 5 * 9 / 20 is 2.25
    assert fewer.test == split.test
