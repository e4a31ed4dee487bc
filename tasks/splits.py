"""Folds and splits by groups: examples of one group are always in the same part, and file order does not matter.

By the rule "hash.v1" a hash with a fixed salt assigns every group, so dropping an example moves no other, and a
translation that keeps its source's groups has its source's folds. Other rules look at the labels too.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.errors import SplitError
from tasks.examples import Example
from tasks.strata import even_folds, point, stratified_dev

__all__ = [
    "BY_HASH",
    "DEV_RULES",
    "DEV_SALT",
    "FOLD_RULES",
    "FOLD_SALT",
    "Split",
    "SplitRules",
    "crossval_split",
    "divided",
    "fold_of",
    "fold_split",
    "given_dev",
    "given_split",
    "in_dev",
    "label_shares",
    "split_dev",
]

FOLD_SALT = "promptbank.fold.v1"
DEV_SALT = "promptbank.dev.v1"


@dataclass(frozen=True)
class Split:
    """Three parts of a set."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]


def _answer(example: Example) -> str:
    return example.answer or ""


@dataclass(frozen=True)
class SplitRules:
    """How a set is divided; what a run records of it.

    Attributes:
        folds: a key of `FOLD_RULES`.
        dev: a key of `DEV_RULES`.
        label: what counts as the label of an example, for the rules that look at it.
    """

    folds: str = "hash.v1"
    dev: str = "hash.v1"
    label: Callable[[Example], str] = _answer


BY_HASH = SplitRules()


def fold_of(group: str, folds: int, salt: str = FOLD_SALT) -> int:
    """Return the fold of a group, 0 to ``folds - 1``."""
    return point(salt, group) % folds


def in_dev(group: str, fraction: float, salt: str = DEV_SALT) -> bool:
    """Whether a group is kept for dev."""
    return point(salt, group) < fraction * 2**64


def _hashed_dev(examples: Sequence[Example], fraction: float, rules: SplitRules) -> set[str]:  # noqa: ARG001
    return {e.group for e in examples if in_dev(e.group, fraction)}


def _stratified_dev(examples: Sequence[Example], fraction: float, rules: SplitRules) -> set[str]:
    return stratified_dev(examples, fraction, rules.label, DEV_SALT)


def _hashed_folds(examples: Sequence[Example], folds: int, salt: str, rules: SplitRules) -> dict[str, int]:  # noqa: ARG001
    return {e.group: fold_of(e.group, folds, salt) for e in examples}


def _even_folds(examples: Sequence[Example], folds: int, salt: str, rules: SplitRules) -> dict[str, int]:
    return even_folds(examples, folds, rules.label, salt)


DEV_RULES = {"hash.v1": _hashed_dev, "stratified.v1": _stratified_dev}
"""Which groups are kept for dev."""
FOLD_RULES = {"hash.v1": _hashed_folds, "even.v1": _even_folds}
"""In which fold each group is; experiments stay with "hash.v1", so that their folds never move."""


def split_dev(
    examples: Sequence[Example], fraction: float, rules: SplitRules = BY_HASH
) -> tuple[list[Example], list[Example]]:
    """Divide examples into train and dev by their groups.

    Raises:
        SplitError: a part would be empty.
    """
    train, dev = divided(examples, fraction, rules)
    _check_parts(train=train, dev=dev)
    return train, dev


def divided(examples: Sequence[Example], fraction: float, rules: SplitRules) -> tuple[list[Example], list[Example]]:
    """Divide examples into train and dev by their groups; unlike `split_dev` a part may be empty."""
    kept = DEV_RULES[rules.dev](examples, fraction, rules)
    return [e for e in examples if e.group not in kept], [e for e in examples if e.group in kept]


def crossval_split(
    examples: Sequence[Example],
    folds: int,
    fold: int,
    dev_fraction: float,
    salt: str = FOLD_SALT,
    rules: SplitRules = BY_HASH,
) -> Split:
    """Take one fold as test, and divide the rest into train and dev.

    Args:
        examples: the whole set.
        folds: K.
        fold: which one is the test part, 0 to K - 1.
        dev_fraction: share of the remaining groups kept for dev.
        salt: of the folds.
        rules: how groups are divided.

    Raises:
        SplitError: no such fold, or a part would be empty.
    """
    if not 0 <= fold < folds:
        raise SplitError(f"fold {fold} of {folds}; folds are numbered 0 to {folds - 1}")
    split = fold_split(examples, folds, fold, dev_fraction, salt, rules)
    _check_parts(**vars(split))
    return split


def fold_split(
    examples: Sequence[Example],
    folds: int,
    fold: int,
    dev_fraction: float,
    salt: str = FOLD_SALT,
    rules: SplitRules = BY_HASH,
) -> Split:
    """Take one fold as test, and divide the rest into train and dev; unlike `crossval_split` a part may be empty."""
    place = FOLD_RULES[rules.folds](examples, folds, salt, rules)
    test = tuple(e for e in examples if place[e.group] == fold)
    train, dev = divided([e for e in examples if place[e.group] != fold], dev_fraction, rules)
    return Split(tuple(train), tuple(dev), test)


def given_split(
    known: Sequence[Example], test: Sequence[Example], dev_fraction: float, rules: SplitRules = BY_HASH
) -> Split:
    """Keep test examples that were set apart by others, and divide the known ones into train and dev by their groups.

    Raises:
        SplitError: a group is in both, or a part would be empty.
    """
    train, dev = split_dev(known, dev_fraction, rules)
    _check_parts(test=test)
    _check_apart(known, test, "test")
    return Split(tuple(train), tuple(dev), tuple(test))


def given_dev(train: Sequence[Example], dev: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Keep dev examples that were set apart by others.

    Raises:
        SplitError: a group is in both, or a part is empty.
    """
    _check_parts(train=train, dev=dev)
    _check_apart(train, dev, "dev")
    return list(train), list(dev)


def _check_apart(known: Sequence[Example], apart: Sequence[Example], name: str) -> None:
    groups = {e.group for e in known}
    shared = [e for e in apart if e.group in groups]
    if shared:
        raise SplitError(
            f"{len(shared)} of {len(apart)} {name} examples are of a group that train has too, first "
            f"{shared[0].group!r} ({shared[0].source}); take them out of one of the files, or give all examples "
            "together, which are divided by groups"
        )


def _check_parts(**parts: Sequence[Example]) -> None:
    empty = [name for name, part in parts.items() if not part]
    if empty:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
        how = "give more examples, another dev fraction, or dev examples of their own"
        raise SplitError(f"no example left for {' and '.join(empty)} ({sizes}); {how}")


def label_shares(examples: Sequence[Example]) -> dict[str, float]:
    """Return each answer's share of the examples, in order of the answers."""
    counts = Counter(e.answer or "" for e in examples)
    return {answer: counts[answer] / len(examples) for answer in sorted(counts)}
