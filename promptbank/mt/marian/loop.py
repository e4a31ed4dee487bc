"""The steps of a training: AdamW, label smoothing, batches by tokens.

Random numbers are drawn anew from (seed, step) before each step, so a training that was killed and taken up again
makes the very same steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW
from transformers import MarianMTModel

from promptbank.mt.marian.batches import Encoded, epoch_batches
from promptbank.mt.marian.curve import Curve, Point
from promptbank.mt.marian.errors import NmtError
from promptbank.mt.marian.resume import Progress, load_checkpoint, save_checkpoint
from promptbank.mt.marian.schedule import learning_rate_share
from promptbank.mt.marian.sizes import TrainSettings

__all__ = ["Trainer", "batch_loss"]

IGNORED = -100


class Trainer:
    """Trains one model.

    Args:
        model: changed in place.
        train: encoded pairs.
        dev: encoded pairs whose loss is followed.
        settings: of the training.
        curve: where its points go.
    """

    def __init__(
        self,
        model: MarianMTModel,
        train: Sequence[Encoded],
        dev: Sequence[Encoded],
        settings: TrainSettings,
        curve: Curve,
    ) -> None:
        self._model, self._train, self._dev = model, train, dev
        self._settings, self._curve = settings, curve
        self._optimizer = AdamW(
            model.parameters(), lr=settings.lr, betas=(0.9, 0.98), eps=1e-9, weight_decay=settings.weight_decay
        )
        self._progress = Progress()
        self._since = (time.monotonic(), 0)

    def run(self, path: Path, identity: str, stop: Callable[[], bool]) -> int:
        """Make the steps that are missing; return how many are done in all.

        Args:
            path: of the checkpoint.
            identity: of the training.
            stop: asked after each step; True ends the run after a checkpoint.

        Raises:
            NmtError: the checkpoint is another's, or the loss is not finite.
        """
        self._progress = load_checkpoint(path, identity, self._model, self._optimizer)
        self._curve.cut_back(self._progress.step)
        self._since = (time.monotonic(), self._progress.tokens)
        steps, every = self._settings.steps, self._settings.check_every
        with torch.random.fork_rng():
            while self._progress.step < steps:
                for batch in self._epoch():
                    self._step(batch)
                    step = self._progress.step
                    halt = step == steps or stop()
                    self._report(checked=step % every == 0, last=step == steps)
                    if halt or step % every == 0:
                        save_checkpoint(path, identity, self._model, self._optimizer, self._progress)
                    if halt:
                        return step
                self._progress = replace(self._progress, epoch=self._progress.epoch + 1, batch=0)
        return self._progress.step

    def _epoch(self) -> Iterator[list[int]]:
        """Yield what is left of the epoch under way."""
        lengths = [max(len(src), len(tgt)) for src, tgt in self._train]
        settings, progress = self._settings, self._progress
        yield from epoch_batches(lengths, settings.batch_tokens, seed=settings.seed, epoch=progress.epoch)[
            progress.batch :
        ]

    def _step(self, batch: Sequence[int]) -> None:
        """Learn one batch."""
        settings, progress = self._settings, self._progress
        torch.manual_seed(settings.seed * 1_000_003 + progress.step)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(progress.step + 1)
        self._model.train()
        with self._precision():
            total, tokens = batch_loss(self._model, [self._train[row] for row in batch], settings.label_smoothing)
        loss = total / tokens
        value = loss.item()
        if not math.isfinite(value):
            raise NmtError(f"the loss is {value} at step {progress.step + 1}; try a lower lr than {settings.lr:g}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._progress = replace(
            progress,
            step=progress.step + 1,
            batch=progress.batch + 1,
            tokens=progress.tokens + tokens,
            losses=(*progress.losses, value),
        )

    def _rate(self, step: int) -> float:
        settings = self._settings
        return settings.lr * learning_rate_share(settings.schedule, step, settings.steps, settings.warmup)

    def _precision(self) -> AbstractContextManager[object]:
        device = self._model.device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self._settings.autocast)

    def _report(self, *, checked: bool, last: bool) -> None:
        """Add a point to the curve, when one is due."""
        progress = self._progress
        if not (checked or last or progress.step % self._settings.log_every == 0):
            return
        now, (then, tokens) = time.monotonic(), self._since
        self._curve.add(
            Point(
                step=progress.step,
                epoch=progress.epoch,
                tokens=progress.tokens,
                lr=self._rate(progress.step),
                loss=sum(progress.losses) / len(progress.losses),
                dev_loss=self._dev_loss() if self._dev and (checked or last) else None,
                tokens_per_second=(progress.tokens - tokens) / max(now - then, 1e-9),
            )
        )
        self._progress = replace(progress, losses=())
        self._since = (time.monotonic(), progress.tokens)

    @torch.no_grad()
    def _dev_loss(self) -> float:
        self._model.train(False)
        lengths = [max(len(src), len(tgt)) for src, tgt in self._dev]
        losses = [
            batch_loss(self._model, [self._dev[row] for row in batch], smoothing=0.0)
            for batch in epoch_batches(lengths, self._settings.batch_tokens, seed=0, epoch=0)
        ]
        return sum(float(total) for total, _ in losses) / sum(tokens for _, tokens in losses)


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
