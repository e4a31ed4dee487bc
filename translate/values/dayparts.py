"""Parts of the day: "this morning" must not become "i kväll"."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from translate.values.compare import ValueComparison
from translate.values.grammar import ValueGrammar
from translate.values.mention import DAY_PARTS, Mention, Reading

__all__ = ["compare_parts", "read_parts"]


def read_parts(text: str, grammar: ValueGrammar, values: Sequence[Mention]) -> tuple[Mention, ...]:
    """Return the parts of the day that a text names, from left to right; greetings name none.

    A part inside a clock time among the text's ``values`` is weak, for it is compared with its hour.
    """
    clocks = [one for one in values if one.kind == "clock"]
    starts = [one.start for one in clocks]
    found = []
    for name, pattern in grammar.day_parts.items():
        says = frozenset({Reading("part", Decimal(DAY_PARTS.index(name)))})
        for part in re.finditer(pattern, text, re.IGNORECASE):
            last = bisect_left(starts, part.end())  # clocks before it begin before the part ends; none overlap
            timed = last > 0 and part.start() < clocks[last - 1].end
            found.append(Mention(part.start(), part.end(), part[0], says, weak=timed))
    return tuple(sorted(found, key=lambda one: one.start))


def compare_parts(found: ValueComparison, source: Sequence[Mention], target: Sequence[Mention]) -> ValueComparison:
    """Return a comparison with the parts of the day that the two texts name.

    They differ if each names one and none is shared: translations often leave a part away, or name one more. Where all
    stand inside clock times nothing is compared again: "three in the morning" is "tre på natten".
    """
    if not source or not target or all(one.weak for one in (*source, *target)):
        return found
    named = {other.readings: other for other in reversed(target)}
    if shared := next(((one, named[one.readings]) for one in source if one.readings in named), None):
        return replace(found, pairs=(*found.pairs, shared))
    return replace(found, missing=(*found.missing, *source), added=(*found.added, *target))
