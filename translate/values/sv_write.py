"""Values written in Swedish: "$2.7 billion" is "2,7 miljarder dollar", "2,700" "2 700", "Dec 13" "13 december"."""

import re
from dataclasses import replace
from decimal import Decimal

from translate.values.grammar import ClockPhrases, numbered
from translate.values.mention import Mention, Reading

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
UNGROUPED = 9999
"""Years and other numbers up to four digits stand without a space, unless the source groups them."""

_SCALE = re.compile(r"\d[\s-]?(?:[a-z]{0,2}n|mln|mio|bln|trn|[kmb]|[a-z]+illion|thousand|hundred)(?!\w)", re.IGNORECASE)
_NAMES = re.compile(
    r"^0\d|\d{7}"  # 007, telephone numbers
    r"|\d[KMBkmb]$"  # 4K, 3M: without a currency as often a name as a number
    r"|\b(?:may|march)\b",  # "5 may fall"
)
_MINUS = "-\u2212\u2013"
_DECADE = re.compile(r"(?:1[5-9]|20)\d0s")


def write(mention: Mention) -> str | None:
    """Return how Swedish writes a value in digits of another language.

    None where it may be written in several ways, or where the digits may be part of a name.
    """
    if not re.search(r"\d", mention.text) or len(mention.readings) != 1:
        return None
    (said,) = mention.readings
    if said.value < 0:
        without = replace(said, value=-said.value)
        positive = write(replace(mention, text=mention.text.lstrip(_MINUS), readings=frozenset({without})))
        return positive and f"-{positive}"
    if said.kind != "money" and _NAMES.search(mention.text):
        return None
    match said.kind:
        case "number":
            return _number(mention.text, said.value)
        case "percent":
            return f"{_amount(mention.text, said.value)} {'procentenheter' if said.unit else '%'}"
        case "money":
            return f"{_amount(mention.text, said.value)} {CURRENCIES.get(said.unit, said.unit)}"
        case "date":
            return _date(said)
    return None


def _number(text: str, value: Decimal) -> str | None:
    """Return "15:e" for "15th", "1990-talet" for "1990s", nothing for "737s", else the number."""
    if text.endswith("s"):
        return f"{value:f}-talet" if _DECADE.fullmatch(text) else None
    if re.search(r"\d(?:st|nd|rd|th)$", text, re.IGNORECASE):
        return f"{value:f}:{'a' if value % 10 in (1, 2) and value % 100 not in (11, 12) else 'e'}"
    return _amount(text, value)


def _amount(text: str, value: Decimal) -> str:
    """Return a number, with a word for millions where the source has one."""
    for size, one, many in SCALES if _SCALE.search(text) else ():
        if value >= size:
            return f"{_digits((value / size).normalize(), grouped=False)} {one if value == size else many}"
    return _digits(value, grouped=value > UNGROUPED or re.search(r"\d,\d{3}", text) is not None)


def _digits(value: Decimal, *, grouped: bool) -> str:
    whole, _, part = f"{value:f}".partition(".")
    whole = f"{int(whole):,}".replace(",", " ") if grouped else whole
    return f"{whole},{part}" if part else whole


def _date(said: Reading) -> str:
    month, day = divmod(int(said.value), 100)
    return f"{day} {MONTHS[month - 1]}"


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
