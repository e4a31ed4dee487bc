"""Batches by tokens: texts of alike length together, drawn anew each epoch from the seed alone."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

__all__ = ["Encoded", "epoch_batches"]

Encoded: TypeAlias = "tuple[array[int], array[int]]"
"""Source and target ids of a pair, each with its end."""

POOL = 100
"""Batches whose texts are sorted together: enough for little padding, few enough for mixed neighbours."""


def epoch_batches(lengths: Sequence[int], tokens: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return the row numbers of each batch of an epoch; every row stands in exactly one.

    Args:
        lengths: discrete tokens of each pair's longer side.
        tokens: at most so many in a batch, padding included; a longer row goes alone.
        seed: of the run.
        epoch: from 0.
    """
    draw = random.Random(f"{seed}-{epoch}")  # noqa: S311 - order, not secrets
    rows = list(range(len(lengths)))
    draw.shuffle(rows)
    mean = sum(lengths) / max(1, len(lengths))
    pool = max(1, round(POOL * tokens / max(1.0, mean)))
    pools = (sorted(rows[at : at + pool], key=lambda row: lengths[row]) for at in range(0, len(rows), pool))
    batches = list(chain.from_iterable(_cut(part, lengths, tokens) for part in pools))
    draw.shuffle(batches)
    return batches


def _cut(rows: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Cut rows of rising length into batches."""
    batches: list[list[int]] = []
    for row in rows:
        if batches and lengths[row] * (len(batches[-1]) + 1) <= tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
