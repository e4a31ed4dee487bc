"""Compare the values of two texts: each mention of one is matched with a mention of the other that shares a reading.

Comparing digits is too strict: on FLORES the human translation itself differs in 47 of 1,012 sentences then.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from translate.values.mention import UNITED, Kind, Mention, Reading

__all__ = ["ValueComparison", "agree", "compare"]

Test = Callable[[Mention, Mention], bool]
_Class = tuple[frozenset[Reading], frozenset[Reading]]
CONFLICTING = frozenset({"money", "month", "week", "weekend", "year", "ordinal"})


@dataclass(frozen=True)
class ValueComparison:
    """The values of a text compared with those of its translation.

    Attributes:
        pairs: mentions that agree, source first.
        missing: mentions of the source without a partner.
        added: mentions of the target without a partner.
        note: why less than everything was compared; empty otherwise.
    """

    pairs: tuple[tuple[Mention, Mention], ...]
    missing: tuple[Mention, ...]
    added: tuple[Mention, ...]
    note: str = ""

    @property
    def compatible(self) -> bool:
        """Whether every mention has a partner with the same unit."""
        return not self.missing and not self.added and not self.bare() and not self.invented()

    def reasons(self, kinds: frozenset[Kind] | None = None) -> tuple[str, ...]:
        """Say in words what differs, of all kinds or some."""
        said = [
            *((m, f"the source says {m}") for m in self.missing),
            *((m, f"the target says {m}") for m in self.added),
            *((a, f"{a} lost its unit: {b}") for a, b in self.bare()),
            *((b, f"{a} got a unit: {b}") for a, b in self.invented()),
        ]
        return tuple(reason for mention, reason in said if kinds is None or mention.kind in kinds)

    def bare(self) -> tuple[tuple[Mention, Mention], ...]:
        """Return the pairs in which an amount of money or a percentage became a plain number.

        A number of a list or range whose unit stands with another one is not plain.
        """
        return tuple((a, b) for a, b in self.pairs if _has_unit(a) and not _has_unit(b) and not a.readings & b.loose)

    def invented(self) -> tuple[tuple[Mention, Mention], ...]:
        """Return the pairs in which a plain number became an amount of money or a percentage."""
        return tuple((a, b) for a, b in self.pairs if _has_unit(b) and not _has_unit(a) and not b.readings & a.loose)

    def narrowed(self) -> tuple[str, ...]:
        """Say which pairs have different readings, such as a time without its "am"."""
        return tuple(f"{a} became {b}" for a, b in self.pairs if a.readings != b.readings)


def _has_unit(mention: Mention) -> bool:
    return mention.kind in UNITED


def agree(a: Mention, b: Mention, *, lenient: bool = False) -> bool:
    """Say whether two mentions share a reading; two loose readings count only when lenient."""
    shared = a.readings & b.readings or a.readings & b.loose or a.loose & b.readings
    return bool(shared or (lenient and a.loose & b.loose))


def compare(
    source: Sequence[Mention], target: Sequence[Mention], *, lenient: bool = False, note: str = ""
) -> ValueComparison:
    """Match the mentions of a source text with those of its translation.

    Weak mentions ("one", "second") match but need no partner, unless each side has one of a kind that cannot be
    anything else and they disagree ("next week", "förra veckan"; "third quarter", "första kvartalet").

    When ``lenient``, bare numbers of both sides may agree as clock times (in a slot that is known to be a time).
    """
    partner = _matching(source, target, [_same, partial(agree, lenient=lenient)])
    pairs = tuple((source[i], target[j]) for i, j in sorted(partner.items()))
    missing = [m for i, m in enumerate(source) if i not in partner]
    matched = set(partner.values())
    added = [m for j, m in enumerate(target) if j not in matched]
    return ValueComparison(pairs, _counting(missing, added), _counting(added, missing), note)


def _same(a: Mention, b: Mention) -> bool:
    return bool(a.readings & b.readings)


def _counting(these: Sequence[Mention], those: Sequence[Mention]) -> tuple[Mention, ...]:
    """Return the partnerless mentions that count: strong ones, and weak ones that contradict one of the other side."""
    others = {_sort(m) for m in those} & CONFLICTING
    return tuple(m for m in these if not m.weak or _sort(m) in others)


def _sort(mention: Mention) -> str:
    return "ordinal" if mention.ordinal else mention.kind


def _matching(source: Sequence[Mention], target: Sequence[Mention], tests: Sequence[Test]) -> dict[int, int]:
    """Return a largest matching (shortest augmenting paths) that keeps to the earlier tests where it can."""
    matching = _Matching(source, target)
    for fits in tests:
        matching.extend(fits)
    return matching.partner


class _Matching:
    """Mentions with the same readings are one class, so that a long row of equal numbers takes linear time."""

    def __init__(self, source: Sequence[Mention], target: Sequence[Mention]) -> None:
        self.partner: dict[int, int] = {}
        self._classes, self._targets = list(map(_class_of, source)), list(map(_class_of, target))
        self._ones = dict(zip(reversed(self._classes), reversed(source), strict=True))  # the first of each class
        self._others = dict(zip(reversed(self._targets), reversed(target), strict=True))
        self._free: dict[_Class, deque[int]] = {}
        for place, kind in enumerate(self._targets):
            self._free.setdefault(kind, deque()).append(place)
        self._saying: dict[Reading, list[_Class]] = {}
        for kind in self._free:
            for reading in kind[0] | kind[1]:
                self._saying.setdefault(reading, []).append(kind)
        self._holding: dict[_Class, dict[_Class, deque[int]]] = {kind: {} for kind in self._free}

    def extend(self, fits: Test) -> None:
        """Give partners that fit to as many mentions as can have one; those that have one may get another."""
        fitting = {kind: self._fitting(kind, fits) for kind in dict.fromkeys(self._classes)}
        closed: set[_Class] = set()  # no path through these ends at a free place
        for i, kind in enumerate(self._classes):
            if i not in self.partner and kind not in closed:
                self._augment(i, fitting, closed)

    def _fitting(self, kind: _Class, fits: Test) -> list[_Class]:
        near = dict.fromkeys(other for reading in kind[0] | kind[1] for other in self._saying.get(reading, ()))
        found = [other for other in near if fits(self._ones[kind], self._others[other])]
        return sorted(found, key=lambda other: self._others[other].start)

    def _augment(self, i: int, fitting: Mapping[_Class, Sequence[_Class]], closed: set[_Class]) -> None:
        """Give a mention a partner, by moving mentions of other classes to other partners if need be."""
        kind = self._classes[i]
        if free := [self._free[one][0] for one in fitting[kind] if self._free[one]]:
            self._pair(i, self._free[self._targets[min(free)]].popleft())
            return
        came: dict[_Class, tuple[_Class, _Class] | None] = {kind: None}  # from which class, by whose place
        waiting = deque([kind])
        while waiting:
            mover = waiting.popleft()
            for one in fitting[mover]:
                if self._free[one]:
                    self._move(i, mover, self._free[one].popleft(), came)
                    return
                for holder, held in self._holding[one].items():
                    if held and holder not in came and holder not in closed:
                        came[holder] = mover, one
                        waiting.append(holder)
        closed.update(came)

    def _move(self, i: int, mover: _Class, place: int, came: Mapping[_Class, tuple[_Class, _Class] | None]) -> None:
        """Let a mention of each class on the way move to the place found for it, so that the first one has one."""
        while step := came[mover]:
            before, one = step
            moved = self._holding[one][mover].popleft()
            left = self.partner[moved]
            self._pair(moved, place)
            mover, place = before, left
        self._pair(i, place)

    def _pair(self, i: int, place: int) -> None:
        self.partner[i] = place
        self._holding[self._targets[place]].setdefault(self._classes[i], deque()).append(i)


def _class_of(mention: Mention) -> _Class:
    return mention.readings, mention.loose
