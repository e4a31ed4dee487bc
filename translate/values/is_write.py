"""Values written in Icelandic: "$2.7 billion" is "2,7 milljarðar dollara", "2,700" "2.700", "Dec 13" "13. desember"."""

from decimal import Decimal

from translate.values.grammar import ClockPhrases, numbered
from translate.values.writing import ValueWriter

__all__ = ["CLOCK_PHRASES", "write"]

CURRENCIES = {
    "USD": ("dollari", "dollarar", "dollara"),
    "EUR": ("evra", "evrur", "evra"),
    "GBP": ("pund", "pund", "punda"),
    "JPY": ("jen", "jen", "jena"),
    "ISK": ("króna", "krónur", "króna"),
    "SEK": ("sænsk króna", "sænskar krónur", "sænskra króna"),
}
"""Units after 1, after other numbers, and in the genitive, which follows millions."""
HOURS = list(
    numbered(
        "núll eitt tvö þrjú fjögur fimm sex sjö átta níu tíu ellefu tólf þrettán fjórtán fimmtán sextán sautján átján "
        "nítján tuttugu"
    )
)
HOURS += [f"tuttugu og {unit}" for unit in HOURS[1:4]]
MINUTES = {0: "", 10: " tíu", 15: " fimmtán", 20: " tuttugu", 30: " þrjátíu", 45: " fjörutíu og fimm", 50: " fimmtíu"}
DAY_PARTS = (
    (5, "um nóttina"),
    (10, "um morguninn"),
    (12, "fyrir hádegi"),
    (18, "eftir hádegi"),
    (23, "um kvöldið"),
    (24, "um nóttina"),
)
"""Parts of the day, by the hour that ends each."""


def _currency(code: str, value: Decimal, scaled: bool) -> str:
    one, many, genitive = CURRENCIES.get(code, (code, code, code))
    return genitive if scaled else one if value % 10 == 1 and value % 100 != 11 else many


write = ValueWriter(
    group=".",
    scales=((10**12, "billjón", "billjónir"), (10**9, "milljarður", "milljarðar"), (10**6, "milljón", "milljónir")),
    percent="{}%",
    points="{} prósentustig",
    currency=_currency,
    ordinal=lambda value: f"{value:f}.",
    decade=None,
    date="{day}. {month}",
    months=(
        "janúar", "febrúar", "mars", "apríl", "maí", "júní",
        "júlí", "ágúst", "september", "október", "nóvember", "desember",
    ),
)  # fmt: skip


def _in_half_day(hour: int, minute: int) -> str:
    """Say "níu þrjátíu um kvöldið"."""
    part = next(part for end, part in DAY_PARTS if hour < end)
    return f"{HOURS[hour % 12 or 12]}{MINUTES[minute]} {part}"


def _relative(hour: int, minute: int) -> str:
    """Say "hálf sjö", or "klukkan sex" where the minute has no such phrase."""
    now, then = HOURS[hour % 12 or 12], HOURS[hour % 12 + 1]
    said = {
        10: f"tíu mínútur yfir {now}",
        15: f"korter yfir {now}",
        30: f"hálf {then}",
        45: f"korter í {then}",
        50: f"tíu mínútur í {then}",
    }
    return said.get(minute, f"klukkan {now}")


CLOCK_PHRASES = ClockPhrases(
    {
        "half-day": _in_half_day,
        "o'clock": lambda hour, minute: f"klukkan {_in_half_day(hour, minute)}",
        "24-hour": lambda hour, minute: f"klukkan {HOURS[hour]}{MINUTES[minute] or ' núll núll'}",
        "relative": _relative,
    },
    before="klukkan ",
)
