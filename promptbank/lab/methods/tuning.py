"""Methods that change the weights of a backbone: one loop for all, on a private copy.

They learn the rows that prompts learn, rendered without the virtual tokens, with the same batches, schedule and choice
of the best epoch on dev, and the loss on answers only. Master weights are float32; forward passes run under autocast in
bfloat16 where the CPU has it. Scores are float32.
"""

from __future__ import annotations

import contextlib
import copy
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from promptbank.engine.evaluate import Evaluated, evaluate
from promptbank.engine.predictor import Predictor, ServedTask
from promptbank.errors import InputError, TrainingError
from promptbank.lab.methods.icl import plain_card
from promptbank.lab.methods.learner import FLOAT32_BYTES, Fit, Learner, Method, Size
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import RenderedPrompt, Renderer, TokenPolicy
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevScore, DevSet
from promptbank.training.examples import TrainRow, check_prompts, epoch_batches, row_losses
from promptbank.training.progress import EpochReport, Listener, Silent, StepReport, run_warnings
from promptbank.training.prompts import is_half
from promptbank.training.run import Plan, Rendered, schedule
from tasks import Example, Split, TaskCard

__all__ = ["PlainRenderer", "Tuned", "TuningMethod"]


class TuningMethod(Method):
    """Base of the methods that tune weights: they differ in which of them learn."""

    @abstractmethod
    def prepare(self, model: nn.Module, seed: int) -> None:
        """Mark what learns, adding it where it is not there yet.

        Args:
            model: a private float32 copy in which nothing learns.
            seed: draws what is added.

        Raises:
            TrainingError: the model has nothing of the kind.
        """

    def begin(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> Tuned:
        """Copy the backbone."""
        model = copy.deepcopy(lm.model).float().requires_grad_(False)
        self.prepare(model, config.seed)
        return Tuned(backbone, LanguageModel(model.eval()), config)


class Tuned(Learner):
    """A copy of the backbone on its way; every task that it learns changes the same weights.

    Args:
        backbone: tokenizer and window.
        lm: the copy; its parameters that require a gradient learn.
        config: settings of every task.
    """

    def __init__(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> None:
        self.lm, self._backbone, self._config = lm, backbone, config
        self._nothing = PromptTable.empty(lm.hidden_size)
        self._head = _frozen_head(lm, is_half(config.dtype))

    @property
    def state(self) -> dict[str, Tensor]:
        """The parameters that learn, by name, a tied one once; not copies."""
        return {name: p for name, p in self.lm.model.named_parameters() if p.requires_grad}

    def size(self, _card: TaskCard) -> Size:
        """Return the number of learnt parameters, and their bytes."""
        count = sum(p.numel() for p in self.state.values())
        return Size(count, count * FLOAT32_BYTES)

    def learn(self, card: TaskCard, split: Split, listener: Listener | None = None) -> Fit:
        """Tune the weights as they are, with a new optimizer and schedule, and keep those of the best epoch."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.seed)  # of dropout
            return self._learn(card, split, listener or Silent())

    def check(self, card: TaskCard, examples: Sequence[Example]) -> None:
        """Refuse examples that do not fit the window, or leave nothing to answer."""
        check_prompts(self._renderer(card), examples)

    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> Evaluated:
        """Score the present weights, whether they have learnt this task or not."""
        task = ServedTask(card.taskname, card.lang, 0, "", self._renderer(card), self._nothing)
        return evaluate(Predictor(self.lm), task, examples)

    def _renderer(self, card: TaskCard) -> PlainRenderer:
        tokenizer = self._backbone.tokenizer
        policy = TokenPolicy.of(tokenizer, answer_tokens=self._config.answer_tokens)
        plain = plain_card(card).model_copy(update={"answer_only_loss": True})
        return PlainRenderer(plain, tokenizer, policy, self._backbone.window)

    def _learn(self, card: TaskCard, split: Split, listener: Listener) -> Fit:
        config = self._config
        plan = Plan(self._renderer(card), split.train, split.dev, config, self._nothing)
        rendered = Rendered(plan)
        dev = DevSet(self.lm, plan.renderer, split.dev, rendered.dev, None)
        optimizer = AdamW(self.state.values(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
        best, extent = _Best(), config.extent(len(split.train))
        for epoch in range(extent.epochs):
            loss = self._epoch(rendered.train, optimizer, epoch, extent.epochs, listener)
            score = dev.score(self._nothing)
            better = epoch >= extent.first and score.better_than(best.score)
            best.hear(EpochReport(epoch + 1, loss, score, better), self.state)
            listener.on_epoch(best.reports[-1])
            if extent.is_over(epoch + 1, best.epoch - 1):
                break
        best.restore(self.state)
        warnings = run_warnings(
            self._backbone,
            card,
            split.train,
            split.dev,
            truncated=rendered.truncated,
            unwritable=rendered.unwritable,
            collapse=best.reports[best.epoch - 1].dev.collapse,
        )
        return Fit(best.epoch, tuple(best.reports), warnings=tuple(warnings))

    def _epoch(self, rows: Sequence[TrainRow], optimizer: AdamW, epoch: int, epochs: int, listener: Listener) -> float:
        """One of all passes over the rows; return the mean of the steps' losses."""
        config = self._config
        batches = epoch_batches([len(row.ids) for row in rows], config.batch_size, seed=config.seed, epoch=epoch)
        losses = []
        self.lm.model.train()
        for number, batch in enumerate(batches):
            done, total = epoch * len(batches) + number, epochs * len(batches)
            lr = config.lr * schedule(done, total, config.warmup)
            losses.append(self._step([rows[i] for i in batch], optimizer, lr))
            listener.on_step(StepReport(epoch + 1, done + 1, total, losses[-1], lr))
        self.lm.model.eval()
        return math.fsum(losses) / len(losses)

    def _step(self, rows: Sequence[TrainRow], optimizer: AdamW, lr: float) -> float:
        for group in optimizer.param_groups:
            group["lr"] = lr
        heads = [self._head] * len(rows) if self._head else None
        with _autocast(self._config.dtype):
            loss = row_losses(self.lm, [self._nothing] * len(rows), rows, None, heads=heads).mean()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(f"the loss is {value}; try a lower --lr than {self._config.lr}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.state.values(), self._config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return value


class PlainRenderer(Renderer):
    """Renders a card without virtual tokens, which may leave nothing at all."""

    def prompt(self, fields: Mapping[str, str]) -> RenderedPrompt:
        """Render the text before the answer.

        Raises:
            InputError: see `Renderer.prompt`; or nothing stands before the answer.
        """
        prompt = super().prompt(fields)
        if not prompt.ids:
            raise InputError(
                "the record is empty, the card has no words of its own and the tokenizer adds no start token, so "
                "without virtual tokens there is nothing to answer; leave the record out"
            )
        return prompt


class _Best:
    """The epochs so far, and the weights of the best one."""

    def __init__(self) -> None:
        self.epoch = 0
        self.score: DevScore | None = None
        self.reports: list[EpochReport] = []
        self._weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def hear(self, report: EpochReport, state: Mapping[str, Tensor]) -> None:
        """Note an epoch, and keep the weights if it is the best."""
        self.reports.append(report)
        if report.best:
            self.epoch, self.score = report.epoch, report.dev
            self._weights.clear()  # before the copy, so that there are never two
            self._weights.update({name: p.detach().clone() for name, p in state.items()})

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Write the best weights back."""
        for name, parameter in state.items():
            parameter.copy_(self._weights[name])


def _autocast(dtype: str) -> contextlib.AbstractContextManager[object]:
    """Return bfloat16 forward passes, as `TrainConfig.dtype` asks for them."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if is_half(dtype) else contextlib.nullcontext()


def _frozen_head(lm: LanguageModel, half: bool) -> FrozenHead | None:
    """Return the head in the dtype of the passes if it is a plain layer that does not learn.

    Autocast would cast its 168 million numbers at every step, and keep all logits for the way back.
    """
    if not isinstance(lm.head, nn.Linear) or any(p.requires_grad for p in lm.head.parameters()):
        return None
    return FrozenHead.of(lm.head, torch.bfloat16 if half else torch.float32)
