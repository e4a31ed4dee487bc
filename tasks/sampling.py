"""Nested samples of labelled rows: a row's place is the hash of seed and id, so a small sample is in a larger one.

Independent of file order, of other labels and of Python's own hash.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from tasks.errors import SplitError
from tasks.examples import Example
from tasks.splits import Split

__all__ = ["DEV_SAMPLE", "balanced_rows", "few_per_label", "fewer_rows", "first_rows", "first_share", "sample_key"]


DEV_SAMPLE = "balanced.v1"
"""How small dev samples are drawn: `balanced_rows`."""


def sample_key(seed: int, row: str) -> str:
    """Return what rows are sorted by: sha256 of seed, NUL and row id."""
    return hashlib.sha256(f"{seed}\0{row}".encode()).hexdigest()


def _sorted(examples: Sequence[Example], seed: int) -> list[Example]:
    return sorted(examples, key=lambda e: sample_key(seed, e.id))


def first_share(examples: Sequence[Example], share: float, *, seed: int) -> list[Example]:
    """Return a share of the rows, at least one, in the order of their keys; smaller shares are in larger ones.

    Raises:
        SplitError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise SplitError(f"a share of {share}; shares are above 0 and at most 1")
    return first_rows(examples, max(1, round(share * len(examples))), seed=seed)


def first_rows(examples: Sequence[Example], rows: int, *, seed: int) -> list[Example]:
    """Return so many rows, or all where there are fewer, in the order of their keys."""
    return _sorted(examples, seed)[:rows]


def balanced_rows(examples: Sequence[Example], rows: int, *, seed: int) -> list[Example]:
    """Return so many rows, or all, with each label about as frequent as in all; small samples are in larger ones.

    The i-th of a label's n rows, in the order of their keys, comes at (i + 1/2) / n. Ten rows by their keys alone can
    have one label, and a dev set of one label chooses an epoch blindly. Where each answer is another one this is
    `first_rows`.
    """
    places: dict[str, tuple[float, str]] = {}
    for label in {e.answer for e in examples}:
        own = _sorted([e for e in examples if e.answer == label], seed)
        places |= {e.id: ((i + 0.5) / len(own), sample_key(seed, e.id)) for i, e in enumerate(own)}
    return sorted(examples, key=lambda e: places[e.id])[:rows]


def fewer_rows(split: Split, rows: int, *, seed: int) -> Split:
    """Return a split with so many training rows, and dev rows in proportion, rounded up; the test rows stay."""
    dev_rows = math.ceil(len(split.dev) * rows / len(split.train))
    train, dev = first_rows(split.train, rows, seed=seed), balanced_rows(split.dev, dev_rows, seed=seed)
    return Split(tuple(train), tuple(dev), split.test)


def few_per_label(examples: Sequence[Example], count: int, *, seed: int, allow_short: bool = False) -> list[Example]:
    """Return so many rows of each label, in the order of their keys; open answers count as one label.

    Args:
        examples: with answers.
        count: rows of each label.
        seed: of the sample.
        allow_short: take what there is where a label has fewer.

    Raises:
        SplitError: a label has fewer rows.
    """
    labels = sorted({e.answer or "" for e in examples})
    chosen: list[Example] = []
    for label in labels:
        rows = _sorted([e for e in examples if e.answer == label], seed)
        if len(rows) < count and not allow_short:
            raise SplitError(
                f"label {label!r} has {len(rows)} rows, and {count} are wanted; allow fewer, or ask for less"
            )
        chosen += rows[:count]
    return _sorted(chosen, seed)
