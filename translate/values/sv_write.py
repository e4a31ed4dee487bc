"""Values written in Swedish: "$2.7 billion" is "2,7 miljarder dollar", "2,700" "2 700", "Dec 13" "13 december"."""

from decimal import Decimal

from translate.values.grammar import ClockPhrases, numbered
from translate.values.writing import ValueWriter

__all__ = ["CLOCK_PHRASES", "write"]

CURRENCIES = {"USD": "dollar", "EUR": "euro", "GBP": "pund", "JPY": "yen", "SEK": "kronor"}
SCALES = ((10**12, "biljon", "biljoner"), (10**9, "miljard", "miljarder"), (10**6, "miljon", "miljoner"))
FIRST_HALF = ("januari", "februari", "mars", "april", "maj", "juni")
MONTHS = (*FIRST_HALF, "juli", "augusti", "september", "oktober", "november", "december")
HOURS = list(
    numbered(
        "noll ett två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton sjutton arton nitton "
        "tjugo tjugoett tjugotvå tjugotre"
    )
)
MINUTES = {0: "", 10: " tio", 15: " femton", 20: " tjugo", 30: " trettio", 45: " fyrtiofem", 50: " femtio"}
DAY_PARTS = (
    (5, "på natten"),
    (10, "på morgonen"),
    (12, "på förmiddagen"),
    (13, "på dagen"),
    (18, "på eftermiddagen"),
    (23, "på kvällen"),
    (24, "på natten"),
)
"""Parts of the day, by the hour that ends each; noon is "tolv på dagen"."""


def _ordinal(value: Decimal) -> str:
    return f"{value:f}:{'a' if value % 10 in (1, 2) and value % 100 not in (11, 12) else 'e'}"


write = ValueWriter(
    group=" ",
    scales=SCALES,
    percent="{} %",
    points="{} procentenheter",
    currency=lambda code, _value, _scaled: CURRENCIES.get(code, code),
    ordinal=_ordinal,
    decade="{}-talet",
    date="{day} {month}",
    months=MONTHS,
)


def _in_half_day(hour: int, minute: int) -> str:
    """Say "nio trettio på kvällen"."""
    part = next(part for end, part in DAY_PARTS if hour < end)
    return f"{HOURS[hour % 12 or 12]}{MINUTES[minute]} {part}"


def _relative(hour: int, minute: int) -> str:
    """Say "halv sju", or "klockan sex" where the minute has no such phrase."""
    now, then = HOURS[hour % 12 or 12], HOURS[hour % 12 + 1]
    said = {
        10: f"tio över {now}",
        15: f"kvart över {now}",
        30: f"halv {then}",
        45: f"kvart i {then}",
        50: f"tio i {then}",
    }
    return said.get(minute, f"klockan {now}")


CLOCK_PHRASES = ClockPhrases(
    {
        "half-day": _in_half_day,
        "o'clock": lambda hour, minute: f"klockan {_in_half_day(hour, minute)}",
        "24-hour": lambda hour, minute: f"klockan {HOURS[hour]}{MINUTES[minute] or ' noll noll'}",
        "relative": _relative,
    },
    before="klockan ",
)
