"""Compare the values of two texts: each mention of one is matched with a mention of the other that shares a reading.

Comparing digits is too strict: on FLORES the human translation itself differs in 47 of 1,012 sentences then.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from translate.values.mention import UNITED, Kind, Mention, Reading

__all__ = ["ValueComparison", "agree", "compare"]

Test = Callable[[Mention, Mention], bool]
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
    partner: dict[int, int] = {}
    holder: dict[int, int] = {}
    for fits in tests:
        fitting = _fitting(source, target, fits)
        closed: set[int] = set()
        for i in range(len(source)):
            if i not in partner:
                _augment(i, fitting, partner, holder, closed)
    return partner


def _fitting(source: Sequence[Mention], target: Sequence[Mention], fits: Test) -> list[list[int]]:
    """Return for each source mention the places of the target mentions that fit; equal ones share a list."""
    known: dict[tuple[frozenset[Reading], frozenset[Reading]], list[int]] = {}
    for one in source:
        if (one.readings, one.loose) not in known:
            known[one.readings, one.loose] = [j for j, other in enumerate(target) if fits(one, other)]
    return [known[one.readings, one.loose] for one in source]


def _augment(
    start: int, fitting: Sequence[Sequence[int]], partner: dict[int, int], holder: dict[int, int], closed: set[int]
) -> None:
    """Give a mention a partner, by moving others to other partners if need be.

    Where none is left, the places that were visited are closed: no later path through them ends at a free one.
    """
    visited: dict[int, int] = {}  # place -> the mention that it was reached from
    waiting = deque([start])
    while waiting:
        i = waiting.popleft()
        for j in fitting[i]:
            if j in visited or j in closed:
                continue
            visited[j] = i
            if j not in holder:
                place: int | None = j
                while place is not None:  # each mention of the path moves to the place that it reached
                    one = visited[place]
                    former = partner.get(one)
                    partner[one], holder[place], place = place, one, former
                return
            waiting.append(holder[j])
    closed.update(visited)
