"""English values: "half past nine", "9:30 pm", "$2.3bn", "twenty second of March", "day after tomorrow"."""

import re
from collections.abc import Iterable
from decimal import Decimal

from translate.values.amounts import Amounts, NumberFormat
from translate.values.calendar import Months, relative_rules, weekday_rule
from translate.values.cardinals import CardinalWords
from translate.values.clock import ClockWords
from translate.values.grammar import (
    ClockPhrases,
    ValueGrammar,
    fixed_rule,
    numbered,
    paired_digits,
    phrase_rule,
    words_of,
)
from translate.values.mention import Kind, Reading

__all__ = ["GRAMMAR"]

UNITS = numbered(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
TENS = numbered("twenty thirty forty fifty sixty seventy eighty ninety", 2)
CARDINALS = UNITS | {word: n * 10 for word, n in TENS.items()} | {"fourty": 40}
CARDINALS |= {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINALS = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12, "twelveth": 12}
ORDINALS |= {f"{word}th": n for word, n in CARDINALS.items() if n in (4, 6, 7, 10, 11) or 12 < n < 20 or n >= 100}
ORDINALS |= {f"{word[:-1]}ieth": n * 10 for word, n in TENS.items()}

SPOKEN = CardinalWords(
    CARDINALS, ORDINALS, weak=frozenset({"zero", "one", "first", "second", "third"}), joined=False, link="and"
)
DOLLARS = [f"{whose}{word}" for whose in ("", "us ", "u.s. ", "u. s. ", "american ") for word in ("dollar", "dollars")]
AMOUNTS = Amounts(
    digits=NumberFormat(group=",", point=r"\.", ordinal=r"(?:st|nd|rd|th|s)(?!\w)"),
    spoken=SPOKEN,
    scales={"k": Decimal(1000), "thousand": Decimal(1000), "hundred": Decimal(100)}
    | dict.fromkeys(("m", "mn", "mln", "mio", "million"), Decimal(10**6))
    | dict.fromkeys(("b", "bn", "bln", "billion"), Decimal(10**9))
    | dict.fromkeys(("tn", "trn", "trillion"), Decimal(10**12)),
    half="and a half",
    half_of="(?:a )?half(?:[ -]an?)?",
    percent=("percent", "per cent", "pct"),
    points=("percentage point", "percentage points"),
    currencies=dict.fromkeys((*DOLLARS, "u. s. d."), "USD")
    | {"euro": "EUR", "euros": "EUR", "pound": "GBP", "pounds": "GBP"}
    | {"yen": "JPY", "krona": "SEK", "kronor": "SEK", "crowns": "SEK"},
    scaled_currencies={"mln euros": (Decimal(10**6), "EUR")},
)


def _below(end: int) -> dict[str, int]:
    """Return the numbers below ``end`` in words, "twenty five" and "twenty-five" alike, and in digits."""
    words = {word: n for word, n in CARDINALS.items() if n < min(end, 100)}
    for ten in [word for word, n in words.items() if n >= 20]:
        for unit in list(UNITS)[1:10]:
            words |= {f"{ten}{gap}{unit}": CARDINALS[ten] + CARDINALS[unit] for gap in (" ", "-")}
    return {word: n for word, n in words.items() if n < end} | {str(n): n for n in range(end)}


HOURS, MINUTES = _below(25), _below(60)
WORDS = {n: word for word, n in reversed(MINUTES.items())}
PARTS = {
    r"a\.?\s?m\b\.?": range(12),
    r"p\.?\s?m\b\.?": range(12, 24),
    "(?:in the )?morning": range(12),
    "(?:in the )?afternoon": range(12, 24),
    "(?:in the )?evening": range(12, 24),
    "at night": (*range(5), *range(18, 24)),
    "noon": range(12, 13),
    "midnight": range(1),
}
DAY_PARTS = {  # these name a day too, which is a mention of its own: only looked at
    "(?:this|tomorrow|yesterday) morning": range(12),
    "(?:this|tomorrow|yesterday) (?:afternoon|evening)|tonight": range(12, 24),
}
PART = rf"(?:\s*(?P<part>{'|'.join(PARTS)})|(?=\s*(?P<day>{'|'.join(DAY_PARTS)})(?!\w)))"
HOUR = rf"(?P<hour>{words_of(HOURS)})"
MINUTE = rf"(?P<minute>quarter|{words_of(MINUTES)})"
QUARTERS = words_of(word for word, n in MINUTES.items() if n in (15, 30, 45) and not word.isdigit())
NO_SPAN = rf"(?!\s+(?:(?:{words_of(list(UNITS)[1:10])})\s+)?(?:hours?|minutes?|days?)(?!\w))"
LONG = words_of(word for word, n in MINUTES.items() if n >= 10 and not word.isdigit())
CLOCK = ClockWords(HOURS, {**PARTS, **DAY_PARTS})


def _minute(word: str) -> int:
    return 15 if word.casefold() == "quarter" else MINUTES[word.casefold()]


def _at(found: re.Match[str]) -> Iterable[Reading]:
    groups = found.groupdict()
    minute = groups.get("minute") or groups.get("oh") or "0"
    return CLOCK.at(found, _minute(minute.lstrip("0") or "0"))


def _past(found: re.Match[str]) -> Iterable[Reading]:
    back = -1 if found["way"].casefold() in ("to", "till", "before", "of") else 1
    return CLOCK.at(found, back * _minute(found["minute"]))


def _half(found: re.Match[str]) -> Iterable[Reading]:
    return CLOCK.at(found, 30)


def _military(found: re.Match[str]) -> Iterable[Reading]:
    """Read "four hundred am" and "six hundred and forty five am", a transcriber's 4:00 and 6:45."""
    return CLOCK.run_together(found, SPOKEN)


CLOCKS = (
    phrase_rule(rf"half past {HOUR}{PART}?", _half),
    phrase_rule(rf"(?:a )?{MINUTE}(?: minutes?)? (?P<way>past|after) {HOUR}{PART}?", _past),
    phrase_rule(rf"(?:a )?{MINUTE} minutes? (?P<way>to|till|before|of) {HOUR}{NO_SPAN}{PART}?", _past),
    phrase_rule(rf"(?:a )?(?P<minute>quarter) (?P<way>to|till|before|of) {HOUR}{PART}?", _past),
    phrase_rule(rf"(?P<minute>five|ten|twenty|twenty five) (?P<way>to|till) {HOUR}{PART}", _past),
    phrase_rule(rf"{HOUR} and (?P<minute>{QUARTERS}){PART}", _at),
    phrase_rule(r"(?P<hour>[01]?\d|2[0-4])[:](?P<minute>[0-5]\d)" rf"{PART}?", _at),
    phrase_rule(rf"(?P<hour>1?\d)[.](?P<minute>[0-5]\d){PART}", _at),
    phrase_rule(rf"{HOUR}\s*o'?\s?clock{PART}?", _at),
    phrase_rule(rf"{HOUR}{PART}", _at),
    phrase_rule(rf"{HOUR}[ -](?P<minute>{LONG}){PART}?", _at),
    phrase_rule(rf"{HOUR} (?:oh?|zero) (?P<oh>{words_of(list(UNITS)[1:10])}){PART}?", _at),
    phrase_rule(rf"(?P<number>\d{{3,4}}|\w+(?: thousand| hundred)(?: and)?(?: \w+){{0,2}}?){PART}", _military),
    fixed_rule("(?:twelve |12 )?(?:mid )?(?:noon|midday)|mid day", Reading("clock", Decimal(12 * 60))),
    fixed_rule("midnight", Reading("clock", Decimal(0))),
)


def _named_century(found: re.Match[str]) -> Iterable[Reading]:
    """Read "18th century" as the years 1700 that other languages name it by, or as 18."""
    digits = re.match(r"\d+", found["nth"])
    nth = int(digits[0]) if digits else DAYS[found["nth"].casefold()]
    return [Reading("number", Decimal(nth)), Reading("number", Decimal(nth * 100 - 100))]


WEEKDAYS = numbered("monday tuesday wednesday thursday friday saturday sunday", 1)
MONTHS = numbered("january february march april may june july august september october november december", 1)
MONTHS |= {word[:3]: n for word, n in MONTHS.items() if n != 5} | {"sept": 9}
DAYS = {word: n for word, n in _below(32).items() if not word.isdigit() and n} | {
    f"{tens}{word}": value + n
    for tens, value in (("", 0), ("twenty ", 20), ("twenty-", 20), ("thirty ", 30), ("thirty-", 30))
    for word, n in ORDINALS.items()
    if 0 < value + n < 32 and (n < 10 or not tens)
}
NTH = words_of(word for word in DAYS if word.endswith(("st", "nd", "rd", "th")))
YEARS = (
    paired_digits(_below(100)),
    phrase_rule(rf"(?P<nth>[12]?\d(?:st|nd|rd|th)|{NTH})[\s-]centur(?:y|ies)", _named_century),
)
WEAK_MONTHS = frozenset({"may", "march", *(name for name in MONTHS if len(name) <= 3)})  # also verbs and names
BEGUN_YEAR = f"hundred|thousand|{words_of(word for word, n in CARDINALS.items() if 10 <= n < 100)}"
RELATIVE: dict[str, tuple[Kind, tuple[int, ...]]] = {
    "the day after tomorrow|day after tomorrow": ("day", (2,)),
    "the day before yesterday|day before yesterday": ("day", (-2,)),
    "today(?:'?s)?|this day": ("day", (0,)),
    "tomorrow(?:'?s)?": ("day", (1,)),
    "yesterday(?:'?s)?": ("day", (-1,)),
    "tonight(?:'?s)?|this (?:morning|afternoon|evening)": ("day", (0,)),
    "last night(?:'?s)?": ("day", (-1,)),
}
UNITS_OF_TIME: tuple[Kind, ...] = ("week", "weekend", "month", "year")
WAYS: dict[str, tuple[int, ...]] = {
    "(?:this|current)": (0,),
    "(?:next|the following|coming)": (1,),
    "(?:last|past)": (-1,),
}
SPELLS: dict[str, tuple[Kind, tuple[int, ...]]] = {
    rf"{way} {unit}(?:'?s)?": (unit, far) for way, far in WAYS.items() for unit in UNITS_OF_TIME
}
SPELLS |= {rf"{way}(?=\s+(?:{words_of(WEEKDAYS)}))": ("week", far) for way, far in WAYS.items() if far != (0,)}
SPELLS |= {"from (?:now|today)": ("day", (0,))}


def _in_half_day(hour: int, minute: int) -> str:
    """Say "nine thirty p. m."."""
    return f"{WORDS[hour % 12 or 12]}{f' {WORDS[minute]}' if minute else ''} {'am' if hour < 12 else 'p. m.'}"


def _relative(hour: int, minute: int) -> str:
    """Say "half past six", or "six o'clock" where the minute has no such phrase."""
    now, then = WORDS[hour % 12 or 12], WORDS[hour % 12 + 1]
    said = {10: f"ten past {now}", 15: f"quarter past {now}", 30: f"half past {now}"}
    said |= {45: f"quarter to {then}", 50: f"ten to {then}"}
    return said.get(minute, f"{now} o'clock")


GRAMMAR = ValueGrammar(
    "en",
    (
        *YEARS,
        *CLOCKS,
        *Months(MONTHS, DAYS, "st|nd|rd|th", "of|the", BEGUN_YEAR, WEAK_MONTHS).rules(),
        weekday_rule(WEEKDAYS, "(?:'?s)?"),
        *relative_rules(RELATIVE, weak=False),
        *relative_rules(SPELLS, weak=True),
        AMOUNTS,
    ),
    day_parts={
        "morning": r"(?<!\bgood[ -])\bmornings?\b",
        "afternoon": r"(?<!\bgood )\bafternoons?\b",
        "evening or night": r"(?<!\bgood )\b(?:evenings?|tonight|(?:mid|over)?nights?)\b",
    },
    range_word="to",
    list_words="and|or",
    common_words=frozenset(
        numbered(
            "the of and to is are was were this that with from you your it not be have has can will would for which "
            "when if by as or he she they we an on"
        )
    ),
    clock_phrases=ClockPhrases(
        {"half-day": _in_half_day, "o'clock": _in_half_day, "24-hour": _in_half_day, "relative": _relative}
    ),
)
