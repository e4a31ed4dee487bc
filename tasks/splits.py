"""Folds and splits: functions of an example's group alone.

A hash with a fixed salt assigns every group, so examples of one group are always in the same part, dropping an example
moves no other, file order does not matter, and a translation that keeps its source's groups has its source's folds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.errors import SplitError
from tasks.examples import Example

__all__ = [
    "DEV_SALT",
    "FOLD_SALT",
    "Split",
    "crossval_split",
    "fold_of",
    "fold_split",
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


def _point(salt: str, group: str) -> int:
    """Spread a group evenly over 0..2**64-1."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{group}".encode()).digest()[:8], "big")


def fold_of(group: str, folds: int, salt: str = FOLD_SALT) -> int:
    """Return the fold of a group, 0 to ``folds - 1``."""
    return _point(salt, group) % folds


def in_dev(group: str, fraction: float, salt: str = DEV_SALT) -> bool:
    """Whether a group is kept for dev."""
    return _point(salt, group) < fraction * 2**64


def split_dev(examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Divide examples into train and dev by their groups.

    Raises:
        SplitError: a part would be empty.
    """
    train, dev = _divided(examples, fraction)
    _check_parts(train=train, dev=dev)
    return train, dev


def _divided(examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    return [e for e in examples if not in_dev(e.group, fraction)], [e for e in examples if in_dev(e.group, fraction)]


def crossval_split(
    examples: Sequence[Example], folds: int, fold: int, dev_fraction: float, salt: str = FOLD_SALT
) -> Split:
    """Take one fold as test, and divide the rest into train and dev.

    Args:
        examples: the whole set.
        folds: K.
        fold: which one is the test part, 0 to K - 1.
        dev_fraction: share of the remaining groups kept for dev.
        salt: of the folds.

    Raises:
        SplitError: no such fold, or a part would be empty.
    """
    if not 0 <= fold < folds:
        raise SplitError(f"fold {fold} of {folds}; folds are numbered 0 to {folds - 1}")
    split = fold_split(examples, folds, fold, dev_fraction, salt)
    _check_parts(**vars(split))
    return split


def fold_split(examples: Sequence[Example], folds: int, fold: int, dev_fraction: float, salt: str = FOLD_SALT) -> Split:
    """Take one fold as test, and divide the rest into train and dev; unlike `crossval_split` a part may be empty."""
    test = tuple(e for e in examples if fold_of(e.group, folds, salt) == fold)
    train, dev = _divided([e for e in examples if fold_of(e.group, folds, salt) != fold], dev_fraction)
    return Split(tuple(train), tuple(dev), test)


def given_split(known: Sequence[Example], test: Sequence[Example], dev_fraction: float) -> Split:
    """Keep test examples that were set apart by others, and divide the known ones into train and dev by their groups.

    Raises:
        SplitError: a group is in both, or a part would be empty.
    """
    train, dev = split_dev(known, dev_fraction)
    _check_parts(test=test)
    groups = {e.group for e in known}
    shared = [e for e in test if e.group in groups]
    if shared:
        raise SplitError(
            f"{len(shared)} of {len(test)} test examples are of a group that train has too, first {shared[0].group!r} "
            f"({shared[0].source}); take them out of one of the files, or give all examples together, of which a fold "
            "by groups is the test part"
        )
    return Split(tuple(train), tuple(dev), tuple(test))


def _check_parts(**parts: Sequence[Example]) -> None:
    empty = [name for name, part in parts.items() if not part]
    if empty:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in parts.items())
        raise SplitError(f"no example left for {' and '.join(empty)} ({sizes}); give more examples or another share")


def label_shares(examples: Sequence[Example]) -> dict[str, float]:
    """Return each answer's share of the examples, in order of the answers."""
    counts = Counter(e.answer or "" for e in examples)
    return {answer: counts[answer] / len(examples) for answer in sorted(counts)}
