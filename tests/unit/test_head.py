"""The output head in training: exact in chunks, and over a sample of the words."""

import pytest
import torch
from torch.nn import functional

from promptbank.model.head import FrozenHead, SampledHead


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_the_frozen_head_gives_the_loss_and_slope_of_cross_entropy(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(8, 50).requires_grad_(False)
    hidden = torch.randn(7, 8, generator=generator, requires_grad=True)
    targets = torch.randint(50, (7,), generator=generator)
    expected = functional.cross_entropy(layer(hidden), targets, reduction="none")
    weights = torch.arange(1.0, 8.0)
    (slope,) = torch.autograd.grad(expected, hidden, weights)
    head = FrozenHead.of(layer, torch.float32)
    head.rows = rows
    ours = head.nll(hidden, targets)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(torch.autograd.grad(ours, hidden, weights)[0], slope)


def test_a_sample_of_all_other_words_is_the_whole_head() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 50).requires_grad_(False)
    full = FrozenHead.of(layer, torch.float32)
    hidden, targets = torch.randn(7, 8), torch.tensor([3, 9, 9, 40, 3, 0, 49])
    drawn = SampledHead(full, targets.tolist(), 1000).draw(0)
    assert drawn.weight.shape == (50, 8)
    torch.testing.assert_close(drawn.nll(hidden, targets), full.nll(hidden, targets))


def test_a_sample_estimates_the_partition_function_without_bias() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 400).requires_grad_(False)
    full = FrozenHead.of(layer, torch.float32)
    hidden, target = torch.randn(1, 8), torch.tensor([7])
    head = SampledHead(full, [7, 11], 40)
    logit = float(layer(hidden)[0, 7])
    # exp(nll + logit) is the partition function
    drawn = [float((head.draw(seed).nll(hidden, target) + logit).exp()) for seed in range(400)]
    assert sum(drawn) / 400 == pytest.approx(float(layer(hidden).exp().sum()), rel=0.02)
    assert len({round(z, 3) for z in drawn}) > 390
    assert torch.equal(head.draw(5).weight, head.draw(5).weight)


def test_rows_that_use_every_word_leave_nothing_to_draw() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 10).requires_grad_(False)
    full = FrozenHead.of(layer, torch.float32)
    hidden, targets = torch.randn(3, 8), torch.tensor([0, 9, 4])
    drawn = SampledHead(full, range(10), 8).draw(0)
    torch.testing.assert_close(drawn.nll(hidden, targets), full.nll(hidden, targets))
