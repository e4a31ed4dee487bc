"""Marks around values and aligned phrases: every mark is a pair, and the text between and around them stays."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translate.corpus.augment import augment
from translate.corpus.build import build_corpus
from translate.corpus.pairs import CorpusError, Pair, likeness, spoken_text
from translate.corpus.settings import CorpusSettings
from translate.corpus.spans import aligned_spans, phrases, value_spans
from translate.records.markers import MARKS, bracketed

EVERY = CorpusSettings(values=1, aligned=1, marks_spoken=0)
SPOKEN = replace(EVERY, marks_spoken=1)
_MARKED = re.compile(r"<s(\d+)> (.*?) </s\1>")

links = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14)
words = st.lists(
    st.sampled_from(["alpha", "beta,", "(gamma)", "delta.", "€5", "50%", "is", "7", "o'clock", "--"]),
    min_size=1,
    max_size=9,
)


def rectangles(found: list[tuple[int, int]], longest: int) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Every phrase pair by its definition: all stretches of both sides are tried."""
    numbers = range(8)
    stretches = [(first, last) for first in numbers for last in numbers if first <= last]
    return {
        ((first, last), (low, high))
        for first, last in stretches
        for low, high in stretches
        if last - first < longest
        and high - low <= last - first + 3
        and all((first <= i <= last) == (low <= j <= high) for i, j in found)
        and {first, last} <= {i for i, _ in found}
        and {low, high} <= {j for _, j in found}
    }


@given(links, st.integers(1, 5))
def test_phrases_are_those_that_no_link_leaves(found: list[tuple[int, int]], longest: int) -> None:
    made = phrases(found, longest=longest)
    assert set(made) == rectangles(found, longest)
    assert len(made) == len(set(made))


def test_a_phrase_goes_over_words_without_a_link_but_never_begins_or_ends_with_one() -> None:
    assert phrases([(0, 0), (2, 1)]) == [((0, 0), (0, 0)), ((0, 2), (0, 1)), ((2, 2), (1, 1))]


def one(made: object) -> Pair:
    (found,) = made  # type: ignore[misc]
    assert isinstance(found, Pair)
    return found


def spans_of(text: str) -> dict[int, str]:
    """What stands between the marks, by number; each number once, and no mark anywhere else."""
    found = _MARKED.findall(text)
    assert len({number for number, _ in found}) == len(found)
    assert not re.search(r"</?s\d", _MARKED.sub("", text))
    return {int(number): value for number, value in found}


def test_values_that_are_said_in_different_words_are_marked_with_one_number_on_both_sides() -> None:
    pair = Pair("Wake me at nine am on Friday, Ann.", "Väck mig på fredag klockan nio på morgonen, Ann.", "x")
    made = one(value_spans(pair, EVERY))
    assert made.src == "Wake me at <s0> nine am </s0> on <s1> Friday </s1>, Ann."
    assert made.tgt == "Väck mig på <s1> fredag </s1> <s0> klockan nio på morgonen </s0>, Ann."


@pytest.mark.parametrize(
    ("src", "tgt"),
    [
        ("See page 12 of 1999.", "Se sidan 12 från 1999."),  # the same on both sides
        ("Turn by one angle.", "Vrid med en vinkel."),  # "one" is mostly no value
        ("Sit down [two times].", "Sätt dig [2 gånger]."),  # a mark of its own
        ("Sit down two times].", "Sätt dig 2 gånger."),
        ("Come on Friday.", "Kom på lördag."),  # no value that both say
        ("It rains tonight.", "Det regnar ikväll."),  # the part of the day is a part of a word
    ],
)
def test_nothing_is_marked_without_values_in_different_words(src: str, tgt: str) -> None:
    assert list(value_spans(Pair(src, tgt, "x"), EVERY)) == []


def test_of_two_values_in_one_another_the_longer_one_is_marked() -> None:
    made = one(value_spans(Pair("Wake me this morning please.", "Väck mig i morse tack.", "x"), EVERY))
    assert (spans_of(made.src), spans_of(made.tgt)) == ({0: "this morning"}, {0: "i morse"})


def test_no_more_spans_are_marked_than_there_are_marks() -> None:
    numbers = list(range(1101, 1125))
    src = " ".join(f"{n:,} cars" for n in numbers)
    made = one(value_spans(Pair(src, " ".join(f"{n} bilar" for n in numbers), "x"), EVERY))
    assert set(re.findall(r"</?s\d+>", made.src + made.tgt)) == set(MARKS)
    assert [value.replace(",", "") for value in spans_of(made.src).values()] == [str(n) for n in numbers[:10]]


ALIGNED = Pair(
    "The old house, she says, is sold.", "Det gamla huset är sålt, säger hon.", "x",
    links=((0, 0), (1, 1), (2, 2), (3, 6), (4, 5), (5, 3), (6, 4)),
)  # fmt: skip


def test_aligned_phrases_are_marked_without_the_punctuation_at_their_edges() -> None:
    found = [one(aligned_spans(ALIGNED, replace(EVERY, seed=seed))) for seed in range(40)]
    assert {len(spans_of(pair.src)) for pair in found} == {1, 2, 3}
    marked = {(a[n], b[n]) for pair in found for a, b in [(spans_of(pair.src), spans_of(pair.tgt))] for n in a}
    assert {("sold", "sålt"), ("house", "huset"), ("old house", "gamla huset")} <= marked
    assert not any(value[-1] in ",." or value[0] in ",." for both in marked for value in both)
    assert ("is", "är") not in marked, "a phrase without a word of four letters or a number"
    assert list(aligned_spans(replace(ALIGNED, links=()), EVERY)) == []
    assert list(aligned_spans(replace(ALIGNED, src="The [old] house"), EVERY)) == []


def test_a_final_sign_that_stood_alone_is_not_spoken_and_its_link_goes_with_it() -> None:
    pair = Pair("Sell houses .", "Sälj husen .", "x", links=((0, 0), (1, 1), (2, 2)))
    found = [one(aligned_spans(pair, replace(SPOKEN, seed=seed))) for seed in range(20)]
    assert {bracketed(made.src).replace("[", "").replace("]", "") for made in found} == {"sell houses"}
    assert {("houses", "husen")} <= {(spans_of(p.src).get(0, ""), spans_of(p.tgt).get(0, "")) for p in found}


@given(words, words, links, st.integers(0, 5))
def test_without_its_marks_a_text_is_the_plain_or_the_spoken_one(
    src: list[str], tgt: list[str], found: list[tuple[int, int]], seed: int
) -> None:
    pair = Pair(" ".join(src), " ".join(tgt), "x", links=tuple(found))
    for settings, said in ((EVERY, str), (SPOKEN, spoken_text)):
        for kind in (value_spans, aligned_spans):
            for made in kind(pair, replace(settings, seed=seed)):
                assert spans_of(made.src).keys() == spans_of(made.tgt).keys()
                assert list(spans_of(made.src)) == sorted(spans_of(made.src)), "numbered in the order of the source"
                plain = [re.sub(r"[\[\]]", "", bracketed(text)) for text in (made.src, made.tgt)]
                assert plain == [said(pair.src), said(pair.tgt)]


@given(words, links, st.integers(0, 5))
def test_the_same_pair_is_marked_the_same_each_time(src: list[str], found: list[tuple[int, int]], seed: int) -> None:
    pair, settings = Pair(" ".join(src), " ".join(src[::-1]), "x", links=tuple(found)), replace(EVERY, seed=seed)
    assert list(augment(pair, settings)) == list(augment(pair, settings))


def test_shares_of_the_pairs_are_marked() -> None:
    pairs = [
        Pair(f"Tom bought it for ${n} million.", f"Tom köpte det för {n} miljoner dollar.", "x") for n in range(400)
    ]
    some = replace(EVERY, values=0.25, marks_spoken=0.5)
    made = [new for pair in pairs for new in value_spans(pair, some)]
    assert 70 < len(made) < 130
    assert 30 < sum(new.src.islower() for new in made) < 70
    assert [new for pair in pairs for new in value_spans(pair, replace(EVERY, values=0))] == []


class Diagonal:
    """An aligner that links word n with word n."""

    def align(self, pairs: list[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        return [[(n, n) for n in range(min(len(a.split()), len(b.split())))] for a, b in pairs]


def test_a_corpus_with_aligned_phrases_needs_an_aligner_and_marks_no_held_out_sentence() -> None:
    names = ("Ann", "Bosse", "Cecilia", "David", "Eva", "Fredrik")
    pairs = [Pair(f"I met {name} yesterday.", f"Jag mötte {name} igår.", "x") for name in names]
    settings = CorpusSettings(title=0, entity=0, marker=0, values=1, aligned=1, marks_spoken=0, dev=0)
    with pytest.raises(CorpusError, match="need an aligner"):
        build_corpus(pairs, settings)
    made = build_corpus(pairs, settings, frozenset({likeness("I met Eva yesterday")}), Diagonal())
    assert {pair.kind for pair in made.train} == {"plain", "values.v1", "aligned.v1"}
    assert not any("Eva" in pair.src for pair in made.train)
    assert made.kept["x"]["aligned.v1"] == made.kept["x"]["plain"] == 5
