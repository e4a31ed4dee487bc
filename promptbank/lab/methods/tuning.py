"""The learner behind `weights.py`: a private copy of the backbone that trains and answers.

They learn the examples that prompts learn, rendered without the virtual tokens, in the same loop, with the same
batches, schedule and choice of the best epoch on dev, and the loss on answers only. Master weights are float32; forward
passes run under autocast in bfloat16 where the CPU has it. Scores are float32.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from promptbank.engine.evaluate import TaskScores, evaluate
from promptbank.engine.predictor import Predictor, ServedTask
from promptbank.errors import InputError
from promptbank.lab.methods.icl import plain_card
from promptbank.lab.methods.learner import FLOAT32_BYTES, Learner, LearningResult, Method, Size
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import RenderedPrompt, Renderer
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevSet
from promptbank.training.epochs import EpochRun
from promptbank.training.examples import check_prompts, example_losses, training_policy
from promptbank.training.loop import Training, run_training
from promptbank.training.precision import autocast, is_half
from promptbank.training.progress import DevScore, NoProgress, Progress
from promptbank.training.prompt_run import Plan, RenderedExamples
from promptbank.training.run_warnings import run_warnings
from tasks import Example, Split, TaskCard

__all__ = ["PlainRenderer", "TuningMethod", "WeightTuning"]


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

    def begin(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> WeightTuning:
        """Copy the backbone."""
        model = copy.deepcopy(lm.model).float().requires_grad_(False)
        self.prepare(model, config.seed)
        return WeightTuning(backbone, LanguageModel(model.eval()), config)


class WeightTuning(Learner):
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

    def learn(self, card: TaskCard, split: Split, progress: Progress | None = None) -> LearningResult:
        """Tune the weights as they are, with a new optimizer and schedule, and keep those of the best epoch."""
        plan = Plan(self._renderer(card), split.train, split.dev, self._config, self._nothing)
        rendered = RenderedExamples(plan)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.seed)  # of dropout
            run = _WeightsRun(self.lm, self._head, self.state, plan, rendered, progress or NoProgress())
            run_training(run)
        best = run.restore_best()
        warnings = run_warnings(
            self._backbone,
            card,
            split.train,
            split.dev,
            truncated=rendered.truncated,
            unwritable=rendered.unwritable,
            collapse=run.reports[best].dev.collapse,
        )
        return LearningResult(best + 1, tuple(run.reports), warnings=tuple(warnings))

    def check(self, card: TaskCard, examples: Sequence[Example]) -> None:
        """Refuse examples that do not fit the window, or leave nothing to answer."""
        check_prompts(self._renderer(card), examples)

    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> TaskScores:
        """Score the present weights, whether they have learnt this task or not."""
        task = ServedTask(card.taskname, card.lang, 0, "", self._renderer(card), self._nothing)
        return evaluate(Predictor(self.lm), task, examples)

    def _renderer(self, card: TaskCard) -> PlainRenderer:
        policy = training_policy(self._backbone, card, self._config)
        plain = plain_card(card).model_copy(update={"answer_only_loss": True})
        return PlainRenderer(plain, self._backbone.tokenizer, policy, self._backbone.window)


class _WeightsRun(EpochRun, Training["_WeightsRun"]):
    """The weights while they learn one task.

    Args:
        lm: the copy that learns.
        head: a copy of its head if that does not learn.
        state: the parameters that learn, by name.
        plan: what they learn.
        rendered: the plan's examples.
        progress: receives reports.
    """

    def __init__(
        self,
        lm: LanguageModel,
        head: FrozenHead | None,
        state: dict[str, Tensor],
        plan: Plan,
        rendered: RenderedExamples,
        progress: Progress,
    ) -> None:
        self._lm, self._head, self._nothing, self._train = lm, head, plan.start, rendered.train
        self._dev = DevSet(lm, plan.renderer, plan.dev, rendered.dev, None)
        self.parameters = list(state.values())
        self._best: list[Tensor] = []
        self.runs = (self,)
        super().__init__(plan.config, rendered.lengths, progress)

    def begin(self) -> None:
        """Make the optimizer."""
        config = self.config
        self.optimizer = AdamW(self.parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)

    def backward(self, _runs: Sequence[_WeightsRun]) -> Iterator[tuple[_WeightsRun, float]]:
        """Add the gradients of the next batch."""
        self._lm.model.train()
        batch = [self._train[i] for i in self.next_batch()]
        heads = [self._head] * len(batch) if self._head else None
        with autocast("cpu", half=is_half(self.config.dtype)):
            loss = example_losses(self._lm, [self._nothing] * len(batch), batch, None, heads=heads).mean()
        loss.backward()
        yield self, float(loss.detach())

    def score(self) -> DevScore:
        """Score the weights on dev."""
        self._lm.model.eval()
        return self._dev.score(self._nothing)

    def keep(self) -> None:
        """Copy the weights."""
        self._best.clear()  # before the copy, so that there are never two
        self._best.extend(parameter.detach().clone() for parameter in self.parameters)

    @torch.no_grad()
    def restore_best(self) -> int:
        """Write the weights of the best epoch back; return its place, from 0."""
        for parameter, best in zip(self.parameters, self._best, strict=True):
            parameter.copy_(best)
        assert self.position.best_epoch is not None  # noqa: S101 - a run has an epoch, and the first that may be kept is
        return self.position.best_epoch


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


def _frozen_head(lm: LanguageModel, half: bool) -> FrozenHead | None:
    """Return the head in the dtype of the passes if it is a plain layer that does not learn.

    Autocast would cast its 168 million numbers at every step, and keep all logits for the way back.
    """
    if not isinstance(lm.head, nn.Linear) or any(p.requires_grad for p in lm.head.parameters()):
        return None
    return FrozenHead.of(lm.head, torch.bfloat16 if half else torch.float32)
