"""Texts that are made to be slow to translate or check: ten times longer takes at most twenty times the steps."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cases.test_hostile_input import steps
from translate.records.layout import split_layout, tidy_layout
from translate.review.table import read_answers
from translate.values import compare, compare_texts
from translate.values.literals import blanked, find_literals
from translate.values.mention import Mention, number

ROWS = [
    "1." * 10_000, "0-0" * 7_000, "v1-" * 7_000, "a.b" * 7_000, "/a" * 10_000, "a_" * 10_000, "_" * 20_000,
    "version " * 2_500, "version" + " " * 20_000, "+1" * 10_000, "+1 " * 7_000, "12-34-" * 3_500, "--a-" * 5_000,
    "`" * 20_000, ":" * 20_000, "a:" * 10_000, "1" * 20_000, "order no 1 " * 2_000, "\\a" * 10_000, "1.x" * 7_000,
    "aB" * 10_000, "versions than er" * 1_500,
]  # fmt: skip


@pytest.mark.parametrize("text", ROWS, ids=lambda text: text[:9])
def test_literals_are_found_in_linear_time(text: str) -> None:
    start = time.process_time()
    find_literals(text)
    assert time.process_time() - start < 2  # 20 KB; none takes 0.2 s on its own


VALUES = [
    "1 1 1 ", "one ", "9 nine ", "1 2 3 4 5 6 7 8 9 ", "night morning ", "5 $5 5% ", "9 9:00 ", "$5 to 6, ",
    "nine am 9 21:00 ", "one hundred ", "january 5 ", "half past ", "v1.2 order 50312 ",
]  # fmt: skip


@pytest.mark.parametrize("unit", VALUES)
def test_values_are_compared_in_linear_time(unit: str) -> None:
    def work(size: int) -> int:
        text = unit * (size // len(unit))
        return steps(lambda: compare_texts(text, f"{text} 7 {text}", src="en", tgt="sv"))

    assert work(1500) <= 20 * work(150)


def test_mentions_that_must_change_partners_one_by_one_do_so_in_linear_time() -> None:
    def says(*values: int) -> Mention:
        return Mention(0, 1, "x", frozenset(map(number, values)))

    def work(size: int) -> int:
        source = [*[says(1, 2)] * size, *[says(1)] * size]
        return steps(lambda: found.append(len(compare(source, [*[says(1)] * size, *[says(2)] * size]).pairs)))

    found: list[int] = []
    assert work(1000) <= 20 * work(100)
    assert found == [2000, 200]


@given(
    st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=2), max_size=6), st.lists(st.integers(0, 4), max_size=6)
)
def test_as_many_mentions_have_partners_as_can_have_one(source: list[set[int]], target: list[int]) -> None:
    def most(left: int, free: frozenset[int]) -> int:
        if left == len(source):
            return 0
        taken = (1 + most(left + 1, free - {j}) for j in free if target[j] in source[left])
        return max(taken, default=0) if not free else max(most(left + 1, free), *taken, 0)

    mentions = [Mention(i, i + 1, "x", frozenset(map(number, values))) for i, values in enumerate(source)]
    others = [Mention(j, j + 1, "x", frozenset({number(value)})) for j, value in enumerate(target)]
    assert len(compare(mentions, others).pairs) == most(0, frozenset(range(len(target))))


def test_literals_are_blanked_and_lines_cut_in_linear_time() -> None:
    def many(size: int) -> int:
        text = " ".join(f"070-{n:07}" for n in range(size))
        return steps(lambda: blanked(text, [text[start:end] for start, end, _ in find_literals(text)]))

    def lines(size: int) -> int:
        text = "- a\t \n\n" * size
        return steps(lambda: (split_layout(tidy_layout(text)), split_layout("\t" * size), split_layout("- " * size)))

    assert many(500) <= 20 * many(50)
    assert lines(2000) <= 20 * lines(200)


def test_a_review_cell_is_unescaped_in_linear_time() -> None:
    start = time.process_time()
    read_answers("source_hash,decision,edited_text\nf,edit," + ";'" * 20_000 + "'" * 20_000, "x")
    assert time.process_time() - start < 2
