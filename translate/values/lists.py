"""Lists and ranges that state a unit once: "10 till 12 dollar" is two amounts, "1.2-1.5 billion" two billions."""

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from translate.values.mention import UNITED, Kind, Mention, Reading

__all__ = ["share_units"]

AMOUNTS: frozenset[Kind] = UNITED | {"number"}
Units = Set[tuple[Kind, str]]
_DASH = r"\s*[-\u2013]\s*"


def share_units(text: str, mentions: Sequence[Mention], *, range_word: str, list_words: str) -> tuple[Mention, ...]:
    """Return mentions with the units and scales of others in their lists and ranges as loose readings.

    A number may have those of later ones of its list, and in a range also those of the one before it ("$10-12").

    Args:
        text: that the mentions were read from.
        mentions: from left to right.
        range_word: of the language, "to".
        list_words: regular expression of words that join a list, "and|or".
    """
    ranged = re.compile(rf"{_DASH}|\s+{range_word}\s+", re.IGNORECASE)
    listed = re.compile(rf"{_DASH}|\s*,\s*|\s*,?\s+(?:{range_word}|{list_words})\s+", re.IGNORECASE)
    gaps = ["", *(text[one.end : other.start] for one, other in pairwise(mentions))]
    units: Units = frozenset()
    scales: Set[Decimal] = frozenset()
    shared = []
    for at in reversed(range(len(mentions))):
        one, before = mentions[at], mentions[at - 1]
        in_range = ranged.fullmatch(gaps[at]) is not None
        may_have = units | _units(before) if in_range else units
        shared.append(_with(one, may_have, scales | {before.scale} if in_range else scales))
        in_list = listed.fullmatch(gaps[at]) is not None
        units = units | _units(one) if in_list else frozenset()
        scales = scales | {one.scale} if in_list else frozenset()
    return tuple(reversed(shared))


def _units(mention: Mention) -> Units:
    return {(said.kind, said.unit) for said in mention.readings if said.kind in AMOUNTS}


def _with(one: Mention, units: Units, scales: Set[Decimal]) -> Mention:
    """Return a mention that may also have other units, where it has none, and other scales."""
    if one.ordinal or one.kind not in AMOUNTS:
        return one
    kinds = _units(one) if one.kind in UNITED else _units(one) | units
    times = {Decimal(1), *(scales if one.scale == 1 else ())}
    values = {said.value for said in one.readings}
    more = {Reading(kind, value * scale, unit) for kind, unit in kinds for value in values for scale in times}
    return replace(one, loose=one.loose | (more - one.readings))
