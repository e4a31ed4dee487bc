"""One run of a population: what is learnt, and where it stands.

A run knows its rows, encoder, optimizer and dev score; the forward and backward passes are done for several runs at
once by `promptbank.training.prompts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.optim import AdamW

from promptbank.errors import TrainingError
from promptbank.model.encoder import PromptEncoder, build_encoder
from promptbank.model.head import FrozenHead, SampledHead
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevScore, DevSet
from promptbank.training.examples import TrainRow, epoch_batches, render_rows
from promptbank.training.progress import EpochReport, Listener, StepReport
from promptbank.training.resume import Progress
from tasks import Example

__all__ = ["Failed", "Plan", "Rendered", "Run", "Trained", "schedule"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What one run is to learn.

    Attributes:
        renderer: of the task.
        train: examples to learn from, with answers.
        dev: examples that choose the epoch, with answers; never learnt from.
        config: the settings.
        start: where the prompt starts.
        name: in reports; empty when there is only one run.
    """

    renderer: Renderer
    train: Sequence[Example]
    dev: Sequence[Example]
    config: TrainConfig
    start: PromptTable
    name: str = ""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run leaves.

    Attributes:
        table: the best epoch's prompt, as the encoder freezes it.
        best_epoch: from 1.
        epochs: every epoch's report.
        truncated: training and dev rows whose text was cut.
        unwritable: training and dev rows with an answer that the card's format does not allow.
        longest_reach: most positions from a first virtual token to the end of its answer; over a sliding window,
            local layers no longer see the token.
        cached: rows whose constant beginning was held, and of these the rows that were spilled to disk.
    """

    table: PromptTable
    best_epoch: int
    epochs: tuple[EpochReport, ...]
    truncated: int
    unwritable: int
    longest_reach: int
    cached: tuple[int, int]


@dataclass(frozen=True)
class Failed:
    """A run that could not go on, and why; those it shared its passes with could."""

    reason: str


class Rendered:
    """A plan's rows as ids.

    Raises:
        TrainingError: no training or no dev rows.
    """

    def __init__(self, plan: Plan) -> None:
        if not plan.train or not plan.dev:
            raise TrainingError(f"{len(plan.train)} training and {len(plan.dev)} dev rows: both must have at least one")
        self.train = render_rows(plan.renderer, plan.train, plan.config.loss)
        self.dev = render_rows(plan.renderer, plan.dev, plan.config.loss)

    @property
    def all(self) -> list[TrainRow]:
        """Training and dev rows."""
        return [*self.train, *self.dev]

    @property
    def truncated(self) -> int:
        """Rows whose text was cut."""
        return sum(row.truncated > 0 for row in self.all)

    @property
    def unwritable(self) -> int:
        """Rows with an answer that the card's format does not allow."""
        return sum(row.unwritable for row in self.all)


class Run:
    """State of one run.

    Args:
        plan: what it learns.
        rendered: the plan's rows.
        dev: scores them.
        head: of the backbone that is trained against.
        scale: of the backbone's embeddings.
        listener: hears of progress.
    """

    def __init__(
        self, plan: Plan, rendered: Rendered, dev: DevSet, head: FrozenHead, scale: float, listener: Listener
    ) -> None:
        self.plan, self.rendered, self.dev, self.listener = plan, rendered, dev, listener
        self._head, self._scale = head, scale
        self._sampled: SampledHead | None = None
        over_words = any(row.choices is None for row in rendered.train)
        if over_words and plan.renderer.card.is_open and plan.config.sample:
            words = {word for row in rendered.train for word in row.ids if word >= 0}
            self._sampled = SampledHead(head, words, plan.config.sample)
        self.extent = plan.config.extent(len(plan.train))
        self.progress = Progress()
        self.best: PromptTable | None = None
        self._begin()

    def _begin(self) -> None:
        """Build encoder and optimizer of the attempt under way."""
        config = self.plan.config
        self.encoder: PromptEncoder = build_encoder(config.encoder, self.plan.start, self._scale, seed=self.seed)
        self.optimizer = AdamW(self.encoder.parameters(), lr=self.lr, weight_decay=config.weight_decay)
        self._batches: tuple[int, list[list[int]]] = (-1, [])

    @property
    def seed(self) -> int:
        """Seed of the attempt."""
        return self.plan.config.seed + self.progress.attempt

    @property
    def lr(self) -> float:
        """Peak learning rate of the attempt."""
        return self.plan.config.lr * 0.5**self.progress.attempt

    @property
    def finished(self) -> bool:
        """Whether all epochs of the attempt are done, dev has not risen for too long, or the run has failed."""
        progress = self.progress
        if progress.failed:
            return True
        earlier = len(progress.epochs) - progress.epoch  # epochs of other attempts
        best = None if progress.best_epoch is None else progress.best_epoch - earlier
        return self.extent.is_over(progress.epoch, best)

    def batch(self) -> list[int]:
        """Return the row numbers of the next step."""
        return self._epoch_batches()[self.progress.step]

    def width(self) -> int:
        """Return the longest row of the next batch, in positions that are computed in every step."""
        return max(len(row.ids) - row.constant for row in map(self.rendered.train.__getitem__, self.batch()))

    def head(self) -> FrozenHead:
        """Return the head of the next step, drawn anew for open answers."""
        if self._sampled is None:
            return self._head
        step = self.progress.epoch * len(self._epoch_batches()) + self.progress.step
        return self._sampled.draw(self.seed * 1_000_003 + step)

    def learn(self, loss: float) -> None:
        """Make the step of which the gradients are there, and score the epoch when it was the last one.

        Raises:
            TrainingError: the loss is not finite.
        """
        config, progress = self.plan.config, self.progress
        epoch_steps = len(self._epoch_batches())
        done, total = progress.epoch * epoch_steps + progress.step, self.extent.epochs * epoch_steps
        if not math.isfinite(loss):
            raise TrainingError(self._diverged(loss, done))
        lr = self.lr * schedule(done, total, config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.loss_sum += loss
        earlier = len(progress.epochs) - progress.epoch  # epochs of other attempts
        self.listener.on_step(
            StepReport(
                len(progress.epochs) + 1,
                earlier * epoch_steps + done + 1,
                earlier * epoch_steps + total,
                loss,
                lr,
                self.plan.name,
            )
        )
        if progress.step == epoch_steps:
            self._end_epoch()

    def fail(self, loss: float) -> None:
        """End the run where it stands, because its loss is not finite; no step is made."""
        self.progress.failed = self._diverged(
            loss, self.progress.epoch * len(self._epoch_batches()) + self.progress.step
        )
        self.optimizer.zero_grad(set_to_none=True)

    def _diverged(self, loss: float, done: int) -> str:
        name = f" of {self.plan.name}" if self.plan.name else ""
        return f"the loss{name} is {loss} at step {done + 1}; try a lower --lr than {self.lr}"

    def _epoch_batches(self) -> list[list[int]]:
        epoch, config = self.progress.epoch, self.plan.config
        if self._batches[0] != epoch:
            lengths = [len(row.ids) for row in self.rendered.train]
            self._batches = (epoch, epoch_batches(lengths, config.batch_size, seed=self.seed, epoch=epoch))
        return self._batches[1]

    def _end_epoch(self) -> None:
        progress = self.progress
        table = self.encoder.frozen()
        score = self.dev.score(table)
        better = progress.epoch >= self.extent.first and score.better_than(self._best_score)
        if better:
            self.best, progress.best_epoch = table, len(progress.epochs)
        report = EpochReport(
            len(progress.epochs) + 1, progress.loss_sum / progress.step, score, better, run=self.plan.name
        )
        progress.epochs.append(report.as_dict())
        progress.epoch += 1
        progress.step, progress.loss_sum = 0, 0.0
        if self.finished and self._collapsed and progress.attempt < self.plan.config.restarts:
            report = replace(report, restart=self._begin_again())
            progress.epochs[-1] = report.as_dict()
        self.listener.on_epoch(report)

    @property
    def _best_score(self) -> DevScore | None:
        best = self.progress.best_epoch
        return None if best is None else EpochReport.from_dict(self.progress.epochs[best]).dev

    @property
    def _collapsed(self) -> bool:
        best = self._best_score
        return best is not None and best.collapse is not None

    def _begin_again(self) -> str:
        """Start the next attempt; the best epoch of all attempts is kept."""
        self.progress.attempt += 1
        self.progress.epoch = 0
        self._begin()
        return f"begun again with seed {self.seed} and rate {self.lr:g}: on dev nearly all answers were the same"

    def outcome(self, cached: tuple[int, int]) -> Trained | Failed:
        """Return what a finished run leaves."""
        if self.progress.failed:
            return Failed(self.progress.failed)
        assert self.best is not None  # noqa: S101 - epochs >= 1, and the first score that may be kept is the best so far
        assert self.progress.best_epoch is not None  # noqa: S101
        return Trained(
            self.best,
            self.progress.best_epoch + 1,
            tuple(EpochReport.from_dict(plain) for plain in self.progress.epochs),
            self.rendered.truncated,
            self.rendered.unwritable,
            max(len(row.ids) - row.constant for row in self.rendered.all),
            cached,
        )


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak rate at a step: linear warm-up, then a cosine down to zero."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
