"""The rule for numbers, percentages and money in digits and words, made from a table of each language."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from translate.values.cardinals import CardinalWords
from translate.values.grammar import words_of
from translate.values.mention import Mention, Reading, clock_readings, number

__all__ = ["Amounts", "NumberFormat"]

SIGNS = {"$": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
CODES = {code.lower(): code for code in ("USD", "EUR", "GBP", "JPY", "SEK", "NOK", "DKK", "ISK", "CHF")}
MILLIONS = {f"m{code}": (Decimal(10**6), code.upper()) for code in ("sek", "eur", "usd")}

_MINUS = re.compile(r"[-\u2212\u2013](?=\S)|m[ií]nus\s+", re.IGNORECASE)


@dataclass(frozen=True)
class NumberFormat:
    """How a language writes numbers in digits.

    Attributes:
        group: regular expression of what separates thousands.
        point: regular expression of the decimal separator.
        ordinal: regular expression of the ending that makes an ordinal.
    """

    group: str
    point: str
    ordinal: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A number in digits: its grouped or plain whole part, its decimals."""
        whole = rf"(?P<grouped>\d{{1,3}}(?:(?:{self.group})\d{{3}})+(?!\d))|(?P<plain>\d+)"
        part = rf"(?:(?:{self.point})(?P<part>\d+)(?![.,:]?\d))"
        return re.compile(rf"(?:(?:{whole}){part}?|\.(?P<bare>\d+))(?:{self.ordinal})?", re.IGNORECASE)

    def values(self, match: re.Match[str]) -> list[Decimal]:
        """Return the values of a match: two where a separator may be both, as in "1.200" where points group digits."""
        if match["bare"]:
            return [Decimal(f"0.{match['bare']}")]
        whole = re.sub(r"\D", "", match["grouped"] or match["plain"])
        values = [Decimal(f"{whole}.{match['part']}" if match["part"] else whole)]
        either = match["grouped"] and not match["part"] and re.fullmatch(rf"\d+(?:{self.point})\d+", match["grouped"])
        return [*values, Decimal(re.sub(r"\D", ".", match["grouped"]))] if either else values


@dataclass(frozen=True)
class Amounts:
    """The rule for plain numbers, percentages and money of one language.

    Attributes:
        digits: how numbers are written in digits.
        spoken: how in words.
        scales: words and abbreviations behind a number that multiply it; single letters count right behind the digits
            alone ("10 B&Q stores", "8-K" and "30 b/o" say nothing of the kind).
        half: regular expression of "and a half" behind a number.
        half_of: regular expression of "half a" before a scale.
        percent: words for percent.
        points: words for percentage points.
        currencies: words for currencies, with their codes.
        scaled_currencies: abbreviations that are both ("mkr").
    """

    digits: NumberFormat
    spoken: CardinalWords | None
    scales: Mapping[str, Decimal]
    half: str
    half_of: str
    percent: tuple[str, ...]
    points: tuple[str, ...]
    currencies: Mapping[str, str]
    scaled_currencies: Mapping[str, tuple[Decimal, str]]

    def __call__(self, text: str, at: int) -> Mention | None:
        """Read the amount that begins at a character offset, its minus included."""
        minus = _MINUS.match(text, at)
        start = minus.end() if minus else at
        sign = self._sign.match(text, start)
        found = self._number(text, sign.end() if sign else start)
        if found is None:
            return None
        values, end, weak, ordinal = found
        half = self._half.match(text, end)
        if half:
            values, end, weak = [value + Decimal("0.5") for value in values], half.end(), False
        scale, times = self._scale.match(text, end), Decimal(1)
        if scale:
            times = self.scales[scale[0].strip("-").strip().casefold()]
            values = [value * times for value in values]
            end, weak = scale.end(), False
        values = [-value for value in values] if minus else values
        mention = self._with_unit(text, (at, end), values, sign[1].casefold() if sign else "", weak=weak)
        return replace(mention, ordinal=ordinal, scale=times * mention.scale)

    def _number(self, text: str, at: int) -> tuple[list[Decimal], int, bool, bool] | None:
        """Return the values of the number at an offset, its end, and whether it is weak and an ordinal in words."""
        halved = self._half_of.match(text, at)
        if halved:
            return [Decimal("0.5")], halved.end(), False, False
        digits = self.digits.pattern.match(text, at)
        if digits:
            return self.digits.values(digits), digits.end(), False, False
        spoken = self.spoken.read(text, at) if self.spoken else None
        return ([Decimal(spoken.value)], spoken.end, spoken.weak, spoken.ordinal) if spoken else None

    def _with_unit(self, text: str, place: tuple[int, int], values: list[Decimal], sign: str, *, weak: bool) -> Mention:
        at, end = place
        unit = None if sign else self._unit.match(text, end)
        name = unit[1].casefold() if unit else sign
        end = unit.end() if unit else end
        plain = frozenset(map(number, values))
        if not name:
            clocks = frozenset().union(*map(_maybe_clock, values))
            return Mention(at, end, text[at:end], plain, clocks, weak)
        if name in ("%", *self.percent):
            return Mention(at, end, text[at:end], frozenset(Reading("percent", v) for v in values), plain)
        if name in self.points:
            return Mention(at, end, text[at:end], frozenset(Reading("percent", v, "points") for v in values), plain)
        times, code = self._scaled_currencies.get(name, (Decimal(1), self._currencies.get(name, "")))
        money = frozenset(Reading("money", v * times, code) for v in values)
        return Mention(at, end, text[at:end], money, plain, weak, scale=times)

    @cached_property
    def _currencies(self) -> Mapping[str, str]:
        return {**SIGNS, **CODES, **self.currencies}

    @cached_property
    def _scaled_currencies(self) -> Mapping[str, tuple[Decimal, str]]:
        return {**MILLIONS, **self.scaled_currencies}

    @cached_property
    def _sign(self) -> re.Pattern[str]:
        return re.compile(rf"({words_of([*SIGNS, *CODES, *MILLIONS])})\s?(?=[\d.])", re.IGNORECASE)

    @cached_property
    def _half(self) -> re.Pattern[str]:
        return re.compile(rf"\s+{self.half}(?!\w)", re.IGNORECASE)

    @cached_property
    def _half_of(self) -> re.Pattern[str]:
        words = words_of(word for word in self.scales if len(word) > 1)
        return re.compile(rf"{self.half_of}(?=[\s-]?(?:{words})(?!\w))", re.IGNORECASE)

    @cached_property
    def _scale(self) -> re.Pattern[str]:
        words, letters = (words_of(w for w in self.scales if (len(w) > 1) == long) for long in (True, False))
        return re.compile(rf"[\s-]?(?:{words})(?!\w|\.\w)|(?:{letters})(?![\w&/]|\.\w)", re.IGNORECASE)

    @cached_property
    def _unit(self) -> re.Pattern[str]:
        words = words_of([*self.percent, *self.points, *self._scaled_currencies, *self._currencies])
        return re.compile(rf"[\s-]?(%|(?:{words})(?!\w))", re.IGNORECASE)


def _maybe_clock(value: Decimal) -> frozenset[Reading]:
    """Return what a bare number says as a clock time: "nine" is 9:00, "930" and "9.30" are 9:30."""
    if value < 0:
        return frozenset()
    if value != value.to_integral_value():
        hour, minute = divmod(int(value * 100), 100)
        exact = value * 100 == int(value * 100)
        return clock_readings(hour, minute) if exact and hour < 24 and minute < 60 else frozenset()
    if value <= 24:
        return clock_readings(int(value))
    hour, minute = divmod(int(value), 100)
    return clock_readings(hour, minute) if 100 <= value < 2400 and minute < 60 else frozenset()
