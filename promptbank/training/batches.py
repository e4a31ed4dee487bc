"""The batches of an epoch: examples of like length together, in a new order each epoch.

Examples are shuffled, sorted by length within buckets of many batches and cut into batches, and the batches are
shuffled: little padding, and still new neighbours. All of it is a function of lengths, seed and epoch, so a training
that goes on from a checkpoint sees the very same batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

__all__ = ["BatchRule", "ByCount", "ByTokens", "Order", "cut_by_tokens", "epoch_batches", "torch_order"]


Order = Callable[[int], list[int]]
"""Returns the numbers from 0 to a count, exclusive, in the next random order."""


class BatchRule(Protocol):
    """How many examples go into a batch."""

    def bucket(self, lengths: Sequence[int]) -> int:
        """Return how many examples are sorted by length together."""

    def cut(self, order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        """Cut examples of rising length into batches."""


@dataclass(frozen=True)
class ByCount:
    """A number of examples a batch, whatever their length; 8 batches are sorted together."""

    size: int

    def bucket(self, _lengths: Sequence[int]) -> int:
        """See `BatchRule`."""
        return 8 * self.size

    def cut(self, order: Sequence[int], _lengths: Sequence[int]) -> list[list[int]]:
        """See `BatchRule`."""
        return [list(order[at : at + self.size]) for at in range(0, len(order), self.size)]


@dataclass(frozen=True)
class ByTokens:
    """As many examples a batch as fit a number of padded tokens; 32 batches are sorted together.

    Padding is then below 5 % of the tokens. An example over the limit is a batch of its own.
    """

    tokens: int

    def bucket(self, lengths: Sequence[int]) -> int:
        """See `BatchRule`."""
        return max(1, 32 * self.tokens // max(1, sum(lengths) // max(1, len(lengths))))

    def cut(self, order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        """See `BatchRule`."""
        return cut_by_tokens(order, lengths, self.tokens)


def cut_by_tokens(order: Sequence[int], lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Cut examples of rising length into batches of at most so many padded tokens; a longer example goes alone."""
    batches: list[list[int]] = []
    for index in order:
        if not batches or (len(batches[-1]) + 1) * lengths[index] > tokens:
            batches.append([])
        batches[-1].append(index)
    return batches


def torch_order(seed: int, epoch: int) -> Order:
    """Return the orders of an epoch as torch draws them."""
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    return lambda count: torch.randperm(count, generator=generator).tolist()


def epoch_batches(
    lengths: Sequence[int],
    rule: BatchRule,
    *,
    seed: int,
    epoch: int,
    orders: Callable[[int, int], Order] = torch_order,
) -> list[list[int]]:
    """Return the batches of one epoch, as indices of examples; every example is in exactly one.

    Args:
        lengths: of the examples, in tokens.
        rule: how many go into a batch.
        seed: of the training.
        epoch: from 0.
        orders: returns the random orders of a seed and an epoch.
    """
    order = orders(seed, epoch)
    examples, size = order(len(lengths)), rule.bucket(lengths)
    buckets = (sorted(examples[at : at + size], key=lengths.__getitem__) for at in range(0, len(examples), size))
    batches = [batch for bucket in buckets for batch in rule.cut(bucket, lengths)]
    return [batches[i] for i in order(len(batches))]
