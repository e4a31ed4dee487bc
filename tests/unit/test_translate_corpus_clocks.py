"""Clock times in a corpus: other times on both sides, the same on each."""

import re
from dataclasses import replace

import pytest

from translate.corpus.augment import augment
from translate.corpus.clocks import other_clocks
from translate.corpus.pairs import Pair
from translate.corpus.settings import CorpusSettings
from translate.values import compare_texts, read_values

SETTINGS = CorpusSettings(title=0, entity=0, marker=0, clocks=60)
WAKE = Pair("wake me up at nine am on friday", "väck mig klockan nio på fredag", "x")


def test_both_sides_of_a_made_pair_say_the_same_time() -> None:
    made = list(other_clocks(WAKE, SETTINGS))
    assert len(made) == 60
    for pair in made:
        compared = compare_texts(pair.src, pair.tgt, src="en", tgt="sv")
        assert compared.compatible, (pair.src, pair.tgt, compared.reasons())
    said = [next(m for m in read_values(pair.src, "en") if m.kind == "clock").readings for pair in made]
    assert len(set(said)) > 20  # so it is not one time again and again


def test_only_the_time_is_another() -> None:
    for pair in other_clocks(WAKE, SETTINGS):
        assert re.fullmatch(r"wake me up at .+ on friday", pair.src)
        assert re.fullmatch(r"väck mig (?!klockan klockan).+ på fredag", pair.tgt)


def test_times_are_said_as_people_say_them() -> None:
    said = {(pair.src[14:-10], pair.tgt[9:-10]) for pair in other_clocks(WAKE, replace(SETTINGS, clocks=3000))}
    expected = {
        ("six am", "klockan sex på morgonen"),
        ("twelve p. m.", "klockan tolv på dagen"),
        ("three p. m.", "klockan femton noll noll"),
        ("twelve ten am", "klockan noll tio"),
        ("quarter to three", "kvart i tre"),
        ("half past twelve", "halv ett"),
    }
    assert expected <= said


def test_every_second_pair_has_its_spans_marked_and_no_klockan_twice() -> None:
    marked = (
        "wake me up at <s0> nine am </s0> on <s1> friday </s1>",
        "väck mig klockan <s0> nio </s0> på <s1> fredag </s1>",
    )
    for number, pair in enumerate(other_clocks(replace(WAKE, marked=marked), SETTINGS)):
        assert ("<s0> " in pair.src and "<s0> " in pair.tgt) == bool(number % 2)
        assert "klockan <s0> klockan" not in pair.tgt


@pytest.mark.parametrize(
    ("src", "tgt"),
    [
        ("wake me up on friday", "väck mig på fredag"),
        ("wake me at nine am", "väck mig klockan tio"),
        ("wake me at 9 am please", "väck mig klockan 9 tack"),
        ("from nine am to ten am", "från nio på morgonen till tio på morgonen"),
        ("Wake me at Nine Am", "Väck mig klockan nio"),
        ("call me at noon", "ring mig på dagen klockan tolv"),
    ],
)
def test_no_time_another_time_digits_two_times_capitals_and_names_make_nothing(src: str, tgt: str) -> None:
    assert list(other_clocks(Pair(src, tgt, "x"), SETTINGS)) == []


def test_languages_without_their_ways_make_nothing_and_zero_switches_it_off() -> None:
    assert list(other_clocks(WAKE, replace(SETTINGS, tgt="da"))) == []
    assert [pair.kind for pair in augment(WAKE, replace(SETTINGS, clocks=0))] == ["plain"]
    assert [pair.kind for pair in augment(WAKE, replace(SETTINGS, clocks=2))] == ["plain", "clock.v1", "clock.v1"]
