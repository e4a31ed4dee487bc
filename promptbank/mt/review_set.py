"""Translated folders as a person reviews them: which items are shown, how, and what becomes of what is pressed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.mt.memory import apply_overrides
from promptbank.mt.review import ITEMS, decided_pair
from promptbank.mt.review_log import ItemState, ReviewLog, ReviewState
from promptbank.mt.translation import read_request, translate
from translate.pipeline.translated import Override
from translate.records.record import Span
from translate.review.items import ReviewItem, annotate, flagged, parse_annotated
from translate.values import compare_texts

__all__ = [
    "SEVERITIES",
    "STATES",
    "ReviewFilter",
    "ReviewSet",
    "TextStretch",
    "attempt",
    "decision",
    "flags_left",
    "rate",
    "review_folders",
    "review_set",
    "stretches",
]

STATES = ("open", "decided", "all")
SEVERITIES = ("drop", "review", "warn", "info")
RATED = 20
"""Decisions over which a person's rate is measured."""


@dataclass(frozen=True)
class ReviewFilter:
    """Which items of a set are looked at.

    Attributes:
        flag: that they still have; empty for any.
        severity: of their worst flag; empty for any.
        state: of `STATES`.
        which: "all" items; otherwise those that ``review.csv`` has.
        q: stands in their texts.
    """

    flag: str = ""
    severity: str = ""
    state: str = "open"
    which: str = ""
    q: str = ""

    def base(self, items: Sequence[ReviewItem]) -> list[ReviewItem]:
        """Return the items that ``review.csv`` has, or all of the set."""
        return list(items) if self.which == "all" else flagged(items)

    def takes(self, item: ReviewItem, state: ItemState) -> bool:
        """Whether an item is among those that are looked at."""
        if self.state != "all" and bool(state.decision) != (self.state == "decided"):
            return False
        if self.flag and self.flag not in flags_left(item, state):
            return False
        if self.severity and self.severity != item.severity:
            return False
        text = f"{item.source} {item.translation} {item.label} {item.row_id}".casefold()
        return self.q.casefold() in text


@dataclass(frozen=True)
class ReviewSet:
    """A translated folder, its items, and what is decided about them."""

    name: str
    folder: Path
    log: ReviewLog
    items: Sequence[ReviewItem]
    state: ReviewState

    @property
    def decided(self) -> int:
        """How many of the items that a person should look at are decided."""
        return sum(bool(self.state.of(one.source_hash).decision) for one in flagged(self.items))

    def item(self, source_hash: str) -> ReviewItem:
        """Return an item.

        Raises:
            InputError: the set has none of this hash.
        """
        found = next((one for one in self.items if one.source_hash == source_hash), None)
        if found is None:
            raise InputError("the set has no such record any more; go back to the list")
        return found

    def matching(self, wanted: ReviewFilter) -> list[ReviewItem]:
        """Return the items that a filter takes."""
        return [one for one in wanted.base(self.items) if wanted.takes(one, self.state.of(one.source_hash))]

    def place(self, wanted: ReviewFilter, *, at: str, after: str, before: str) -> ReviewItem | None:
        """Return the item at a hash, or else the next one after or before another, or the first; None without any."""
        keys = {one.source_hash: place for place, one in enumerate(self.items)}
        if at in keys:
            return self.items[keys[at]]
        found = self.matching(wanted)
        if after in keys:
            return next((one for one in found if keys[one.source_hash] > keys[after]), found[0] if found else None)
        if before in keys:
            later = (one for one in reversed(found) if keys[one.source_hash] < keys[before])
            return next(later, found[-1] if found else None)
        return found[0] if found else None

    def flags(self, wanted: ReviewFilter) -> list[tuple[str, int]]:
        """Return the flags that are left, the most frequent first."""
        base = wanted.base(self.items)
        names = (name for one in base for name in flags_left(one, self.state.of(one.source_hash)))
        return Counter(names).most_common()

    def decide_all(self, by: str, wanted: ReviewFilter, do: str, count: str) -> None:
        """Take one decision about all open items that a filter takes.

        Args:
            by: who decides.
            wanted: the filter.
            do: "ok" or "drop".
            count: how many items the person saw it take.

        Raises:
            InputError: it takes another number of them now, or there is no such decision.
            ReviewError: see `ReviewLog.decide`.
        """
        found = [one.source_hash for one in self.matching(replace(wanted, state="open"))]
        if count != f"{len(found)}":
            raise InputError(f"the filter takes {len(found)} open records now, not {count}; look again")
        if do not in ("ok", "drop"):
            raise InputError("decide ok or drop for all of them")
        changes = {key: replace(self.state.of(key), decision=do, text="") for key in found}
        self.log.decide(by, changes, self.state.revisions)

    def apply(self, bank: Bank, by: str, *, write: bool) -> tuple[dict[str, Override], Mapping[str, int] | None]:
        """Keep all decisions in the bank, and write the set again with them if it is asked for.

        Returns:
            What was kept, and how many records the set has now by their status, where it was written.

        Raises:
            ReviewError: a decision cannot be applied; nothing is.
            InputError: the folder does not say how the set was made.
        """
        store = bank.make()
        pair = decided_pair(list(self.items), None, None)
        kept = self.log.apply(by, lambda overrides: apply_overrides(store, *pair, overrides))
        return kept, translate(bank, read_request(self.folder))[0].counts() if write else None


@dataclass(frozen=True)
class TextStretch:
    """A part of a text that is shown.

    Attributes:
        kind: "" for plain text, "span", "value", or "alone" for a value without a partner on the other side.
        type: of a span, or what a value is.
        colour: its number; the same on both sides.
    """

    said: str
    kind: str = ""
    type: str = ""
    colour: int = 0


def review_folders(roots: Sequence[Path]) -> dict[str, Path]:
    """Return the folders with items that are named or lie in those that are, by a name that tells them apart."""
    found = sorted({path.parent for root in roots for path in (*root.glob(ITEMS), *root.glob(f"*/{ITEMS}"))})
    names = Counter(path.name for path in found)
    return {path.name if names[path.name] == 1 else str(path): path for path in found}


def review_set(roots: Sequence[Path], name: str) -> ReviewSet:
    """Open the folder of a name.

    Raises:
        InputError: there is none, or its items cannot be read.
    """
    folders = review_folders(roots)
    if name not in folders:
        raise InputError(f"there is no translated set {name!r} here; sets: {', '.join(folders) or 'none'}")
    folder, log = folders[name], ReviewLog(folders[name])
    return ReviewSet(name, folder, log, _items(folder, (folder / ITEMS).stat().st_mtime_ns), log.state())


@lru_cache(maxsize=4)
def _items(folder: Path, _modified: int) -> tuple[ReviewItem, ...]:
    return tuple(ReviewLog(folder).items())


def flags_left(item: ReviewItem, state: ItemState) -> list[str]:
    """Return the names of an item's flags that nobody dismissed."""
    return [name for flag in item.flags if (name := flag.partition(":")[0]) not in state.dismissed]


def decision(item: ReviewItem, before: ItemState, do: str, *, text: str, note: str) -> ItemState:
    """Return the state that a person asks for.

    Args:
        item: what is decided about.
        before: its state.
        do: what was pressed: a decision of ``review.csv``, "take" and the number of an attempt, "dismiss" or "open".
        text: of an edit.
        note: kept with the decision; empty for the one that there is.

    Raises:
        InputError: nothing of this name can be pressed.
    """
    new = replace(before, note=note.strip() or before.note, text="")
    what, _, number = do.partition(" ")
    match what:
        case "ok" | "drop" | "undo":
            return replace(new, decision=what)
        case "edit" | "edit!":
            return replace(new, decision=what, text=text)
        case "take" if number.isdecimal() and 0 < int(number) <= len(item.others):
            return replace(new, decision="edit", text=attempt(item, item.others[int(number) - 1]))
        case "dismiss":
            left = flags_left(item, before)
            return replace(new, dismissed=(*before.dismissed, *left[:1]), decision="" if len(left) > 1 else "ok")
        case "open":
            return ItemState(note=new.note)
    raise InputError(f"there is no decision {what!r}")


def attempt(item: ReviewItem, other: str) -> str:
    """Return another engine's text with those spans marked whose translated value stands in it once."""
    spans: list[Span] = []
    for span in item.spans:
        value, at = span.of(item.text), other.find(span.of(item.text))
        new = Span(at, at + len(value), span.type)
        if other.count(value) == 1 and all(new.end <= one.start or one.end <= new.start for one in spans):
            spans.append(new)
    return annotate(other, spans)


def stretches(item: ReviewItem, translation: str) -> tuple[list[TextStretch], list[TextStretch]]:
    """Divide a source and a translation of it into what is shown: spans, values and what stands between.

    Args:
        item: with the source.
        translation: with its spans as ``[type : value]``.

    Returns:
        The source's and the translation's. Spans of one type have the same colour, and so have values that agree.
    """
    sides = [parse_annotated(text, item.slot_types) for text in (item.source, translation)]
    types = list(dict.fromkeys(item.slot_types))
    found: list[dict[tuple[int, int], TextStretch]] = [
        {(s.start, s.end): TextStretch(s.of(text), "span", s.type, types.index(s.type)) for s in spans}
        for text, spans in sides
    ]
    if item.src and item.tgt:
        values = compare_texts(sides[0][0], sides[1][0], src=item.src, tgt=item.tgt)
        colours = iter(range(len(types), len(types) + len(values.pairs)))
        for pair in values.pairs:
            if all(_is_free(side, one.start, one.end) for side, one in zip(found, pair, strict=True)):
                colour = next(colours)
                for side, one in zip(found, pair, strict=True):
                    side[one.start, one.end] = TextStretch(one.text, "value", one.kind, colour)
        for side, alone in zip(found, (values.missing, values.added), strict=True):
            side.update(
                ((m.start, m.end), TextStretch(m.text, "alone", m.kind))
                for m in alone
                if _is_free(side, m.start, m.end)
            )
    first, second = (list(_filled(text, side)) for (text, _), side in zip(sides, found, strict=True))
    return first, second


def _is_free(taken: Mapping[tuple[int, int], TextStretch], start: int, end: int) -> bool:
    return all(end <= a or b <= start for a, b in taken)


def _filled(text: str, found: Mapping[tuple[int, int], TextStretch]) -> Iterator[TextStretch]:
    """Yield what was found with the plain text between."""
    at = 0
    for (start, end), one in sorted(found.items(), key=lambda pair: pair[0]):
        if text[at:start]:
            yield TextStretch(text[at:start])
        yield TextStretch(text[start:end], one.kind, one.type, one.colour)
        at = end
    if text[at:]:
        yield TextStretch(text[at:])


def rate(state: ReviewState, person: str) -> float | None:
    """Return a person's decisions a minute, over the last `RATED`."""
    times = state.times.get(person, [])[-RATED:]
    minutes = (times[-1] - times[0]).total_seconds() / 60 if len(times) > 1 else 0.0
    return (len(times) - 1) / minutes if minutes else None
