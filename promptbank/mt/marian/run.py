"""A Marian while it learns: AdamW, label smoothing, batches by padded tokens."""

import random
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW
from transformers import MarianMTModel

from promptbank.mt.marian.sizes import TrainSettings
from promptbank.training.batches import Order, cut_by_tokens, epoch_batches
from promptbank.training.curve import CurvePoint, LearningCurve
from promptbank.training.precision import autocast
from promptbank.training.progress import Progress
from promptbank.training.steps import StepRun

__all__ = ["Encoded", "MarianRun", "batch_loss", "marian_batches"]

Encoded: TypeAlias = "tuple[array[int], array[int]]"
"""Source and target tokens of a pair, each with its end."""

IGNORED = -100


class MarianRun(StepRun[Encoded]):
    """Trains one model.

    Args:
        model: changed in place.
        train: encoded pairs.
        dev: encoded pairs whose loss is followed.
        settings: of the training.
        curve: where its points go.
        progress: receives reports.
    """

    model: MarianMTModel

    def __init__(
        self,
        model: MarianMTModel,
        train: Sequence[Encoded],
        dev: Sequence[Encoded],
        settings: TrainSettings,
        curve: LearningCurve,
        progress: Progress,
    ) -> None:
        optimizer = AdamW(
            model.parameters(), lr=settings.lr, betas=(0.9, 0.98), eps=1e-9, weight_decay=settings.weight_decay
        )
        super().__init__(
            model,
            optimizer,
            train,
            lambda epoch: marian_batches(train, settings.batch_tokens, seed=settings.seed, epoch=epoch),
            settings.rates(),
            clip=settings.clip,
            seed=settings.seed,
            curve=curve,
            progress=progress,
        )
        self._dev, self._settings = dev, settings

    def loss(self, batch: Sequence[Encoded], seed: int) -> Tensor:
        """See `StepRun`."""
        torch.manual_seed(seed)  # of dropout
        self.model.train()
        with autocast(self.model.device.type, half=self._settings.autocast):
            return batch_loss(self.model, batch, self._settings.label_smoothing)[0]

    def answer_tokens(self, pair: Encoded) -> int:
        """See `StepRun`."""
        return len(pair[1])

    def read_tokens(self, pair: Encoded) -> int:
        """See `StepRun`: target tokens alone, as is usual."""
        return len(pair[1])

    @property
    def is_due(self) -> bool:
        """Whether a point of the curve is due."""
        settings, position = self._settings, self.position
        due = self.is_due_every(settings.log_every) or self._is_checked
        return due and position.step > 0 and position.evaluated != position.step

    @property
    def save_is_due(self) -> bool:
        """Whether a checkpoint is due."""
        return self.position.step > 0 and self.position.step % self._settings.check_every == 0

    @property
    def _is_checked(self) -> bool:
        return self.is_due_every(self._settings.check_every)

    def measure(self, train_loss: float | None) -> CurvePoint:
        """See `StepRun`."""
        position, dev = self.position, self._dev_loss() if self._dev and self._is_checked else None
        return CurvePoint(
            position.step, train_loss, dev, tokens=position.tokens, seconds=position.seconds,
            lr=self._schedule.rate(position.step - 1), epoch=position.epoch,
        )  # fmt: skip

    @torch.no_grad()
    def _dev_loss(self) -> float:
        self.model.eval()
        batches = marian_batches(self._dev, self._settings.batch_tokens, seed=0, epoch=0)
        losses = [batch_loss(self.model, [self._dev[i] for i in batch], smoothing=0.0) for batch in batches]
        return sum(float(total) for total, _ in losses) / sum(tokens for _, tokens in losses)


@dataclass(frozen=True)
class _ByLongerSide:
    """As many pairs a batch as fit a number of padded tokens of the longer side; 100 batches are sorted together."""

    tokens: int

    def bucket(self, lengths: Sequence[int]) -> int:
        """See `promptbank.training.batches.BatchRule`."""
        return max(1, round(100 * self.tokens / max(1.0, sum(lengths) / max(1, len(lengths)))))

    def cut(self, order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        """See `promptbank.training.batches.BatchRule`."""
        return cut_by_tokens(order, lengths, self.tokens)


def marian_batches(pairs: Sequence[Encoded], tokens: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch, as indices of pairs; see `epoch_batches`."""
    lengths = [max(len(src), len(tgt)) for src, tgt in pairs]
    return epoch_batches(lengths, _ByLongerSide(tokens), seed=seed, epoch=epoch, orders=_python_order)


def _python_order(seed: int, epoch: int) -> Order:
    """Return the orders of an epoch as Python draws them."""
    draw = random.Random(f"{seed}-{epoch}")  # noqa: S311 - order, not secrets

    def order(count: int) -> list[int]:
        numbers = list(range(count))
        draw.shuffle(numbers)
        return numbers

    return order


def batch_loss(model: MarianMTModel, rows: Sequence[Encoded], smoothing: float) -> tuple[Tensor, int]:
    """Return the summed loss of a batch, in nats, and its number of target tokens.

    Args:
        model: in the mode that is wanted.
        rows: encoded pairs, B of them.
        smoothing: share of the probability spread over the vocabulary.
    """
    device, pad = model.device, int(model.config.pad_token_id or 0)
    src = _padded((src for src, _ in rows), pad).to(device)  # (B, S)
    labels = _padded((tgt for _, tgt in rows), IGNORED).to(device)  # (B, T)
    fed = labels.new_full(labels.shape, model.config.decoder_start_token_id)
    fed[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, pad)  # (B, T), one to the right
    # pads are right of a text's end, where the causal mask hides them from all that counts
    logits = model(input_ids=src, attention_mask=src != pad, decoder_input_ids=fed, use_cache=False).logits
    # the padding token is last and never a target: without its logit nothing pulls its embedding from zero, where
    # CTranslate2 takes it to be, since the decoder starts with it (all 20 of 20 translations differed otherwise)
    logits = logits[..., :pad]
    total = cross_entropy(
        logits.flatten(0, 1).float(),  # (B * T, words)
        labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=smoothing,
        reduction="sum",
    )
    return total, int((labels != IGNORED).sum())


def _padded(rows: Iterable[Sequence[int]], pad: int) -> Tensor:
    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=pad)
