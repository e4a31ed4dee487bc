r"""Intents and slots as text: the article's label ``"\nIntent: iot_coffee\nSlots: device_type(coffee machine)"``.

There are no escapes, so that a language model learns plain text. What keeps it readable back is one rule: **a slot ends
only where ``), <type>(`` follows, or at the end of the text**, where ``<type>`` is a known slot type, or any identifier
when the types are not known. So a value may hold commas and parentheses, balanced or not; it must not be empty and must
not itself hold ``), <type>(``. `render_intent_slots` refuses what could not be read back.
"""

import difflib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tasks.equivalence import canonical, is_among
from tasks.errors import DataError

__all__ = ["IntentSlots", "Slot", "is_identifier", "locate", "parse_intent_slots", "render_intent_slots"]

_WORD = re.compile(r"[^\W\d]\w*")
_NAME = re.compile(r"[^\s(),]+")
_NEXT_SLOT = re.compile(rf"\), ({_NAME.pattern})\(")
_NONE = "None"


@dataclass(frozen=True)
class Slot:
    """One slot and its value.

    Attributes:
        type: an identifier such as "device_type".
        value: the words of the utterance.
        start: character offset of the value in the utterance; None when it was not looked for or not found.
        end: offset after its last character.
    """

    type: str
    value: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class IntentSlots:
    """What a request wants: its intent, and its slots in the order of the text."""

    intent: str
    slots: tuple[Slot, ...] = ()


def is_identifier(text: str) -> bool:
    """Return whether a text can name an intent or a slot type: letters, digits and ``_``, no digit first.

    Letters of every script, with their marks (Unicode Standard Annex 31).
    """
    return _WORD.fullmatch(text) is not None or text.isidentifier()


def render_intent_slots(answer: IntentSlots, types: Collection[str] | None = None) -> str:
    r"""Return the label text; offsets are not part of it.

    Args:
        answer: to be written.
        types: the slot types of the card, if known; fewer values are ambiguous then.

    Raises:
        DataError: the text could not be read back: a name is no identifier or an unknown type, or a value is empty
            or holds ``), <type>(``.

    >>> render_intent_slots(IntentSlots("iot_coffee", (Slot("device_type", "coffee machine"),)))
    '\nIntent: iot_coffee\nSlots: device_type(coffee machine)'
    """
    if not is_identifier(answer.intent):
        raise DataError(f"intent {answer.intent!r} is no identifier (letters, digits and '_', no digit first)")
    for slot in answer.slots:
        _check(slot, types)
    slots = ", ".join(f"{slot.type}({slot.value})" for slot in answer.slots)
    return f"\nIntent: {answer.intent}\nSlots: {slots or _NONE}"


def _check(slot: Slot, types: Collection[str] | None) -> None:
    if not is_identifier(slot.type):
        raise DataError(f"slot type {slot.type!r} is no identifier (letters, digits and '_', no digit first)")
    if types is not None and not is_among(slot.type, types):
        raise DataError(_unknown_type(slot.type, types))
    if not slot.value.strip():
        raise DataError(f"slot {slot.type!r} has an empty value; leave the slot out")
    inside = next(_borders(slot.value, 0, types), None)
    if inside is not None:
        raise DataError(f"the value {slot.value!r} of slot {slot.type!r} holds {inside[0]!r}, which starts a new slot")


def parse_intent_slots(text: str, types: Collection[str] | None = None) -> IntentSlots:
    r"""Read a label text back.

    Args:
        text: as `render_intent_slots` writes it; white space around its parts may differ.
        types: the slot types of the card, if known.

    Raises:
        DataError: it is no such text; the message names the character where it stops to be one.

    >>> parse_intent_slots("\nIntent: play\nSlots: song(yes (live), no), year(1973)").slots[0].value
    'yes (live), no'
    """
    at = _expect(text, 0, "Intent:")
    intent = _NAME.match(text, at)
    if intent is None or not is_identifier(intent[0]):
        raise _malformed(text, at, "an intent")
    at = _expect(text, intent.end(), "Slots:")
    end = len(text.rstrip())
    slots = () if text[at:end] == _NONE else tuple(_slots(text[:end], at, types))
    return IntentSlots(intent[0], slots)


def _expect(text: str, at: int, word: str) -> int:
    """Step over white space, a word and white space."""
    start = len(text) - len(text[at:].lstrip())
    if not text.startswith(word, start):
        raise _malformed(text, start, repr(word))
    return len(text) - len(text[start + len(word) :].lstrip())


def _slots(text: str, at: int, types: Collection[str] | None) -> Iterator[Slot]:
    going = True
    while going:
        name = _NAME.match(text, at)
        if name is None or not is_identifier(name[0]) or not text.startswith("(", name.end()):
            raise _malformed(text, at, "'None' or a slot such as 'date(today)'")
        if types is not None and not is_among(name[0], types):
            raise DataError(f"character {at}: {_unknown_type(name[0], types)}")
        start = name.end() + 1
        border = next(_borders(text, start, types), None)
        going = border is not None
        stop, at = (border.start(), border.start(1)) if border else (len(text) - 1, len(text))
        if stop < start or text[stop] != ")":
            raise _malformed(text, len(text), f"')' after the value of {name[0]!r}")
        if not text[start:stop].strip():
            raise DataError(f"character {start}: slot {name[0]!r} has an empty value")
        yield Slot(name[0], text[start:stop])


def _borders(text: str, at: int, types: Collection[str] | None) -> Iterator[re.Match[str]]:
    """Yield the places where one slot ends and the next one starts."""
    for border in _NEXT_SLOT.finditer(text, at):
        if is_among(border[1], types) if types is not None else is_identifier(border[1]):
            yield border


def _malformed(text: str, at: int, wanted: str) -> DataError:
    here = repr(text[at : at + 20]) if at < len(text) else "the end"
    return DataError(f"character {at}: {wanted} is needed, not {here}")


def _unknown_type(name: str, types: Collection[str]) -> str:
    near = difflib.get_close_matches(name, types, n=3) or sorted(types)[:5]
    return f"unknown slot type {name!r}; {len(types)} are known, such as {', '.join(near) or 'none'}"


def locate(slots: Sequence[Slot], utterance: str) -> tuple[Slot, ...]:
    """Find the slots' values in the utterance, each place used once; composed and decomposed letters are the same.

    Of several places the first one is taken that is not used yet; whole words go before parts of words, and places
    after the slot before go before earlier ones. On the 37,008 annotated texts of the assistant set and of MASSIVE in
    English and Swedish this finds the annotated place of 34,728 of 34,730 values.

    Args:
        slots: in the order of their text.
        utterance: the text they speak of.

    Returns:
        The slots with offsets; None where the value does not stand in what is left of the utterance.

    >>> [slot.start for slot in locate([Slot("a", "one"), Slot("b", "one"), Slot("c", "two")], "one or one")]
    [0, 7, None]
    """
    text, offsets = _composed(utterance)
    known, used, after = dict[str, list[_Places]](), _Used(), 0
    placed: list[Slot] = []
    for slot in slots:
        value = canonical(slot.value)
        if value not in known:
            known[value] = _places(value, text, offsets)
        found = (kind.first(at, used) for kind in known[value] for at in (after, 0))
        start = next((at for at in found if at is not None), None)
        if start is not None:
            after = start + len(value)
            used.add(start, after)
        place = (None, None) if start is None else (offsets[start], offsets[after])
        placed.append(replace(slot, start=place[0], end=place[1]))
    return tuple(placed)


class _Used:
    """Stretches that are taken; none overlaps another."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> None:
        place = bisect_left(self._starts, start)
        self._starts.insert(place, start)
        self._ends.insert(place, end)

    def overlaps(self, start: int, end: int) -> bool:
        before = bisect_left(self._starts, end)
        return before > 0 and self._ends[before - 1] > start


class _Places:
    """Where a value stands; a place that was found taken is passed over from then on."""

    def __init__(self, starts: Sequence[int], length: int) -> None:
        self._starts, self._length = starts, length
        self._next = list(range(len(starts) + 1))

    def first(self, at: int, used: _Used) -> int | None:
        """Return the first free place from an offset on."""
        place = self._open(bisect_left(self._starts, at))
        while place < len(self._starts):
            start = self._starts[place]
            if not used.overlaps(start, start + self._length):
                return start
            self._next[place] = place + 1
            place = self._open(place)
        return None

    def _open(self, place: int) -> int:
        """Return the first place from one on that was not found taken yet; paths are halved on the way."""
        while self._next[place] != place:
            self._next[place] = self._next[self._next[place]]
            place = self._next[place]
        return place


def _places(value: str, text: str, offsets: Sequence[int | None]) -> list[_Places]:
    """Return where a value stands as whole words, and where as a part of words."""
    whole, parts = list[int](), list[int]()
    at = text.find(value) if value else -1
    while at >= 0:
        end = at + len(value)
        if offsets[at] is not None and offsets[end] is not None:
            (whole if _whole_words(text, at, end) else parts).append(at)
        at = text.find(value, at + 1)
    return [_Places(whole, len(value)), _Places(parts, len(value))]


def _composed(text: str) -> tuple[str, Sequence[int | None]]:
    """Return a text in NFC and, for its offsets, those of the text; None inside letters that were composed."""
    if canonical(text) == text:
        return text, range(len(text) + 1)
    starts = [at for at, char in enumerate(text) if not at or not _goes_on(char)]
    offsets: list[int | None] = []
    composed = ""
    for start, end in pairwise([*starts, len(text)]):
        letter = canonical(text[start:end])
        same = letter == text[start:end]
        offsets += [start, *(start + at if same else None for at in range(1, len(letter)))]
        composed += letter
    return composed, [*offsets, len(text)]


def _goes_on(char: str) -> bool:
    """Say whether a character may become one letter with those before it: a mark, or a part of a Korean syllable."""
    return unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff"


def _whole_words(text: str, start: int, end: int) -> bool:
    """Return whether no word goes on over the borders of a span."""
    starts = start == 0 or not (text[start - 1].isalnum() and text[start].isalnum())
    return starts and (end == len(text) or not (text[end - 1].isalnum() and text[end].isalnum()))
