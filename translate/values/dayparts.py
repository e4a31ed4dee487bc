"""Parts of the day: "this morning" must not become "i kväll"."""

import re
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
    found = []
    for name, pattern in grammar.day_parts.items():
        says = frozenset({Reading("part", Decimal(DAY_PARTS.index(name)))})
        for part in re.finditer(pattern, text, re.IGNORECASE):
            timed = any(one.start < part.end() and part.start() < one.end for one in clocks)
            found.append(Mention(part.start(), part.end(), part[0], says, weak=timed))
    return tuple(sorted(found, key=lambda one: one.start))


def compare_parts(found: ValueComparison, source: Sequence[Mention], target: Sequence[Mention]) -> ValueComparison:
    """Return a comparison with the parts of the day that the two texts name.

    They differ if each names one and none is shared: translations often leave a part away, or name one more. Where all
    stand inside clock times nothing is compared again: "three in the morning" is "tre på natten".
    """
    if not source or not target or all(one.weak for one in (*source, *target)):
        return found
    shared = [(one, other) for one in source for other in target if one.readings == other.readings]
    if shared:
        return replace(found, pairs=(*found.pairs, shared[0]))
    return replace(found, missing=(*found.missing, *source), added=(*found.added, *target))
