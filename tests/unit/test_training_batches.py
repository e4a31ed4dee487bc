"""The batches of an epoch: every example once, like lengths together, a function of seed and epoch."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from promptbank.training.batches import BatchRule, ByCount, ByTokens, cut_by_tokens, epoch_batches

LENGTHS = st.lists(st.integers(1, 60), max_size=80)
RULES = st.one_of(st.builds(ByCount, st.integers(1, 20)), st.builds(ByTokens, st.integers(1, 200)))


@given(LENGTHS, RULES, st.integers(0, 3), st.integers(0, 3))
def test_every_example_is_in_exactly_one_batch(lengths: list[int], rule: BatchRule, seed: int, epoch: int) -> None:
    batches = epoch_batches(lengths, rule, seed=seed, epoch=epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(batches)
    assert epoch_batches(lengths, rule, seed=seed, epoch=epoch) == batches


@given(LENGTHS, st.integers(1, 200))
def test_batches_by_tokens_hold_the_limit_and_are_never_smaller_than_need_be(lengths: list[int], tokens: int) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    batches = cut_by_tokens(order, lengths, tokens)
    assert [i for batch in batches for i in batch] == order
    assert all(len(batch) == 1 or lengths[batch[-1]] * len(batch) <= tokens for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert lengths[after[0]] * (len(batch) + 1) > tokens


@pytest.mark.parametrize("rule", [ByCount(4), ByTokens(60)])
def test_an_epoch_is_shuffled_sorted_in_buckets_cut_and_shuffled(rule: BatchRule) -> None:
    lengths = [1 + (17 * n) % 23 for n in range(300)]
    generator = torch.Generator().manual_seed(7 * 100_003 + 2)
    order = torch.randperm(300, generator=generator).tolist()
    size = 8 * 4 if isinstance(rule, ByCount) else 32 * 60 // (sum(lengths) // 300)
    cut = []
    for start in range(0, 300, size):
        bucket = sorted(order[start : start + size], key=lambda i: lengths[i])
        cut += rule.cut(bucket, lengths)
    expected = [cut[i] for i in torch.randperm(len(cut), generator=generator).tolist()]
    assert epoch_batches(lengths, rule, seed=7, epoch=2) == expected


def test_batches_by_count_are_a_function_of_seed_and_epoch_and_hold_every_example_once() -> None:
    lengths = [3, 9, 4, 7, 7, 1, 12, 5, 6, 2]
    batches = epoch_batches(lengths, ByCount(3), seed=1, epoch=2)
    assert sorted(i for batch in batches for i in batch) == list(range(10))
    assert batches == epoch_batches(lengths, ByCount(3), seed=1, epoch=2)
    assert batches != epoch_batches(lengths, ByCount(3), seed=1, epoch=3)


def test_batches_hold_every_example_once_and_no_more_padded_tokens_than_allowed() -> None:
    lengths = [3 + (7 * n) % 40 for n in range(500)]
    batches = epoch_batches(lengths, ByTokens(100), seed=3, epoch=1)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    assert all(len(batch) * max(lengths[i] for i in batch) <= 100 for batch in batches)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    lengths = [3 + n % 9 for n in range(200)]
    once = epoch_batches(lengths, ByTokens(50), seed=0, epoch=0)
    assert epoch_batches(lengths, ByTokens(50), seed=0, epoch=0) == once
    assert epoch_batches(lengths, ByTokens(50), seed=0, epoch=1) != once
    assert epoch_batches(lengths, ByTokens(50), seed=1, epoch=0) != once


def test_an_example_over_the_limit_is_a_batch_of_its_own() -> None:
    assert sorted(epoch_batches([5, 99, 5], ByTokens(20), seed=0, epoch=0)) in ([[0, 2], [1]], [[1], [2, 0]])
