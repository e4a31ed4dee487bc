"""What the groups of a clock time's pattern mean: hour, minute and part of the day, for languages that name them alike.

A pattern has the group `hour`, and may have `part` or `day` (a part of the day), `zero` (a zero said before the hour)
and `number` (hour and minute run together, as "930").
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from translate.values.cardinals import CardinalWords
from translate.values.mention import Reading, clock_readings

__all__ = ["ClockWords"]


@dataclass(frozen=True)
class ClockWords:
    """The words of clock times in one language.

    Attributes:
        numbers: hours, 0 to 24, by their words and digits.
        parts: the hours that a part of the day leaves open, by its pattern.
        zero: the hours that a zero before the hour leaves open; None for all.
    """

    numbers: Mapping[str, int]
    parts: Mapping[str, Iterable[int]]
    zero: Iterable[int] | None = None

    def hour(self, found: re.Match[str]) -> int:
        """Return the hour that is said, 0 to 24."""
        return self.numbers[found["hour"].casefold().lstrip("0") or "0"]

    def hours(self, found: re.Match[str]) -> Iterable[int] | None:
        """Return the hours of the day, 0 to 23, that the part of the day leaves open; None for all."""
        groups = found.groupdict()
        part = groups.get("part") or groups.get("day")
        early = self.zero if groups.get("zero") or re.match(r"0\d", groups.get("hour") or "") else None
        return next((hours for one, hours in self.parts.items() if part and re.fullmatch(one, part, re.I)), early)

    def at(self, found: re.Match[str], minute: int) -> Iterable[Reading]:
        """Return the times of the hour that is said and a minute."""
        return clock_readings(self.hour(found), minute, self.hours(found))

    def half_to(self, found: re.Match[str], minute: int) -> Iterable[Reading]:
        """Return the times of a minute before the hour that is said, where half past eleven belongs to the morning."""
        hours = self.hours(found)
        return clock_readings(self.hour(found), minute, None if hours is None else [(h + 1) % 24 for h in hours])

    def run_together(self, found: re.Match[str], words: CardinalWords) -> Iterable[Reading]:
        """Return the time of "930" or "four hundred", as transcribers write 9:30 and 4:00; nothing for no time."""
        spoken = words.read(found["number"], 0)
        value = int(found["number"]) if found["number"].isdigit() else spoken.value if spoken else 0
        whole = spoken is None or spoken.end == len(found["number"])
        hour, minute = divmod(value, 100)
        return clock_readings(hour, minute, self.hours(found)) if whole and 0 < hour <= 24 and minute < 60 else ()
