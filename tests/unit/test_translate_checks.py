"""Checks: each speaks where it should, is silent on a good translation, and the policy makes a status of it."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from translate.checks import CHECKS, FLAGS, CheckLimits, Draft, Flag, FlagPolicy, agreement, run_checks
from translate.checks.policy_file import load_policy
from translate.errors import PolicyError
from translate.records.record import ClassLabel, IntentLabel, Record, SlotLabel, Span

GOOD = Draft(
    Record("r", "g", "sentiment-task", "Lloyds profit rose 5% in 2014, says @ann", protected=("Lloyds",)),
    "Lloyds vinst steg med 5 procent 2014, säger @ann",
    (),
    "en",
    "sv",
)


def flags(draft: Draft) -> set[str]:
    return {flag.name for flag in run_checks(draft)}


def test_a_good_translation_raises_no_flag() -> None:
    assert run_checks(GOOD) == ()


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("", "empty"),
        ("Lloyds profit rose 5% in 2014, says @ann", "copy"),
        ("Lloyds profit rose med 5 % 2014, säger @ann", "left_words"),
        ("Lloyds vinst " + "steg upp mycket " * 8 + "5% 2014 @ann", "length"),
        ("Lloyds has a larger profit now, 5% in 2014 @ann", "language"),
        ("Lloyds vinst steg steg steg med 5 procent 2014 @ann", "repetition"),
        ("Lloyds vinst steg <unk> 5 procent 2014, säger @ann", "debris"),
        ("Lloyds vinst steg med 5 procent 2014, säger [@ann", "debris"),
        ("Lloyds vinst steg med 6 procent 2014, säger @ann", "percent_mismatch"),
        ("Lloyds vinst steg med 5 procent, säger @ann", "number_mismatch"),
        ("Bankens vinst steg med 5 procent 2014, säger @ann", "entity_lost"),
        ("Lloyds vinst steg med 5 procent 2014, säger Ann", "entity_lost"),
    ],
)
def test_a_bad_translation_raises_the_flag_that_names_it(text: str, flag: str) -> None:
    assert flag in flags(replace(GOOD, text=text))


@pytest.mark.parametrize("entity", ["&quot;", "&#39;", "&amp;", "&#x27;", "&nbsp;"])
def test_an_entity_is_debris_unless_the_source_has_it(entity: str) -> None:
    text = f"{GOOD.text} {entity}"
    assert "debris" in flags(replace(GOOD, text=text))
    assert flags(replace(GOOD, source=replace(GOOD.source, text=f"{GOOD.source.text} {entity}"), text=text)) == set()
    assert flags(replace(GOOD, text=f"{GOOD.text} R&D; B&Q")) == set()


def test_an_empty_text_is_dropped_and_nothing_else_is_said_of_it() -> None:
    found = run_checks(replace(GOOD, text=" "))
    assert [flag.name for flag in found] == ["empty"]
    assert FlagPolicy().status(found) == "drop"


NINE = Draft(
    Record("r", "g", "t", "at nine am", (Span(3, 10, "time"),), IntentLabel("a", (SlotLabel("time", "nine am", 0),))),
    "klockan nio",
    (Span(8, 11, "time"),),
    "en",
    "sv",
)


def test_a_clock_time_left_open_is_told_but_does_no_harm() -> None:
    found = run_checks(NINE)
    assert [flag.name for flag in found] == ["value_open"]
    assert FlagPolicy().status(found) == "unchecked"
    assert FlagPolicy().status(found, confirmed=True) == "ok"


def test_a_wrong_clock_time_is_flagged_in_text_and_slot() -> None:
    assert {"time_mismatch", "slot_value"} <= flags(replace(NINE, text="klockan tio", spans=(Span(8, 11, "time"),)))


def test_a_lost_span_is_named() -> None:
    (flag,) = [f for f in run_checks(replace(NINE, spans=(None,))) if f.name == "slot_lost"]
    assert "time(nine am)" in flag.evidence


def test_what_the_reader_noted_goes_to_review() -> None:
    label = IntentLabel("a", (SlotLabel("time", "9:00", None),))
    noted = Record("r", "g", "t", "now", label=label, notes=("src_label_unparsed", "odd"))
    draft = Draft(noted, "nu", (), "en", "sv")
    assert {"src_label_unparsed", "src_slot_not_in_text", "src_note"} == flags(draft)
    (stray,) = (flag for flag in run_checks(draft) if flag.name == "src_slot_not_in_text")
    assert stray.evidence == "the source text lacks time(9:00)"
    assert FlagPolicy().status(run_checks(draft)) == "review"


def test_engines_are_heard() -> None:
    low = replace(GOOD, score=-3.0, limits=CheckLimits(low_score=-2.0))
    assert flags(low) == {"low_score"}
    assert flags(replace(GOOD, score=-3.0)) == set()  # not calibrated, not judged
    assert flags(replace(GOOD, back="something else entirely")) == {"back_translation"}
    assert flags(replace(GOOD, others=("Banken föll", "Allt gick åt skogen"))) == {"disagreement"}
    assert flags(replace(GOOD, others=(GOOD.source.text,))) == set()  # an engine that copies says nothing


def test_agreement_is_the_mean_over_other_engines() -> None:
    assert agreement("abcdefgh", ()) is None
    assert agreement("abcdefgh", ("abcdefgh", "zzzzzzzz")) == pytest.approx(50.0)


def test_a_language_that_cannot_be_checked_degrades_with_a_reason() -> None:
    text = "o beneficio de Lloyds subiu un 5% en 2014, di @ann"
    galician = replace(GOOD, text=text, tgt="gl")
    assert "values_unchecked" in flags(galician)
    (flag,) = [f for f in run_checks(replace(GOOD, text=text, tgt="xx")) if f.name == "language_unchecked"]
    assert "xx" in flag.evidence


def test_a_policy_changes_how_severe_a_flag_is() -> None:
    flagged = (Flag("number_mismatch", "review", "x"), Flag("copy", "warn", "y"))
    assert (FlagPolicy().status(()), FlagPolicy().status((), confirmed=True)) == ("unchecked", "ok")
    assert FlagPolicy().status(flagged) == "review"
    assert FlagPolicy({"number_mismatch": "info"}).status(flagged) == "warn"
    assert FlagPolicy({"copy": "drop"}).status(flagged) == "drop"


def test_a_policy_with_an_unknown_name_is_refused() -> None:
    assert FlagPolicy({"copy": "drop"}).checked(FLAGS).severities == {"copy": "drop"}
    with pytest.raises(PolicyError, match="'copied'; there are back_translation"):
        FlagPolicy({"copied": "drop"}).checked(FLAGS)
    with pytest.raises(PolicyError, match="'bad'; use info"):
        FlagPolicy({"copy": "bad"}).checked(FLAGS)


def test_every_check_says_which_flags_it_raises_and_no_two_share_one() -> None:
    names = [name for check in CHECKS.values() for name in check.flags]
    assert len(names) == len(set(names))
    assert importlib.import_module("translate.checks").__doc__


def test_an_undecided_label_is_named() -> None:
    labelled = replace(GOOD, source=replace(GOOD.source, label=ClassLabel("x")), undecided=("label x",))
    assert flags(labelled) == {"label_auto"}


def test_a_policy_file_sets_limits_and_refuses_what_a_limit_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[limits]\ncopy_words = 5\nlow_score = -1.5\n")
    assert load_policy(path).limits == CheckLimits(copy_words=5, low_score=-1.5)
    path.write_text("[limits]\ncopy_words = 5.5\n")
    with pytest.raises(PolicyError, match="copy_words"):
        load_policy(path)
