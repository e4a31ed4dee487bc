"""Parts of the day: another one is told, with an hour beside it or without; greetings and months from now are none."""

import pytest

from translate.checks import Draft, run_checks
from translate.records.record import Record
from translate.values import compare_texts


def reasons(source: str, target: str) -> tuple[str, ...]:
    return compare_texts(source, target, src="en", tgt="sv").reasons()


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("what happened this morning", "vad hände i kväll", ("morning ('morning')", "evening or night ('kväll')")),
        ("tomorrow morning", "i morgon eftermiddag", ("morning ('morning')", "afternoon ('eftermiddag')")),
        (
            "good morning, bye until tonight",
            "godmorgon, hej till i morse",
            ("evening or night ('tonight')", "morning ('i morse')"),
        ),
    ],
)
def test_another_part_of_the_day_is_told_without_an_hour(source: str, target: str, told: tuple[str, str]) -> None:
    assert reasons(source, target) == (f"the source says {told[0]}", f"the target says {told[1]}")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("tomorrow morning", "i morgon bitti"),
        ("tomorrow morning", "i morgon"),
        ("this morning", "den här förmiddagen"),
        ("tonight and in the morning", "i natt"),
        ("good evening, how was your morning", "god kväll, hur var din morgon"),
        ("good night, see you tomorrow evening", "god natt, vi ses i morgon kväll"),
        ("three in the morning", "tre på natten"),
        ("at midnight", "vid midnatt"),
    ],
)
def test_the_same_part_of_the_day_and_one_left_away_agree(source: str, target: str) -> None:
    assert reasons(source, target) == ()


def test_another_part_of_the_day_beside_an_hour_is_told_once() -> None:
    assert reasons("ten in the morning", "tio på kvällen") == (
        "the source says 10:00 ('ten in the morning')",
        "the target says 22:00 ('tio på kvällen')",
    )


def test_another_part_of_the_day_is_flagged_as_a_time() -> None:
    draft = Draft(Record("r", "g", "t", "what happened this morning"), "vad hände i kväll", (), "en", "sv")
    assert [flag.name for flag in run_checks(draft)] == ["time_mismatch"]


def test_months_from_now_are_told_as_such() -> None:
    told = ("the source says month +1 ('next month')", "the target says month -1 ('förra månaden')")
    assert reasons("next month", "förra månaden") == told
    assert reasons("in march", "i april")[0] == "the source says month 3 ('march')"
