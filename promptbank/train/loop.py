"""One p-tuning run: the encoder learns, the backbone stays, the best epoch's rows are what is left.

Speed comes from doing less: the encoder runs once a step, the head at answer positions only, and everything before the
first virtual token once a run (see `promptbank.train.prefix`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import AdamW

from promptbank.encoder import PromptEncoder, build_encoder
from promptbank.errors import TrainingError
from promptbank.forward import LanguageModel
from promptbank.render import Renderer
from promptbank.train.config import TrainConfig
from promptbank.train.dev import DevScore, DevSet
from promptbank.train.prefix import PrefixCache, worth_caching
from promptbank.train.resume import Progress, load_resume, save_resume
from promptbank.train.rows import TrainRow, epoch_batches, render_rows, row_losses
from promptbank.train.start import embedding_scale
from tasks import Example

__all__ = ["EpochReport", "Listener", "Silent", "StepReport", "Trained", "train_prompt", "training_copy"]


@dataclass(frozen=True)
class StepReport:
    """One optimizer step: ``step`` of ``steps`` in the whole run, mean loss of its rows in nats a token."""

    epoch: int
    step: int
    steps: int
    loss: float
    lr: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch: mean training loss, dev score, and whether it is the best so far."""

    epoch: int
    train_loss: float
    dev: DevScore
    best: bool

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, as stored with the run."""
        return {"epoch": self.epoch, "train_loss": self.train_loss, "best": self.best, **self.dev.as_dict()}


class Listener(Protocol):
    """Hears how a run goes; the CLI draws it, the bank stores it, tests collect it."""

    def on_prefix(self, done: int, total: int) -> None:
        """Constant beginnings computed so far."""

    def on_step(self, report: StepReport) -> None:
        """One step is done."""

    def on_epoch(self, report: EpochReport) -> None:
        """One epoch is scored on dev."""


class Silent:
    """A listener that does nothing."""

    def on_prefix(self, done: int, total: int) -> None:
        """Ignore it."""

    def on_step(self, report: StepReport) -> None:
        """Ignore it."""

    def on_epoch(self, report: EpochReport) -> None:
        """Ignore it."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run leaves.

    Attributes:
        table: the best epoch's rows, float32 (V, H), made by the encoder in eval mode in one unbatched pass.
        best_epoch: from 1.
        epochs: every epoch's report.
        truncated: training and dev rows whose text was cut.
        longest_reach: most positions from a first virtual token to the end of its answer; over a sliding window,
            local layers no longer see the token.
        cached: rows whose constant beginning was held, and of these the rows that were spilled to disk.
    """

    table: Tensor
    best_epoch: int
    epochs: tuple[EpochReport, ...]
    truncated: int
    longest_reach: int
    cached: tuple[int, int]


def training_copy(lm: LanguageModel, dtype: str) -> LanguageModel:
    """Return the model to train against: a bfloat16 copy where that pays, else the given one.

    A copy because autocast casts frozen weights again at every call (307 against 246 ms an example).
    """
    if dtype == "float32" or (dtype == "auto" and not _cpu_has_bfloat16()):
        return lm
    return LanguageModel(copy.deepcopy(lm.model).to(torch.bfloat16))


def _cpu_has_bfloat16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.backends.cpu.get_cpu_capability() != "DEFAULT"


def train_prompt(
    lm: LanguageModel,
    renderer: Renderer,
    train: Sequence[Example],
    dev: Sequence[Example],
    config: TrainConfig,
    *,
    start: Tensor,
    folder: Path,
    identity: str,
    listener: Listener | None = None,
) -> Trained:
    """Learn one task.

    Args:
        lm: the float32 backbone; dev scores come from it.
        renderer: of the task.
        train: examples to learn from, with answers.
        dev: examples that choose the epoch, with answers; never learnt from.
        config: the settings.
        start: P0, float32 (V, H).
        folder: for the resume file and spilled keys and values.
        identity: names this very run; a resume file of another one is refused.
        listener: hears of progress.

    Raises:
        TrainingError: no rows, or the loss is not finite.
    """
    if not train or not dev:
        raise TrainingError(f"{len(train)} training and {len(dev)} dev rows: both must have at least one")
    return _Run(lm, renderer, train, dev, config, start, folder, identity, listener or Silent()).run()


class _Run:
    """State of one run; see `train_prompt` for the arguments."""

    def __init__(
        self,
        lm: LanguageModel,
        renderer: Renderer,
        train: Sequence[Example],
        dev: Sequence[Example],
        config: TrainConfig,
        start: Tensor,
        folder: Path,
        identity: str,
        listener: Listener,
    ) -> None:
        self.config, self.listener, self.identity, self.folder = config, listener, identity, folder
        self.answer_only = renderer.card.answer_only_loss
        self.lm = training_copy(lm, config.dtype)
        self.rows, dev_rows = render_rows(renderer, train), render_rows(renderer, dev)
        self.truncated = sum(row.truncated > 0 for row in (*self.rows, *dev_rows))
        self.longest_reach = max(len(row.ids) - row.constant for row in (*self.rows, *dev_rows))
        self.held, dev_held = self._hold(lm, self.rows, dev_rows)
        self.dev = DevSet(lm, renderer, dev, dev_rows, dev_held, answer_only=self.answer_only)
        self.encoder = build_encoder(config.encoder, start, embedding_scale(lm), seed=config.seed)
        self.optimizer = AdamW(self.encoder.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.epoch_steps = len(self._batches(0))
        self.resume = folder / "resume.safetensors"
        self.best: Tensor | None = None
        self.best_score: DevScore | None = None
        self.progress = Progress()

    def run(self) -> Trained:
        """Go on from where the resume file left off, to the last epoch or until dev stops rising."""
        self._restore()
        while self.progress.epoch < self.config.epochs and not self._out_of_patience():
            self._epoch()
        for cache in filter(None, (self.held, self.dev.held)):
            cache.close()
        if self.best is None or self.progress.best_epoch is None:
            raise TrainingError("no epoch was scored")  # pragma: no cover - epochs >= 1
        return Trained(
            self.best,
            self.progress.best_epoch + 1,
            tuple(_report(plain) for plain in self.progress.epochs),
            self.truncated,
            self.longest_reach,
            (len(self.rows), self.held.rows_spilled) if self.held else (0, 0),
        )

    def _hold(
        self, lm: LanguageModel, rows: Sequence[TrainRow], dev_rows: Sequence[TrainRow]
    ) -> tuple[PrefixCache | None, PrefixCache | None]:
        """Compute constant beginnings: training rows in the training dtype, dev rows in float32."""
        if not worth_caching([row.ids[: row.constant] for row in (*rows, *dev_rows)]):
            return None, None
        total = len(rows) + len(dev_rows)
        done = 0
        caches = []
        for name, model, part in (("train", self.lm, rows), ("dev", lm, dev_rows)):
            base = done
            caches.append(
                PrefixCache(
                    model,
                    [row.ids[: row.constant] for row in part],
                    budget=self.config.cache_bytes // 2,
                    spill=self.folder / f"{name}-prefix",
                    on_rows=lambda n, base=base: self.listener.on_prefix(base + n, total),  # type: ignore[misc]
                )
            )
            done += len(part)
        return caches[0], caches[1]

    def _restore(self) -> None:
        found = load_resume(self.resume, self.identity, self.encoder, self.optimizer)
        if found is None:
            return
        self.progress, self.best = found
        if self.progress.best_epoch is not None:
            self.best_score = _report(self.progress.epochs[self.progress.best_epoch]).dev

    def _out_of_patience(self) -> bool:
        best = self.progress.best_epoch
        return best is not None and self.progress.epoch - 1 - best >= self.config.patience

    def _batches(self, epoch: int) -> list[list[int]]:
        lengths = [len(row.ids) for row in self.rows]
        return epoch_batches(lengths, self.config.batch_size, seed=self.config.seed, epoch=epoch)

    def _epoch(self) -> None:
        batches = self._batches(self.progress.epoch)
        for batch in batches[self.progress.step :]:
            self._step(batch)
            if self.progress.step % self.config.checkpoint_steps == 0 and self.progress.step < len(batches):
                self._save()
        self._score_epoch(self.progress.loss_sum / len(batches))
        self.progress.epoch += 1
        self.progress.step, self.progress.loss_sum = 0, 0.0
        self._save()

    def _step(self, batch: list[int]) -> None:
        done = self.progress.epoch * self.epoch_steps + self.progress.step
        lr = self.config.lr * _schedule(done, self.config.epochs * self.epoch_steps, self.config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        held = [self.held[i] for i in batch] if self.held else None
        rows = [self.rows[i] for i in batch]
        loss = row_losses(self.lm, self.encoder(), rows, held, answer_only=self.answer_only).mean()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value} at step {done + 1}; try a lower --lr than {self.config.lr}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), self.config.clip)
        self.optimizer.step()
        self.progress.step += 1
        self.progress.loss_sum += value
        total = self.config.epochs * self.epoch_steps
        self.listener.on_step(StepReport(self.progress.epoch + 1, done + 1, total, value, lr))

    def _score_epoch(self, train_loss: float) -> None:
        table = frozen_rows(self.encoder)
        score = self.dev.score(table)
        better = score.better_than(self.best_score)
        if better:
            self.best, self.best_score, self.progress.best_epoch = table, score, self.progress.epoch
        report = EpochReport(self.progress.epoch + 1, train_loss, score, better)
        self.progress.epochs.append(report.as_dict())
        self.listener.on_epoch(report)

    def _save(self) -> None:
        save_resume(self.resume, self.identity, self.progress, self.encoder, self.optimizer, self.best)


@torch.no_grad()
def frozen_rows(encoder: PromptEncoder) -> Tensor:
    """Return the encoder's rows as they are frozen: eval mode, one unbatched pass, float32 (V, H)."""
    encoder.eval()
    table: Tensor = encoder().float().clone()
    encoder.train()
    return table


def _schedule(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then a cosine down to zero, as a share of the peak rate."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _report(plain: dict[str, Any]) -> EpochReport:
    score = DevScore(plain["accuracy"], plain["loss"])
    return EpochReport(plain["epoch"], plain["train_loss"], score, plain["best"])
