"""Nested samples of labelled examples: the order is the hash of seed and id, so a small sample is part of a larger one.

Independent of file order, of other labels and of Python's own hash.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence

from tasks.errors import SplitError
from tasks.examples import Example
from tasks.splits import Split

__all__ = [
    "DEV_SAMPLE",
    "balanced_examples",
    "few_per_label",
    "first_examples",
    "first_share",
    "sample_key",
    "smaller_split",
]

DEV_SAMPLE = "balanced.v1"
"""How small dev samples are drawn: `balanced_examples`."""


def sample_key(seed: int, own: str) -> str:
    """Return what examples are sorted by: sha256 of seed, NUL and the example's id."""
    return hashlib.sha256(f"{seed}\0{own}".encode()).hexdigest()


def first_examples(examples: Sequence[Example], count: int, *, seed: int) -> list[Example]:
    """Return the first examples, or all where there are fewer, in the order of their keys."""
    return sorted(examples, key=lambda e: sample_key(seed, e.id))[:count]


def first_share(examples: Sequence[Example], share: float, *, seed: int) -> list[Example]:
    """Return a share of the examples, at least one, in the order of their keys.

    Raises:
        SplitError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise SplitError(f"a share of {share}; shares are above 0 and at most 1")
    return first_examples(examples, max(1, round(share * len(examples))), seed=seed)


def balanced_examples(examples: Sequence[Example], count: int, *, seed: int) -> list[Example]:
    """Return a sample, or all, with each label about as frequent as in all.

    The i-th of a label's n examples, in the order of their keys, comes at (i + 1/2) / n. Ten examples by their keys
    alone can have one label, and a dev set of one label chooses an epoch blindly. Where each answer is another one
    this is `first_examples`.
    """
    places: dict[str, tuple[float, str]] = {}
    for own in _by_label(examples).values():
        ordered = first_examples(own, len(own), seed=seed)
        places |= {e.id: ((i + 0.5) / len(own), sample_key(seed, e.id)) for i, e in enumerate(ordered)}
    return sorted(examples, key=lambda e: places[e.id])[:count]


def smaller_split(split: Split, count: int, *, seed: int) -> Split:
    """Return a split with fewer training examples, and dev examples in proportion, rounded up; the test part stays."""
    dev_count = math.ceil(len(split.dev) * count / len(split.train))
    train = first_examples(split.train, count, seed=seed)
    return Split(tuple(train), tuple(balanced_examples(split.dev, dev_count, seed=seed)), split.test)


def few_per_label(examples: Sequence[Example], count: int, *, seed: int, allow_short: bool = False) -> list[Example]:
    """Return equally many examples of each label, in the order of their keys.

    Raises:
        SplitError: a label has fewer examples, and ``allow_short`` does not say to take what there is.
    """
    chosen: list[Example] = []
    for label, own in sorted(_by_label(examples).items()):
        if len(own) < count and not allow_short:
            raise SplitError(
                f"label {label!r} has {len(own)} examples, and {count} are wanted; allow fewer, or ask for less"
            )
        chosen += first_examples(own, count, seed=seed)
    return first_examples(chosen, len(chosen), seed=seed)


def _by_label(examples: Sequence[Example]) -> dict[str, list[Example]]:
    found: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        found[example.answer or ""].append(example)
    return found
