"""Values that are easily read wrong: hours that are none, halves of a million, units apart from their number."""

import pytest

from translate.values import compare_texts, read_values


def said(text: str, lang: str) -> list[str]:
    return ["|".join(sorted(map(str, m.readings))) for m in read_values(text, lang)]


def reasons(source: str, target: str) -> tuple[str, ...]:
    return compare_texts(source, target, src="en", tgt="sv").reasons()


@pytest.mark.parametrize(
    ("text", "readings"),
    [("vid 18-tiden", "18:00"), ("vid 24-tiden", "00:00"), ("omkring 30-tiden", "30"), ("80-tiden", "80")],
)
def test_an_hour_that_no_day_has_is_a_plain_number(text: str, readings: str) -> None:
    assert said(text, "sv") == [readings]


@pytest.mark.parametrize(
    ("text", "lang", "readings"),
    [
        ("half a million dollars", "en", "500000 USD"),
        ("a half-million", "en", "500000"),
        ("en halv miljon dollar", "sv", "500000 USD"),
        ("en halv miljard", "sv", "500000000"),
        ("one and a half million", "en", "1500000"),
        ("half past nine", "en", "09:30|21:30"),
        ("halv två", "sv", "01:30|13:30"),
    ],
)
def test_half_before_a_scale_halves_it(text: str, lang: str, readings: str) -> None:
    assert said(text, lang) == [readings]


@pytest.mark.parametrize(
    ("text", "lang", "readings"),
    [
        ("5 miljarder amerikanska dollar", "sv", "5000000000 USD"),
        ("5 US-dollar", "sv", "5 USD"),
        ("five US dollars", "en", "5 USD"),
        ("35 MSEK", "sv", "35000000 SEK"),
        ("MEUR 1.5", "en", "1500000 EUR"),
        ("två procenten", "sv", "2 %"),
    ],
)
def test_a_unit_in_another_form_is_read(text: str, lang: str, readings: str) -> None:
    assert said(text, lang) == [readings]


@pytest.mark.parametrize(
    ("text", "lang", "readings"),
    [
        ("at six-thirty", "en", ["06:30|18:30"]),
        ("twenty-five", "en", ["25"]),
        ("30 minutes to 2 hours", "en", ["30", "2"]),
        ("30 minutes to twenty four hours", "en", ["30", "24"]),
        ("ten minutes to five", "en", ["04:50|16:50"]),
        ("mellan tio och femton personer", "sv", ["10", "15"]),
        ("väck mig fem och trettio", "sv", ["05:30|17:30"]),
    ],
)
def test_a_clock_time_is_told_from_a_span(text: str, lang: str, readings: list[str]) -> None:
    assert said(text, lang) == readings


def test_one_of_a_currency_may_be_an_article() -> None:
    assert reasons("a dollar", "en dollar") == ()
    assert reasons("a dollar", "fem dollar") == ("the target says 5 USD ('fem dollar')",)
    assert len(reasons("one dollar", "en euro")) == 2


def test_last_night_is_not_this_evening() -> None:
    assert reasons("who won last night", "vem vann i natt") == reasons("last night", "i går kväll") == ()
    assert reasons("who won last night", "vem vann i kväll") == ("the source says day -1 ('last night')",)


@pytest.mark.parametrize("target", ["möt mig nästa fredag", "möt mig på fredag", "möt mig fredag nästa vecka"])
def test_a_weekday_keeps_its_direction_or_leaves_it_open(target: str) -> None:
    assert reasons("meet me next friday", target) == ()


def test_another_direction_before_a_weekday_is_told() -> None:
    said = ("the source says week +1 ('next')", "the target says week -1 ('förra')")
    assert reasons("meet me next friday", "möt mig förra fredagen") == said
