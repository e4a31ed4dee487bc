"""Days and dates: weekdays, months, days of a month, and days, weeks and years counted from now."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from translate.values.grammar import Rule, fixed_rule, phrase_rule, words_of
from translate.values.mention import Kind, Reading

__all__ = ["Months", "relative_rules", "weekday_rule"]


@dataclass(frozen=True)
class Months:
    """The months of one language, alone or with a day.

    Attributes:
        names: words with their numbers, 1 to 12, as regular expressions.
        days: day words with their numbers, 1 to 31, ordinals and cardinals.
        endings: regular expression of what may follow a day in digits ("st", ":e").
        between: regular expression of what may stand between day and month ("of").
        year: regular expression of what makes a number behind a month the beginning of a year ("thousand").
        weak: months that are also other words ("may", "march").
    """

    names: Mapping[str, int]
    days: Mapping[str, int]
    endings: str
    between: str
    year: str
    weak: frozenset[str] = frozenset()

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules: day and month, month and day, month alone."""
        month = rf"(?P<month>{words_of(self.names)})\.?"
        day = rf"(?P<day>{words_of(self.days)}|[12]?\d(?:{self.endings})?|3[01](?:{self.endings})?)(?![\d.,:]\d|\d|\w)"
        link = rf"\s+(?:(?:{self.between})\s+)?"
        dated = [rf"{day}{link}{month}", rf"{month}{link}{day}(?!\s+(?:{self.year}))"]
        return (*(phrase_rule(one, self._date) for one in dated), self._alone(weak=False), self._alone(weak=True))

    def _date(self, match: re.Match[str]) -> Iterable[Reading]:
        digits = re.match(r"\d+", match["day"])
        day = int(digits[0]) if digits else self.days[match["day"].casefold()]
        return [Reading("date", Decimal(self.names[match["month"].casefold()] * 100 + day))] if 0 < day < 32 else []

    def _alone(self, *, weak: bool) -> Rule:
        names = {name: n for name, n in self.names.items() if (name in self.weak) == weak}
        pattern = rf"({words_of(names)})" if names else r"(?!)"
        return phrase_rule(pattern, lambda m: [Reading("month", Decimal(names[m[1].casefold()] * 100))], weak=weak)


def weekday_rule(names: Mapping[str, int], ending: str) -> Rule:
    """Return the rule for weekdays: stems with their numbers, and the regular expression of what may follow a stem."""
    pattern = rf"({words_of(names)}){ending}"
    return phrase_rule(pattern, lambda found: [Reading("weekday", Decimal(names[found[1].casefold()]))])


def relative_rules(table: Mapping[str, tuple[Kind, tuple[int, ...]]], *, weak: bool) -> tuple[Rule, ...]:
    """Return a rule for each phrase (a regular expression) that counts days, weeks or years from now, and how far.

    Phrases are ``weak`` if translations often leave them away.
    """
    return tuple(fixed_rule(pattern, *(Reading(kind, Decimal(n)) for n in far), weak=weak)
                 for pattern, (kind, far) in table.items())  # fmt: skip
