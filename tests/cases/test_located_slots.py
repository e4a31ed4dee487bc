"""Slot values are found in composed and decomposed letters alike, as ever otherwise, and fast in hostile texts."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.slots import Slot, locate
from tests.cases.test_hostile_input import steps


def spans_of(values: Sequence[str], text: str) -> list[tuple[int | None, int | None]]:
    return [(slot.start, slot.end) for slot in locate([Slot("t", value) for value in values], text)]


def by_brute_force(values: Sequence[str], text: str) -> list[tuple[int | None, int | None]]:
    """Try every place of every value: whole words, then behind the value before, then the first."""
    found: list[tuple[int | None, int | None]] = []
    used: list[tuple[int, int]] = []
    for value in values:
        places = [(at, at + len(value)) for at in range(len(text)) if value and text.startswith(value, at)]
        free = [(a, b) for a, b in places if all(b <= c or d <= a for c, d in used)]
        after = used[-1][1] if used else 0

        def rank(place: tuple[int, int], after: int = after) -> tuple[bool, bool, int]:
            joined = [0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum() for at in place]
            return any(joined), place[0] < after, place[0]

        best = min(free, key=rank, default=None)
        used += [best] if best else []
        found.append(best or (None, None))
    return found


@given(st.lists(st.text("ab ", max_size=3), max_size=8), st.text("ab ", max_size=20))
def test_places_are_those_of_a_search_of_all(values: list[str], text: str) -> None:
    assert spans_of(values, text) == by_brute_force(values, text)


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        ("köp", "ett ko\u0308p till", "ko\u0308p"),
        ("ko\u0308p", "ett köp till", "köp"),
        ("한", "\u1112\u1161\u11ab 국", "\u1112\u1161\u11ab"),
        ("\u0995\u09cb", "\u0995\u09c7\u09be x", "\u0995\u09c7\u09be"),
        ("Ångström", "\u212bngstro\u0308m", "\u212bngstro\u0308m"),
        ("e", "e\u0301 and e", "e"),
    ],
)
def test_both_forms_of_a_letter_are_one(value: str, text: str, said: str) -> None:
    ((start, end),) = spans_of([value], text)
    assert text[start:end] == said
    assert start is not None


@given(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aeo\u0301\u0308\u1112\u1161\u11ab"), min_size=1)
)
def test_a_whole_text_is_found_in_its_other_forms(text: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        assert spans_of([text], other) == [(0, len(other))]
        assert spans_of([other], text) == [(0, len(text))]


HOSTILE = {
    "one value at many places": lambda n: (["a"] * n, "a " * n),
    "more values than places": lambda n: (["a"] * n, "a " * (n // 2)),
    "decomposed letters": lambda n: (["ö"] * n, "o\u0308 " * n),
    "parts of a long word": lambda n: (["aa"] * n, "a" * n),
    "many values": lambda n: ([str(i) for i in range(n)], " ".join(map(str, range(n)))),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_places_are_found_in_linear_time(kind: str) -> None:
    def work(size: int) -> int:
        values, text = HOSTILE[kind](size)
        slots = [replace(Slot("t", "x"), value=value) for value in values]
        return steps(lambda: locate(slots, text))

    assert work(2000) <= 20 * work(200)
