"""Versions, phone numbers, order numbers, addresses and file names come back letter by letter and say no values."""

import pytest

from translate import ClassLabel, EngineInfo, Hypothesis, Record, Segment
from translate.checks import Draft, run_checks
from translate.inventory.file import shipped_inventory
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import Setup, translate_records
from translate.records.protect import find_protected
from translate.values import compare_texts, read_values
from translate.values.literals import blanked, find_literals

KEPT = {
    "no support for versions below 0.85.x": ["0.85.x"],
    "since v2.3.1 it fails, v3 is fine": ["v2.3.1", "v3"],
    "upgrade from 1.26.4 to 2.0.0rc1": ["1.26.4", "2.0.0rc1"],
    "runs on Python 3.11 and later": ["3.11"],
    "between versions 1.2 and 1.3": ["1.2", "1.3"],
    "see section 3.2 of the manual": ["3.2"],
    "please call +46 70 123 45 67": ["+46 70 123 45 67"],
    "call 070-123 45 67 or (555) 123-4567": ["070-123 45 67", "(555) 123-4567"],
    "my number is 0701234567": ["0701234567"],
    "where is order 50312": ["50312"],
    "order number: 4711-12 never came": ["4711-12"],
    "ticket #4411 is still open": ["4411"],
    "ping 192.168.0.12 and 10.0.0.1:8080": ["192.168.0.12", "10.0.0.1:8080"],
    "the server fe80::1ff:fe23:4567:890a": ["fe80::1ff:fe23:4567:890a"],
    "commit 3f2a9c1 broke it": ["3f2a9c1"],
    "set max_tokens or maxTokens with --max-tokens": ["max_tokens", "maxTokens", "--max-tokens"],
    "open docs/readme.md, then report-2.final.csv.": ["docs/readme.md", "report-2.final.csv"],
    "type `rm 2.5 x` and wait": ["`rm 2.5 x`"],
}
VALUES = [
    "it rose 0.85 percent",
    "release 2.5 million litres of water",
    "1.200.300 people",
    "on 12.10.2020 at 9.30",
    "from 14:30-15:00 or 10:30:45",
    "+1 000 000 kronor",
    "in order 500 people left",
    "call 10 000 people",
    "a profit of $2.7 billion in 2010-2012",
    "the score was 3-2, 1,234.56 dollars each",
]


@pytest.mark.parametrize("text", KEPT)
def test_a_literal_is_protected_and_its_copy_is_no_wrong_number(text: str) -> None:
    assert [p.string for p in find_protected(text)] == KEPT[text]
    found = compare_texts(text, f"på svenska: {', '.join(KEPT[text])}", src="en", tgt="sv")
    assert found.compatible, found.reasons()


@pytest.mark.parametrize("text", KEPT)
def test_a_literal_is_no_value_and_a_changed_one_is_lost(text: str) -> None:
    spans = find_literals(text)
    for mention in read_values(text, "en"):
        assert all(mention.end <= start or end <= mention.start for start, end, _ in spans)
    for kept in KEPT[text]:
        spoilt = text.replace(kept, kept.translate({ord("."): ",", ord("5"): "6", ord("_"): " "}))
        if spoilt != text:
            flags = [f.name for f in run_checks(Draft(Record("1", "1", "t", text), spoilt, (), "en", "sv"))]
            assert "entity_lost" in flags


@pytest.mark.parametrize("text", VALUES)
def test_numbers_that_say_a_value_are_read_as_ever(text: str) -> None:
    assert find_literals(text) == ()
    assert read_values(text, "en")


def test_an_order_number_that_is_invented_or_turned_round_is_told() -> None:
    turned = compare_texts("order 50312 is late", "beställning 50321 är sen", src="en", tgt="sv")
    assert turned.reasons() == ("the target says 50321 ('50321')",)
    invented = compare_texts("my order is late", "min order 50321 är sen", src="en", tgt="sv")
    assert invented.reasons() == ("the target says 50321 ('50321')",)


def test_a_word_that_makes_it_a_literal_may_stand_in_the_translation_alone() -> None:
    assert compare_texts("your number 50312", "ditt ordernummer 50312", src="en", tgt="sv").compatible


def test_blanking_keeps_places_and_leaves_longer_numbers_alone() -> None:
    text = "2.3 of 12.3, 2.3.1 and 2.3!"
    found = blanked(text, ["2.3"])
    assert (len(found), [i for i, char in enumerate(found) if char == "\ufffc"]) == (len(text), [0, 1, 2, 23, 24, 25])


class Commas:
    """An engine that writes points in numbers as commas."""

    def info(self) -> EngineInfo:
        return EngineInfo("commas", ("en-sv",), "none")

    def translate(self, segments: list[Segment]) -> list[Hypothesis]:
        return [Hypothesis(f"inget stöd för {s.text.split()[-1].replace('.', ',')}") for s in segments]


def test_an_engine_that_spoils_a_version_is_asked_again_with_the_version_held_out() -> None:
    record = Record("1", "1", "t", "no support for 0.85.x", label=ClassLabel("a"))
    (done,) = translate_records([record], Commas(), DictMemory(), Setup(shipped_inventory("en", "sv")))
    assert (done.text, done.mode) == ("inget stöd för 0.85.x", "masked")
    assert "entity_lost" not in [flag.name for flag in done.flags]
