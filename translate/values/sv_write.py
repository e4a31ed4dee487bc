"""Values written in Swedish: "$2.7 billion" is "2,7 miljarder dollar", "2,700" "2 700", "Dec 13" "13 december"."""

from __future__ import annotations

import re
from decimal import Decimal

from translate.values.mention import Mention, Reading

__all__ = ["write"]

CURRENCIES = {"USD": "dollar", "EUR": "euro", "GBP": "pund", "JPY": "yen", "SEK": "kronor"}
SCALES = ((10**12, "biljon", "biljoner"), (10**9, "miljard", "miljarder"), (10**6, "miljon", "miljoner"))
FIRST_HALF = ("januari", "februari", "mars", "april", "maj", "juni")
MONTHS = (*FIRST_HALF, "juli", "augusti", "september", "oktober", "november", "december")
UNGROUPED = 9999
"""Years and other numbers up to four digits stand without a space, unless the source groups them."""


def write(mention: Mention) -> str | None:
    """Return how Swedish writes a value that another language says in digits; None where that is not one thing.

    Args:
        mention: of a source text.
    """
    if not re.search(r"\d", mention.text) or len(mention.readings) != 1:
        return None
    (said,) = mention.readings
    match said.kind:
        case "number":
            return _ordinal(mention.text, said.value) or _amount(mention.text, said.value)
        case "percent":
            return f"{_amount(mention.text, said.value)} %"
        case "money":
            return f"{_amount(mention.text, said.value)} {CURRENCIES.get(said.unit, said.unit)}"
        case "date":
            return _date(said)
    return None


def _ordinal(text: str, value: Decimal) -> str | None:
    """Return "15:e" for "15th" and "1990-talet" for "1990s"."""
    if re.search(r"\ds$", text):
        return f"{value:f}-talet"
    if re.search(r"\d(?:st|nd|rd|th)$", text, re.IGNORECASE):
        return f"{value:f}:{'a' if value % 10 in (1, 2) and value % 100 not in (11, 12) else 'e'}"
    return None


def _amount(text: str, value: Decimal) -> str:
    """Return a number: with a word for millions where the source has one, else in digits."""
    scaled = re.search(r"\d[\s-]?[^\W\d_]", text) is not None
    for size, one, many in SCALES if scaled else ():
        if value >= size:
            return f"{_digits(value / size, grouped=False)} {one if value == size else many}"
    return _digits(value, grouped=value > UNGROUPED or re.search(r"\d,\d{3}", text) is not None)


def _digits(value: Decimal, *, grouped: bool) -> str:
    whole, _, part = f"{value:f}".partition(".")
    whole = f"{int(whole):,}".replace(",", " ") if grouped else whole
    return f"{whole},{part}" if part.rstrip("0") else whole


def _date(said: Reading) -> str:
    month, day = divmod(int(said.value), 100)
    return f"{day} {MONTHS[month - 1]}"
