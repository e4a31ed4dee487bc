"""Matching: long rows of equal numbers are compared, and every mention that can have a partner gets one."""

import pytest

from translate.records.protect import find_protected
from translate.values import compare, compare_texts, read_values
from translate.values.mention import Mention, number


@pytest.mark.parametrize(("source", "target"), [(1100, 1100), (1000, 500), (500, 1000)])
def test_a_thousand_equal_numbers_are_matched(source: int, target: int) -> None:
    found = compare_texts("7 , " * source, "7 , " * target, src="en", tgt="sv")
    assert len(found.pairs) == min(source, target)
    assert (len(found.missing), len(found.added)) == (max(source - target, 0), max(target - source, 0))


def test_a_mention_that_may_have_other_partners_leaves_the_only_one_to_another() -> None:
    def says(*values: int) -> Mention:
        return Mention(0, 1, "x", frozenset(map(number, values)))

    source = [says(1, 2), says(1, 3), says(1)]
    found = compare(source, [says(1), says(2), says(3)])
    assert [(one, next(iter(other.readings)).value) for one, other in found.pairs] == [
        (source[0], 2),
        (source[1], 3),
        (source[2], 1),
    ]


def test_equal_numbers_keep_their_order() -> None:
    texts = "5 , 5 , 5"
    found = compare(read_values(texts, "en"), read_values(texts, "sv"))
    assert [(one.start, other.start) for one, other in found.pairs] == [(0, 0), (4, 4), (8, 8)]


def test_a_long_word_is_no_address() -> None:
    # a search that began anew at each letter took 9 s for 20,000 of them
    assert find_protected("a" * 50_000) == ()
    assert [one.string for one in find_protected("till (anna.b+x@post.se), eller a@b@c.se.")] == [
        "anna.b+x@post.se",
        "b@c.se",
    ]
