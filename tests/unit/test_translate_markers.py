"""Marks: put around spans, read back strictly, assigned to the right source span when words change their order."""

from dataclasses import replace

import pytest

from translate.pipeline.projection import SourceSpan, order_marked
from translate.records.markers import Marked, bracketed, mark, read_marked, readable
from translate.records.record import Span

TEXT = "wake me at nine am on friday"
SPANS = (Span(11, 18, "time"), Span(22, 28, "date"))


def test_an_engine_that_copies_brings_marked_spans_back() -> None:
    for markers in ("bracket", "trained"):
        found = read_marked(mark(TEXT, SPANS, markers), 2, markers)
        assert isinstance(found, Marked)
        assert found.text == TEXT
        assert [(start, end) for _, start, end in found.stretches] == [(11, 18), (22, 28)]


@pytest.mark.parametrize(
    ("hypothesis", "text", "stretch"),
    [
        ("väck mig [ på fredag ] .", "väck mig på fredag.", "på fredag"),
        ("[fredag], väck mig", "fredag, väck mig", "fredag"),
        ("väck mig  [fredag]  nu", "väck mig fredag nu", "fredag"),
        ("på [fredag ]klockan", "på fredag klockan", "fredag"),
        ("på[ fredag] klockan", "på fredag klockan", "fredag"),
        ("på [fredag ].", "på fredag.", "fredag"),
        ("väck [mig", None, None),
        ("väck] mig", None, None),
        ("[a [b]]", None, None),
        ("väck [] mig", None, None),
        ("väck [ ] mig", None, None),
        ("[a] [b]", None, None),
        ("väck mig", None, None),
    ],
)
def test_brackets_are_accepted_only_when_one_pair_stands_around_something(
    hypothesis: str, text: str | None, stretch: str | None
) -> None:
    found = read_marked(hypothesis, 1, "bracket")
    if text is None:
        assert isinstance(found, str)
    else:
        assert isinstance(found, Marked)
        ((_, start, end),) = found.stretches
        assert (found.text, found.text[start:end]) == (text, stretch)


@pytest.mark.parametrize(
    ("hypothesis", "says"),
    [
        ("<s0> a </s1>", "was not open"),
        ("<s0> a </s0> <s0> b </s0>", "came out twice"),
        ("<s0> a </s0>", "2 spans went in marked, 1 came out"),
        ("<s0> a <s1> b </s1> </s0>", "inside another"),
    ],
)
def test_trained_marks_that_came_back_wrong_are_refused_with_the_reason(hypothesis: str, says: str) -> None:
    found = read_marked(hypothesis, 2, "trained")
    assert isinstance(found, str)
    assert says in found


def test_a_text_with_brackets_of_its_own_is_not_marked_with_brackets() -> None:
    assert not readable("see [1]", "bracket")
    assert readable("see [1]", "trained")
    assert not readable("see", "none")


def wanted(*values: str) -> list[SourceSpan]:
    return [SourceSpan(0, 1, f"type{n}", value) for n, value in enumerate(values)]


def values_in_order(hypothesis: str, count: int, markers: str, *sources: str) -> list[str]:
    found = read_marked(hypothesis, count, markers)
    assert isinstance(found, Marked)
    return [found.text[start:end] for start, end in order_marked(found, wanted(*sources), "en", "sv").stretches]


def test_brackets_that_changed_places_are_told_apart_by_value_and_by_likeness() -> None:
    assert values_in_order("väck mig på [fredag] klockan [nio]", 2, "bracket", "nine am", "friday") == ["nio", "fredag"]
    assert values_in_order("[Abba] på [Spotify]", 2, "bracket", "spotify", "abba") == ["Spotify", "Abba"]


def test_brackets_that_cannot_be_told_apart_keep_their_order() -> None:
    assert values_in_order("[hallen] och [köket]", 2, "bracket", "lobby", "scullery") == ["hallen", "köket"]


def test_an_order_is_sure_if_values_or_forms_decided_it_or_the_types_are_the_same() -> None:
    rooms = read_marked("[hallen] och [köket]", 2, "bracket")
    assert isinstance(rooms, Marked)
    lobby, scullery = wanted("lobby", "scullery")
    assert not order_marked(rooms, [lobby, scullery], "en", "sv").sure
    assert order_marked(rooms, [lobby, replace(scullery, type=lobby.type)], "en", "sv").sure
    assert order_marked(rooms, [replace(lobby, forms=("hallen",)), scullery], "en", "sv").sure


def test_a_number_that_is_another_number_takes_no_span_from_a_word() -> None:
    found = values_in_order("[åtta och tio] är [mötet]", 2, "bracket", "ten thirty pm", "gathering")
    assert found == ["åtta och tio", "mötet"]


def test_a_space_stays_before_a_word_that_begins_with_a_point_or_a_quotation_mark() -> None:
    for hypothesis, text in [
        ("[ladda ner] .NET", "ladda ner .NET"),
        ("[hej] 'nu igen'", "hej 'nu igen'"),
        ("[tom] 's hus", "tom's hus"),
        ("[tom] , nu", "tom, nu"),
        ("[ladda ]ner", "ladda ner"),
        ("nu[ ladda] ner", "nu ladda ner"),
        ("[ladda ][ner]", "ladda ner"),
    ]:
        found = read_marked(hypothesis, hypothesis.count("["), "bracket")
        assert isinstance(found, Marked)
        assert found.text == text


def test_numbered_marks_become_brackets() -> None:
    spans = [Span(0, 7, "time"), Span(11, 17, "date")]
    text = "nine am on friday"
    assert bracketed(mark(text, spans, "trained")) == mark(text, spans, "bracket")


def test_trained_marks_go_to_their_own_span() -> None:
    assert values_in_order("<s1> x </s1> <s0> y </s0>", 2, "trained", "a", "b") == ["y", "x"]
