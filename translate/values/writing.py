"""Values in digits of one language as another one writes them; made from a table of each language."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from translate.values.mention import Mention, Reading

__all__ = ["ValueWriter"]

UNGROUPED = 9999
"""Years and other numbers up to four digits stand without a separator, unless the source groups them."""

_SCALE = re.compile(r"\d[\s-]?(?:[a-z]{0,2}n|mln|mio|bln|trn|[kmb]|[a-z]+illion|thousand|hundred)(?!\w)", re.IGNORECASE)
_NAMES = re.compile(
    r"^0\d|\d{7}"  # 007, telephone numbers
    r"|\d[KMBkmb]$"  # 4K, 3M: without a currency as often a name as a number
    r"|\b(?:may|march)\b",  # "5 may fall"
)
_MINUS = "-\u2212\u2013"
_DECADE = re.compile(r"(?:1[5-9]|20)\d0s")


@dataclass(frozen=True)
class ValueWriter:
    """How a language writes numbers, percentages, money and dates.

    Attributes:
        group: what separates thousands; the decimal sign is a comma.
        scales: sizes with their words for one and for several, the largest first.
        percent: format of a percentage, such as "{} %".
        points: format of percentage points.
        currency: makes the unit of an amount of its code, its value, and whether a word for millions stands before it.
        ordinal: makes an ordinal of a whole number.
        decade: format of a decade's first year; None where the language says it otherwise.
        date: format of a day and a month's name.
        months: names of the twelve.
    """

    group: str
    scales: Sequence[tuple[int, str, str]]
    percent: str
    points: str
    currency: Callable[[str, Decimal, bool], str]
    ordinal: Callable[[Decimal], str]
    decade: str | None
    date: str
    months: Sequence[str]

    def __call__(self, mention: Mention) -> str | None:
        """Return how the language writes a value in digits of another one.

        None where it may be written in several ways, or where the digits may be part of a name.
        """
        if not re.search(r"\d", mention.text) or len(mention.readings) != 1:
            return None
        (said,) = mention.readings
        if said.value < 0:
            without = replace(said, value=-said.value)
            positive = self(replace(mention, text=mention.text.lstrip(_MINUS), readings=frozenset({without})))
            return positive and f"-{positive}"
        if said.kind != "money" and _NAMES.search(mention.text):
            return None
        match said.kind:
            case "number":
                return self._number(mention.text, said.value)
            case "percent":
                return (self.points if said.unit else self.percent).format(self._amount(mention.text, said.value)[0])
            case "money":
                amount, scaled = self._amount(mention.text, said.value)
                return f"{amount} {self.currency(said.unit, said.value, scaled)}"
            case "date":
                return self._date(said)
        return None

    def _number(self, text: str, value: Decimal) -> str | None:
        """Return an ordinal for "15th", a decade for "1990s", nothing for "737s", else the number."""
        if text.endswith("s"):
            return self.decade.format(f"{value:f}") if self.decade and _DECADE.fullmatch(text) else None
        if re.search(r"\d(?:st|nd|rd|th)$", text, re.IGNORECASE):
            return self.ordinal(value)
        return self._amount(text, value)[0]

    def _amount(self, text: str, value: Decimal) -> tuple[str, bool]:
        """Return a number, with a word for millions where the source has one, and whether it has."""
        for size, one, many in self.scales if _SCALE.search(text) else ():
            if value >= size:
                digits = self._digits((value / size).normalize(), grouped=False)
                return f"{digits} {one if value == size else many}", True
        return self._digits(value, grouped=value > UNGROUPED or re.search(r"\d,\d{3}", text) is not None), False

    def _digits(self, value: Decimal, *, grouped: bool) -> str:
        whole, _, part = f"{value:f}".partition(".")
        whole = f"{int(whole):,}".replace(",", self.group) if grouped else whole
        return f"{whole},{part}" if part else whole

    def _date(self, said: Reading) -> str:
        month, day = divmod(int(said.value), 100)
        return self.date.format(day=day, month=self.months[month - 1])
