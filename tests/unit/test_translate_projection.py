"""Projection: spans found by form, by value, by alignment; accepted ones never overlap."""

import importlib.util

import pytest

from translate.errors import AlignError
from translate.pipeline.alignment import EflomalAligner
from translate.pipeline.projection import Proposal, SentencePair, SourceSpan, project

SOURCE = "wake me at nine am on friday"
NINE, FRIDAY = SourceSpan(11, 18, "time", "nine am"), SourceSpan(22, 28, "date", "friday")


def stretches(target: str, proposals: list[Proposal | None]) -> list[str | None]:
    return [p and target[p.start : p.end] for p in proposals]


def test_values_are_found_where_the_target_says_the_same() -> None:
    target = "väck mig på fredag klockan nio på morgonen"
    found = project(SentencePair(SOURCE, target, "en", "sv"), [NINE, FRIDAY])
    assert stretches(target, found) == ["klockan nio på morgonen", "fredag"]


def test_a_value_the_target_does_not_say_is_not_found() -> None:
    target = "väck mig på fredag klockan tio"
    assert stretches(target, project(SentencePair(SOURCE, target, "en", "sv"), [NINE, FRIDAY])) == [None, "fredag"]


def test_spans_that_say_the_same_value_get_a_place_each() -> None:
    target = "flytta fem från fem"
    both = [SourceSpan(5, 9, "amount", "five"), SourceSpan(15, 19, "time", "five")]
    found = project(SentencePair("move five from five", target, "en", "sv"), both, ["values.v1"])
    assert [p and (p.start, p.end) for p in found] == [(7, 10), (16, 19)]


@pytest.mark.parametrize(
    ("forms", "target", "stretch"),
    [
        (("hallen",), "dimma lamporna i hallen.", "hallen"),
        (("hallarna",), "dimma lamporna i hallen", None),
        (("kaffemaskin",), "starta kaffemaskinen", "kaffemaskinen"),
        ((), "spela Coldplay nu", "Coldplay"),
        (("vardagsrummet",), "tänd i stora vardags rummet", "vardags rummet"),
    ],
)
def test_forms_are_found_inflected_and_names_as_they_are(
    forms: tuple[str, ...], target: str, stretch: str | None
) -> None:
    value = "coldplay" if not forms else "zzz"
    found = project(SentencePair("zzz", target, "en", "sv"), [SourceSpan(0, 3, "date", value, forms)], ["forms.v1"])
    assert stretches(target, found) == [stretch]


def test_aligned_words_give_the_stretch_from_the_first_to_the_last_without_punctuation() -> None:
    target = "dimma lamporna i stora hallen, tack"
    links = [(0, 0), (2, 1), (3, 2), (5, 3), (5, 4)]
    sentence = SentencePair("dim the lights in the hall", target, "en", "sv", links)
    found = project(sentence, [SourceSpan(22, 26, "place", "hall")])
    assert stretches(target, found) == ["stora hallen"]
    assert found[0].how == "align"


def test_the_point_of_an_abbreviation_stays() -> None:
    sentence = SentencePair("at nine am.", "klockan nio f. m.", "en", "sv", [(1, 1), (2, 2), (2, 3)])
    found = project(sentence, [SourceSpan(3, 10, "time", "nine am")], ["align.v1"])
    assert stretches(sentence.target, found) == ["nio f. m."]


def test_links_beyond_the_text_are_no_stretch() -> None:
    sentence = SentencePair("hall", "hallen", "en", "sv", [(0, 7)])
    assert project(sentence, [SourceSpan(0, 4, "place", "hall")], ["align.v1"]) == [None]


def test_two_spans_never_share_a_stretch() -> None:
    target = "ring anna"
    both = [SourceSpan(0, 4, "person", "anna"), SourceSpan(5, 9, "person", "anna")]
    assert stretches(target, project(SentencePair("anna anna", target, "en", "sv"), both)) == ["anna", None]


def test_alignment_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "eflomal", None)
    with pytest.raises(AlignError, match="pip install"):
        EflomalAligner().align([("a", "b")])


@pytest.mark.skipif(importlib.util.find_spec("eflomal") is None, reason="the extra with eflomal is not installed")
def test_words_that_always_go_together_are_linked() -> None:
    words = {"red": "röd", "blue": "blå", "car": "bil", "house": "hus", "old": "gammal", "new": "ny"}
    pairs = [(f"{a} {b}", f"{words[a]} {words[b]}") for a in words for b in words if a != b] * 4
    links = EflomalAligner(pairs).align([("red car", "röd bil"), ("", "")])
    assert links[0] == [(0, 0), (1, 1)]
    assert len(links) == 2
