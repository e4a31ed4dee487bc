"""Mentions: stretches of text that say a number, an amount, a clock time or a date, with all their readings."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

__all__ = ["DAY_PARTS", "UNITED", "Kind", "Mention", "Reading", "clock_readings", "number"]

Kind = Literal[
    "number", "money", "percent", "clock", "weekday", "day", "date", "part", "month", "week", "year", "weekend"
]
UNITED: frozenset[Kind] = frozenset({"money", "percent"})
DAY = 24 * 60
DAY_PARTS = ("morning", "afternoon", "evening or night")
_NAMES = {"weekday": ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


@dataclass(frozen=True)
class Reading:
    """One value that a mention may have.

    Attributes:
        kind: of value.
        value: a number or amount as it is; minutes since midnight of a clock; 1 (Monday) to 7; days from today;
            the place in ``DAY_PARTS`` of a part of the day; month * 100 + day of a date, month * 100 of a month; weeks,
            weekends, months or years from now, -1 to 1.
        unit: the currency of money; "points" of percentage points.
    """

    kind: Kind
    value: Decimal
    unit: str = ""

    def __str__(self) -> str:
        whole = int(self.value)
        if self.kind == "clock":
            return f"{whole // 60:02}:{whole % 60:02}"
        if self.kind == "weekday":
            return _NAMES["weekday"][whole]
        if self.kind == "part":
            return DAY_PARTS[whole]
        if self.kind in ("date", "month") and whole >= 100:
            return f"month {whole // 100}" + (f" day {whole % 100}" if whole % 100 else "")
        if self.kind in ("day", "week", "weekend", "month", "year"):
            return f"{self.kind} {whole:+}"
        unit = {"percent": f" % {self.unit}".rstrip(), "money": f" {self.unit}"}.get(self.kind, "")
        return f"{self.value.normalize():f}{unit}"


@dataclass(frozen=True)
class Mention:
    """A stretch of text with its readings.

    Attributes:
        start: character offset, inclusive.
        end: character offset, exclusive.
        text: the stretch.
        readings: its possible values.
        loose: values that it may also have, if its partner is explicit: "nine" may be 09:00, "$5" may be 5.
        weak: also used without any value ("one", "second", "may"); it may lack a partner.
        ordinal: an ordinal in words ("third"), which none but another ordinal translates.
        scale: what a word behind the number ("billion") multiplied it by.
    """

    start: int
    end: int
    text: str
    readings: frozenset[Reading]
    loose: frozenset[Reading] = frozenset()
    weak: bool = False
    ordinal: bool = False
    scale: Decimal = Decimal(1)

    @property
    def kind(self) -> Kind:
        """The kind of its readings; the first by name where they are of several."""
        return min(reading.kind for reading in self.readings)

    def __str__(self) -> str:
        return f"{'|'.join(sorted(map(str, self.readings)))} ({self.text!r})"


def number(value: Decimal | int) -> Reading:
    """Return a plain number as a reading."""
    return Reading("number", Decimal(value))


def clock_readings(hour: int, minute: int = 0, hours: Iterable[int] | None = None) -> frozenset[Reading]:
    """Return the clock times that an hour and minute may mean.

    Args:
        hour: 0 to 24; up to 12 it may mean either half of the day.
        minute: 0 to 59, or negative for minutes to the hour.
        hours: the hours (0 to 23) that a part of the day leaves open; None for all. If none of them fits, all may be.

    >>> sorted(map(str, clock_readings(9)))
    ['09:00', '21:00']
    >>> sorted(map(str, clock_readings(10, -30, hours=range(12))))
    ['09:30']
    """
    may = {hour % 12, hour % 12 + 12} if hour <= 12 else {hour % 24}
    kept = {h for h in may if hours is None or h in hours} or may
    return frozenset(Reading("clock", Decimal((h * 60 + minute) % DAY)) for h in kept)
