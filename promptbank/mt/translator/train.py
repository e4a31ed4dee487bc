"""Teach the backbone to translate: hours of steps that can be stopped at any of them and go on with the same bits.

Loss on answers only, batches by padded tokens, AdamW on float32 master weights, forward passes under autocast in
bfloat16 where the CPU has it. The model stays in eval mode: the default backbone has no dropout, and a mask drawn anew
would be one more state to keep.
"""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from promptbank.engine.decoding import BeamSearch
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead, SampledHead
from promptbank.model.lora import lora_layers
from promptbank.mt.engines.backbone import translate_texts
from promptbank.mt.translator.allowed_tokens import AllowedTokens, writable_tokens
from promptbank.mt.translator.averaging import TranslatorCheckpoints, mean_of
from promptbank.mt.translator.loss import answer_loss
from promptbank.mt.translator.model import merged, prepared, save_translator
from promptbank.mt.translator.pairs import PairExample
from promptbank.mt.translator.plan import EvalTexts, MtPlan, has_ended, identity_of, start_numbers, training_facts
from promptbank.training.batches import ByTokens, epoch_batches
from promptbank.training.checkpoint import Checkpoint, learnt, load_learnt
from promptbank.training.curve import CurvePoint, LearningCurve
from promptbank.training.loop import TrainingStoppedError, run_training
from promptbank.training.precision import autocast, is_half
from promptbank.training.progress import Progress
from promptbank.training.steps import StepRun
from translate.scoring.scores import score_texts

__all__ = ["train_translator"]


def train_translator(
    backbone: Backbone, plan: MtPlan, progress: Progress, should_stop: Callable[[], bool] = lambda: False
) -> Path | None:
    """Train, or go on from the newest checkpoint; a run that has ended is not run again.

    Args:
        backbone: stays as it is; a copy learns.
        plan: what to do.
        progress: receives reports.
        should_stop: asked before every step; the state is saved when it says so.

    Returns:
        The folder of the translator, or None if the training was stopped.

    Raises:
        TrainingError: a checkpoint or a translator of another run, or a loss that is not finite.
    """
    identity = identity_of(backbone, plan)
    if has_ended(plan, identity):
        return plan.out / "model"
    checkpoints = TranslatorCheckpoints(plan.out / "checkpoints", identity)
    run = _TranslatorRun(backbone, plan, checkpoints, progress, should_stop)
    if not run_training(run, checkpoints, should_stop):
        return None
    try:
        run.average()
    except TrainingStoppedError:
        return None
    folder = save_translator(
        plan.out / "model",
        run.model,
        backbone,
        plan.update,
        languages=plan.pair_format.languages,
        facts=training_facts(plan, identity, run.position) | run.end(),
        tokens=run.tokens,
    )
    checkpoints.clear()
    return folder


def _learning_copy(backbone: Backbone, plan: MtPlan) -> LanguageModel:
    """Return the copy that learns, with the numbers that it starts from."""
    settings, lm = plan.settings, LanguageModel(prepared(backbone, plan.update))
    model = lm.model
    if plan.start is not None:
        load_learnt(model, start_numbers(plan.start, backbone, plan.update))
    model.to(settings.device)
    if is_half(settings.dtype, settings.device):  # autocast would cast a frozen weight again at every call
        for layer in lora_layers(model):
            layer.base.to(torch.bfloat16)
    return lm


def _optimizer(model: nn.Module, plan: MtPlan) -> AdamW:
    """Return AdamW over what learns; only matrices decay."""
    parameters = list(learnt(model).values())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=plan.settings.lr, fused=True)


class _TranslatorRun(StepRun[PairExample]):
    """An update of the backbone while it learns; see `train_translator`."""

    def __init__(
        self,
        backbone: Backbone,
        plan: MtPlan,
        checkpoints: TranslatorCheckpoints,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        settings, self._lm = plan.settings, _learning_copy(backbone, plan)
        lengths, rule = [len(pair.ids) for pair in plan.train], ByTokens(settings.tokens)
        super().__init__(
            self._lm.model,
            _optimizer(self._lm.model, plan),
            plan.train,
            lambda epoch: epoch_batches(lengths, rule, seed=settings.seed, epoch=epoch),
            settings.rates(),
            clip=settings.clip,
            seed=settings.seed,
            accumulate=settings.accumulate,
            curve=LearningCurve(plan.out / "curve.jsonl"),
            progress=progress,
        )
        self._backbone, self._plan, self._settings = backbone, plan, settings
        self._checkpoints, self._should_stop = checkpoints, should_stop
        self._half = is_half(settings.dtype, settings.device)
        self._dtype = torch.bfloat16 if self._half else torch.float32
        self._head = FrozenHead.of(self._lm.head, self._dtype)
        held = {token for pair in plan.train for token in pair.ids}
        self._sampled = SampledHead(self._head, held, settings.sample) if settings.sample else None
        self._averaged, self._saved = False, time.monotonic()

    @cached_property
    def tokens(self) -> set[int]:
        """What the translator may write, the end token too; reads the whole vocabulary, so only where it is needed."""
        return writable_tokens(self._backbone.tokenizer, [pair.ids for pair in self._plan.train])

    def loss(self, batch: Sequence[PairExample], seed: int) -> Tensor:
        """See `StepRun`."""
        head = self._sampled.draw(seed) if self._sampled else self._head
        with autocast(self._settings.device, half=self._half):
            return answer_loss(self._lm, head, batch)[0]

    def answer_tokens(self, pair: PairExample) -> int:
        """See `StepRun`."""
        return len(pair.answer)

    def read_tokens(self, pair: PairExample) -> int:
        """See `StepRun`."""
        return len(pair.ids)

    @property
    def is_due(self) -> bool:
        """Whether the weights are scored now: at the start, every so many steps and at the end."""
        return self.is_due_every(self._settings.every) and self.position.evaluated != self.position.step

    @property
    def save_is_due(self) -> bool:
        """Whether the last checkpoint is too long ago."""
        return time.monotonic() - self._saved >= self._settings.checkpoint_seconds

    def state(self) -> Checkpoint:
        """See `StepRun`."""
        self._saved = time.monotonic()
        return super().state()

    def evaluate(self) -> None:
        """Score the present weights, and keep them if they are to be averaged."""
        super().evaluate()
        kept, step, count = self.position.kept, self.position.step, self._settings.average
        if count > 1 and not self._averaged and step > 0:
            self._checkpoints.keep_weights(self.model, step)
            self.position.kept = [*(other for other in kept if other != step), step][-count:]

    def measure(self, train_loss: float | None) -> CurvePoint:
        """See `StepRun`."""
        position = self.position
        lr = None if position.step == 0 else self._schedule.rate(position.step - 1)
        return CurvePoint(
            position.step, train_loss, self._dev_loss(), self._scores(), position.tokens, position.seconds,
            self._averaged, lr, position.epoch,
        )  # fmt: skip

    @torch.no_grad()
    def _dev_loss(self) -> float | None:
        pairs = self._plan.dev
        if not pairs:
            return None
        total = 0.0
        for batch in epoch_batches([len(p.ids) for p in pairs], ByTokens(self._settings.tokens), seed=0, epoch=0):
            with autocast(self._settings.device, half=self._half):
                total += float(answer_loss(self._lm, self._head, [pairs[i] for i in batch])[0])
        return total / sum(len(pair.answer) for pair in pairs)

    def _scores(self) -> dict[str, float]:
        """Return chrF2 by set, of the weights as they would be served."""
        sets = [s.first(self._settings.eval_rows) for s in self._plan.sets] if self._settings.eval_rows else []
        if not sets:
            return {}
        lm = merged(self.model, self._backbone, self._plan.update, self._dtype)
        lm.model.to(self._settings.device)
        tokens = AllowedTokens(lm, self.tokens)
        return {s.name: self._chrf2(lm, tokens, s) for s in sets}

    def _chrf2(self, lm: LanguageModel, tokens: AllowedTokens, texts: EvalTexts) -> float:
        window, pair_format = self._backbone.window, self._plan.pair_format
        found = translate_texts(
            lm, pair_format, texts.texts, BeamSearch(), window=window, tokens=tokens, on_texts=self._may_go_on
        )
        return score_texts([hypothesis.text for hypothesis in found], texts.references).chrf2

    def _may_go_on(self, _texts: int) -> None:
        if self._should_stop():
            raise TrainingStoppedError("told to stop")

    def average(self) -> None:
        """Replace the weights by the mean of the kept ones, and score it; nothing happens with fewer than two.

        Raises:
            TrainingStoppedError: told to stop meanwhile.
        """
        if len(self.position.kept) > 1:
            self._checkpoints.save(self.state())
            load_learnt(self.model, mean_of(self._checkpoints.kept(self.position.kept)))
            self._averaged = True
            self.evaluate()

    def end(self) -> dict[str, object]:
        """Return what is told of the end, beside the translator."""
        last, kept = self._curve.read()[-1], self.position.kept
        said = {"step": last.step, "dev_loss": last.dev_loss, "chrf2": dict(last.chrf2), "averaged": last.averaged}
        return {"averaged_steps": kept if len(kept) > 1 else [self.position.step], "last": said}
