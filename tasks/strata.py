"""Split rules that look at labels: every part gets examples of every label.

Unlike the rules by hash alone (`tasks.splits`), the place of a group depends on the whole set. A set that is small or
has rare labels needs that; dropping an example may move others. Rules have versioned names, which runs record.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from tasks.answers import ANSWER_FORMATS
from tasks.card import TaskCard
from tasks.errors import DataError
from tasks.examples import Example

__all__ = ["even_folds", "label_of", "point", "stratified_dev"]

LEAST = 4
"""Dev examples of a label, where it has three times as many."""

Strata = Mapping[str, Counter[str]]
"""Examples of each label in each group."""


def point(salt: str, group: str) -> int:
    """Spread a group evenly over 0..2**64-1."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{group}".encode()).digest()[:8], "big")


def label_of(card: TaskCard) -> Callable[[Example], str]:
    """Return what of an answer is its label: a label id, the class of a formatted answer, nothing of open answers."""

    def label(example: Example) -> str:
        answer = example.answer or ""
        if card.answer_format is None:
            return "" if card.is_open else answer
        try:
            return ANSWER_FORMATS[card.answer_format].read(card, answer).intent
        except DataError:
            return ""

    return label


def stratified_dev(
    examples: Sequence[Example], fraction: float, label: Callable[[Example], str], salt: str
) -> set[str]:
    """Choose the groups that are kept for dev (rule "stratified.v1").

    Each label gets its share, but at least `LEAST` examples where it has three times as many, and one where it has two
    or more; every label keeps an example to learn from. Groups are taken in the order of their hash.

    Args:
        examples: the whole set.
        fraction: share of each label that is wanted.
        label: of an example; see `label_of`.
        salt: of the hash.
    """
    groups = _strata(examples, label)
    totals = _sum(groups.values())
    wanted = {name: _wanted(count, fraction) for name, count in totals.items()}
    taken: Counter[str] = Counter()
    chosen: set[str] = set()

    def take(group: str) -> None:
        chosen.add(group)
        taken.update(groups[group])

    def leaves_some(group: str) -> bool:
        return all(totals[name] - taken[name] > count for name, count in groups[group].items())

    def useful(group: str) -> int:
        return sum(min(count, max(0, wanted[name] - taken[name])) for name, count in groups[group].items())

    ordered = sorted(groups, key=lambda group: point(salt, group))
    for least_use in (1.0, 0.5):  # groups of which all is wanted come first, then those of which half is
        for group in ordered:
            enough = useful(group) >= max(1, least_use * groups[group].total())
            if group not in chosen and enough and leaves_some(group):
                take(group)
    for name, members in _members(groups, ordered).items():  # labels that stand in large or mixed groups only
        if wanted[name] and not taken[name]:
            smallest = min(filter(leaves_some, members), key=lambda group: groups[group].total(), default=None)
            if smallest is not None:
                take(smallest)
    return chosen


def _wanted(count: int, fraction: float) -> int:
    """Return how many dev examples a label should have."""
    if fraction <= 0 or count < 2:
        return 0
    return min(max(round(fraction * count), min(LEAST, max(1, count // 3))), count - 1)


def even_folds(examples: Sequence[Example], folds: int, label: Callable[[Example], str], salt: str) -> dict[str, int]:
    """Choose the fold of each group, so that folds have as many examples of each label as groups allow ("even.v1").

    Large groups are placed first, each where its labels are rarest so far, then where there are fewest examples.

    Args:
        examples: the whole set.
        folds: K.
        label: of an example; see `label_of`.
        salt: of the hash that orders groups of equal size.
    """
    groups = _strata(examples, label)
    filled: list[Counter[str]] = [Counter() for _ in range(folds)]
    chosen: dict[str, int] = {}
    for group in sorted(groups, key=lambda group: (-groups[group].total(), point(salt, group))):
        counts = groups[group]
        alike = [sum(count * fold[name] for name, count in counts.items()) for fold in filled]
        chosen[group] = min(range(folds), key=lambda fold: (alike[fold], filled[fold].total()))
        filled[chosen[group]].update(counts)
    return chosen


def _strata(examples: Sequence[Example], label: Callable[[Example], str]) -> Strata:
    """Count the labels of each group."""
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        groups[example.group][label(example)] += 1
    return groups


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def _members(groups: Strata, ordered: Sequence[str]) -> dict[str, list[str]]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for group in ordered:
        for name in groups[group]:
            members[name].append(group)
    return dict(sorted(members.items()))
