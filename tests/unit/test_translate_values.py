"""Values: what a text says in numbers, money, clock times and dates, against hand-read readings and num2words."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import ROOT
from translate.values import compare_texts, read_values, written_value
from translate.values.mention import number

MASSIVE = ROOT.parent / "shared" / "data" / "massive" / "en-sv.dev.jsonl"


def said(text: str, lang: str) -> list[str]:
    return ["|".join(sorted(map(str, m.readings))) for m in read_values(text, lang)]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("nine am", "09:00"),
        ("at 9:30 p.m. sharp", "21:30"),
        ("half past nine", "09:30|21:30"),
        ("quarter to nine in the morning", "08:45"),
        ("ten minutes past five p. m.", "17:10"),
        ("twelve p. m.", "12:00"),
        ("twelve am", "00:00"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("seven o'clock", "07:00|19:00"),
        ("seven oh five am", "07:05"),
        ("six hundred and forty five am", "06:45"),
        ("four hundred am", "04:00"),
        ("five thirty", "05:30|17:30"),
        ("nine", "9"),
        ("two hundred and thirty five", "235"),
        ("two and a half million", "2500000"),
        ("$2.3bn", "2300000000 USD"),
        ("US$14.7 billion", "14700000000 USD"),
        ("£1,200", "1200 GBP"),
        ("35.4 mln euros", "35400000 EUR"),
        ("4.6%", "4.6 %"),
        ("five per cent", "5 %"),
        ("the twenty second of march", "month 3 day 22"),
        ("March 21", "month 3 day 21"),
        ("twenty seventeen", "2017|20:17"),
        ("nineteen ninety", "1990"),
        ("day after tomorrow", "day +2"),
        ("fridays", "Fri"),
        ("18th century", "1700|18"),
    ],
)
def test_english_is_read(text: str, readings: str) -> None:
    assert said(text, "en") == [readings]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("halv tio", "09:30|21:30"),
        ("halv tio på kvällen", "21:30"),
        ("halv tolv på förmiddagen", "11:30"),
        ("halv ett på eftermiddagen", "12:30"),
        ("kvart i nio", "08:45|20:45"),
        ("kvart över nio på morgonen", "09:15"),
        ("fem över halv sju", "06:35|18:35"),
        ("fem i halv sju", "06:25|18:25"),
        ("klockan 9.30", "09:30|21:30"),
        ("kl. 21.05", "21:05"),
        ("nio noll noll", "09:00|21:00"),
        ("noll åtta noll noll", "08:00"),
        ("klockan 05.00", "05:00"),
        ("05:30 på kvällen", "17:30"),
        ("tjugoett noll fem", "21:05"),
        ("tjugoett på kvällen", "21:00"),
        ("sex fyrtiofem", "06:45|18:45"),
        ("tio e. m.", "22:00"),
        ("nio f.m.", "09:00"),
        ("tolv på dagen", "12:00"),
        ("midnatt", "00:00"),
        ("klockan två på natten", "02:00"),
        ("elva på natten", "23:00"),
        ("tvåhundratrettiofem", "235"),
        ("tjugohundrasjutton", "2017"),
        ("tvåtusensjutton", "2017"),
        ("2,3 miljarder USD", "2300000000 USD"),
        ("35,4 mkr", "35400000 SEK"),
        ("1 200 pund", "1200 GBP"),
        ("1.200 kr", "1.2 SEK|1200 SEK"),
        ("1,200", "1.2"),
        ("4,6 %", "4.6 %"),
        ("fem procent", "5 %"),
        ("den 7:e mars", "month 3 day 7"),
        ("tjugoandra mars", "month 3 day 22"),
        ("i övermorgon", "day +2"),
        ("i dag", "day +0"),
        ("lördagsschema", "Sat"),
        ("tiodygnsprognos", "10"),
        ("1700-talet", "1700"),
        ("60:e", "60"),
    ],
)
def test_swedish_is_read(text: str, readings: str) -> None:
    assert said(text, "sv") == [readings]


@pytest.mark.parametrize(
    ("text", "lang", "readings"),
    [
        ("nine am on friday the 13th", "en", ["09:00", "Fri", "13"]),
        ("i morgon bitti klockan sju", "sv", ["day +1", "07:00|19:00"]),
        ("klockan sju i morgon bitti", "sv", ["07:00", "day +1"]),
        ("march 21 2017", "en", ["month 3 day 21", "2017"]),
        ("sixth of june two thousand seventeen", "en", ["month 6 day 6", "2017"]),
        ("first of february twenty seventeen", "en", ["month 2 day 1", "2017|20:17"]),
        ("twenty and five", "en", ["20", "5"]),
        ("1995-96", "en", ["1995", "96"]),
        ("A1GP and COVID", "en", []),
        ("7–2", "sv", ["7", "2"]),
        ("det skaver", "sv", []),
        ("a man may march", "en", ["month 5", "month 3"]),
    ],
)
def test_mentions_are_told_apart(text: str, lang: str, readings: list[str]) -> None:
    assert said(text, lang) == readings


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("nine am on friday", "nio på fredag"),
        ("nine am on friday", "fredag klockan nio noll noll"),
        ("wake me at eight", "väck mig klockan åtta"),
        ("a man may march", "en man får marschera"),
        ("john sings bruno mars", "jan sjunger bruno mars"),
        ("one of them fell 4.6%", "ett av dem föll 4,6 procent"),
        ("profit of $2.3bn in 2014", "vinst på 2,3 miljarder dollar 2014"),
        ("this week", "den här veckan"),
        ("fell -5% in the third quarter", "föll \u22125 procent under tredje kvartalet"),
        ("at -$1.5bn (-3.2%)", "vid minus 1,5 miljarder dollar (-3,2 %)"),
        ("a third of them, 10-15%, 2010-11", "en tredjedel av dem, 10\u201315 %, 2010\u201311"),
        ("the first and the other one", "den första och den andra"),
        ("over 9,000 people", "över 9 000 personer"),
    ],
)
def test_translations_that_say_the_same_are_compatible(source: str, target: str) -> None:
    found = compare_texts(source, target, src="en", tgt="sv")
    assert found.compatible, found.reasons()


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("ten am", "tio på kvällen", "22:00"),
        ("next week", "förra veckan", "week -1"),
        ("in march", "i april", "month 4"),
        ("9,000 people", "9,000 personer", "target says 9 "),
        ("up 5%", "upp 50 %", "50 %"),
        ("on friday", "på torsdag", "Thu"),
        ("in 2014", "nyligen", "2014"),
        ("$5m", "5 miljarder dollar", "5000000000 USD"),
        ("margin of -5%", "marginal på 5 %", "source says -5 %"),
        ("up +4.2%", "upp -4,2 %", "target says -4.2 %"),
        ("-$3m", "3 miljoner dollar", "-3000000 USD"),
        ("five pm", "klockan 05.00", "target says 05:00"),
        ("third quarter", "första kvartalet", "source says 3 "),
    ],
)
def test_a_changed_value_is_told_with_both_readings(source: str, target: str, says: str) -> None:
    found = compare_texts(source, target, src="en", tgt="sv")
    assert not found.compatible
    assert says in "; ".join(found.reasons())


def test_what_a_translation_leaves_open_is_told() -> None:
    found = compare_texts("nine pm", "nio", src="en", tgt="sv")
    assert found.compatible
    assert found.narrowed() == ("21:00 ('nine pm') became 9 ('nio')",)


def test_bare_numbers_agree_as_clock_times_only_where_the_slot_is_a_time() -> None:
    assert not compare_texts("nine", "tjugoett", src="en", tgt="sv").compatible
    assert compare_texts("nine", "tjugoett", src="en", tgt="sv", lenient=True).compatible


def test_a_language_without_a_module_compares_digits_and_says_so() -> None:
    found = compare_texts("nine am, 1,200 men, 3.5", "ás nove, 1.200 homes, 3,5", src="en", tgt="gl")
    assert found.compatible
    assert "no value module for gl" in found.note
    assert not compare_texts("1,200 men", "1.300 homes", src="en", tgt="gl").compatible
    assert not compare_texts("-5", "5", src="en", tgt="gl").compatible


def clock_slots(path: Path) -> Iterator[tuple[str, str]]:
    """Pairs of English and human Swedish values where each side has one slot `time`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        en, sv = (re.findall(r"\[time : (.*?)\]", row[key]) for key in ("en_annot", "sv_annot"))
        if len(en) == len(sv) == 1:
            yield en[0].strip(), sv[0].strip()


@pytest.mark.skipif(not MASSIVE.exists(), reason="the shared data (MASSIVE dev) are not on this machine")
def test_human_swedish_clock_slots_are_compatible_in_at_least_95_percent() -> None:
    pairs = [(en, sv) for en, sv in clock_slots(MASSIVE) if read_values(en, "en") or read_values(sv, "sv")]
    fit = [compare_texts(en, sv, src="en", tgt="sv", lenient=True).compatible for en, sv in pairs]
    assert len(fit) > 100
    assert sum(fit) / len(fit) >= 0.95


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("$2.7 billion", "2,7 miljarder dollar"),
        ("47 billion-pound", "47 miljarder pund"),
        ("€1 million", "1 miljon euro"),
        ("$2,732B", "2,732 biljoner dollar"),
        ("2,700", "2 700"),
        ("0.5 percentage points", "0,5 procentenheter"),
        ("1,234,567 dollars", "1 234 567 dollar"),
        ("$5k", "5000 dollar"),
        ("2.0", "2,0"),
        ("150k", None),  # 4K is a screen, 3M a company, 10-K a form
        ("3M", None),
        ("737s", None),
        ("30s", None),
        ("007", None),
        ("5551234", None),
        ("5 may", None),  # "the top 5 may fall"
        ("2015", "2015"),
        ("1990s", "1990-talet"),
        ("21st", "21:a"),
        ("112th", "112:e"),
        ("60 percent", "60 %"),
        (".19", "0,19"),
        ("April 15th", "15 april"),
        ("nine", None),  # words are the engine's to translate
        ("9:30", None),  # either half of the day
    ],
)
def test_values_in_digits_are_written_in_swedish(text: str, written: str | None) -> None:
    assert written_value(read_values(text, "en")[0], "sv") == written


@pytest.mark.parametrize(
    ("text", "plain", "lang"),
    [
        ("open at ９:30 am", "open at 9:30 am", "en"),
        ("١:30 pm", "1:30 pm", "en"),
        ("SİX am", "SIX am", "en"),
        ("nıne thİrty in the evenıng", "nine thIrty in the evening", "en"),
        ("the thırd of march", "the third of march", "en"),
        ("eıghteenth century", "eighteenth century", "en"),
        ("klockan ٩.30", "klockan 9.30", "sv"),
        ("fem över nıo, den tredje aprıl", "fem över nio, den tredje april", "sv"),
        ("1.٢٠٠ ou 3,5", "1.200 ou 3,5", "gl"),
    ],
)
def test_other_digits_and_an_i_with_or_without_its_dot_are_read_where_they_stand(
    text: str, plain: str, lang: str
) -> None:
    found, twins = read_values(text, lang), read_values(plain, lang)
    assert [(m.start, m.end, m.readings) for m in found] == [(m.start, m.end, m.readings) for m in twins]
    assert [m.text for m in found] == [text[m.start : m.end] for m in twins]
    assert found


@pytest.mark.parametrize("gap", ["\u00a0", "\u202f", "\t"])
def test_white_space_of_any_kind_stands_between_the_words_of_an_amount(gap: str) -> None:
    for text, lang in (("2,3 mdr kr", "sv"), ("5 miljoner", "sv"), ("$69.7 billion", "en"), ("two hundred five", "en")):
        assert said(text.replace(" ", gap), lang) == said(text, lang)


@pytest.mark.parametrize("text", ["10 B&Q stores", "10-K", "30 b/o zone", "1m/6m", "8 k"])
def test_a_letter_apart_from_the_digits_is_no_scale(text: str) -> None:
    assert read_values(text, "en")[0].readings == frozenset({number(int(text.split()[0].split("-")[0].split("m")[0]))})


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("profit of £30m", "vinst på 30 miljoner", "lost its unit"),
        ("up 5 percent", "upp 5", "lost its unit"),
        ("up 0.5 percentage points", "upp 0,5 procent", "0.5 % points"),
    ],
)
def test_a_lost_unit_is_told(source: str, target: str, says: str) -> None:
    found = compare_texts(source, target, src="en", tgt="sv")
    assert not found.compatible
    assert any(says in reason for reason in found.reasons())


def test_a_language_without_a_writer_writes_no_value() -> None:
    assert written_value(read_values("$5", "en")[0], "gl") is None
