"""Teach the backbone to translate: hours of steps that can be stopped at any of them and go on with the same bits.

Loss on answers only, batches by padded tokens, AdamW on float32 master weights, forward passes under autocast in
bfloat16 where the CPU has it. The model stays in eval mode: the default backbone has no dropout, and a mask drawn anew
would be one more state to keep.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead, SampledHead
from promptbank.model.lora import lora_layers
from promptbank.mt.engines.backbone import translate_texts
from promptbank.mt.translator.allowed_tokens import SomeWords, writable_words
from promptbank.mt.translator.checkpoint import Checkpoints, Position
from promptbank.mt.translator.curve import Curve, EvalSet, Evaluation
from promptbank.mt.translator.decoding import Decoding
from promptbank.mt.translator.loss import answer_loss
from promptbank.mt.translator.model import merged, prepared, save_translator
from promptbank.mt.translator.pairs import PairRow, token_batches
from promptbank.mt.translator.plan import Listener, MtPlan, MtStep, has_ended, identity_of, start_numbers
from promptbank.mt.translator.settings import MtSettings, rate
from promptbank.mt.translator.updates import learnt, load_learnt
from promptbank.training.prompts import is_half
from translate.scoring.scores import score_texts

__all__ = ["train_translator"]


def train_translator(
    backbone: Backbone, plan: MtPlan, listener: Listener, should_stop: Callable[[], bool] = lambda: False
) -> Path | None:
    """Train, or go on from the newest checkpoint; a run that has ended is not run again.

    Args:
        backbone: stays as it is; a copy learns.
        plan: what to do.
        listener: hears of progress.
        should_stop: asked before every step; the state is saved when it says so.

    Returns:
        The folder of the translator, or None if the training was stopped.

    Raises:
        TrainingError: a checkpoint or a translator of another run, or a loss that is not finite.
    """
    return _Training(backbone, plan, listener, should_stop).run()


class _StoppedError(TrainingError):
    """Told to stop; caught by the training itself."""


class _Training:
    """One training under way; see `train_translator`."""

    def __init__(self, backbone: Backbone, plan: MtPlan, listener: Listener, should_stop: Callable[[], bool]) -> None:
        self._backbone, self._plan, self._listener, self._should_stop = backbone, plan, listener, should_stop
        self._settings = plan.settings
        self._identity = identity_of(backbone, plan)
        self._curve = Curve(plan.out / "curve.jsonl")
        self._checkpoints = Checkpoints(plan.out / "checkpoints", self._identity)
        self._half = _is_half(self._settings)
        self._lengths = [len(row.ids) for row in plan.train]
        self._epoch: tuple[int, list[list[int]]] | None = None
        self._losses: list[float] = []

    def run(self) -> Path | None:
        """Step until the end, or until told to stop."""
        if has_ended(self._plan, self._identity):
            return self._plan.out / "model"
        self._open()
        try:
            return self._to_the_end()
        except _StoppedError:
            self._save()
            return None

    def _to_the_end(self) -> Path:
        saved = time.monotonic()
        while True:
            self._may_go_on()
            if self._is_due() and self._position.evaluated != self._position.step:
                self._evaluate()
            if self._position.step >= self._settings.steps:
                return self._finish()
            self._step()
            if time.monotonic() - saved >= self._settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()

    def _may_go_on(self, _texts: int = 0) -> None:
        if self._should_stop():
            raise _StoppedError

    def _open(self) -> None:
        """Make the copy that learns and its optimizer, and restore the newest checkpoint."""
        model = prepared(self._backbone, self._plan.update)
        self._lm = LanguageModel(model)
        if self._plan.start is not None:
            load_learnt(model, start_numbers(self._plan.start, self._backbone, self._plan.update))
        model.to(self._settings.device)
        dtype = torch.bfloat16 if self._half else torch.float32
        self._head = FrozenHead.of(self._lm.head, dtype)
        held = {token for row in self._plan.train for token in row.ids}
        self._sampled = SampledHead(self._head, held, self._settings.sample) if self._settings.sample else None
        if self._half:  # autocast would cast a frozen weight again at every call
            for layer in lora_layers(model):
                layer.base.to(torch.bfloat16)
        decayed = [p for p in learnt(model).values() if p.ndim > 1]
        plain = [p for p in learnt(model).values() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self._settings.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        self._optimizer = AdamW([g for g in groups if g["params"]], lr=self._settings.lr, fused=True)
        self._position = self._checkpoints.restore(model, self._optimizer) or Position()
        self._losses = list(self._position.losses)
        self._curve.rewind(self._position.step)

    @cached_property
    def _words(self) -> set[int]:
        """What the translator may write, the end token too; reads the whole vocabulary, so only where it is needed."""
        return writable_words(self._backbone.tokenizer, [row.ids for row in self._plan.train])

    def _is_due(self) -> bool:
        step = self._position.step
        return step % self._settings.every == 0 or step == self._settings.steps

    def _save(self) -> None:
        self._position.losses = list(self._losses)
        self._checkpoints.save(self._lm.model, self._optimizer, self._position)
        self._checkpoints.tidy(self._position)

    def _step(self) -> None:
        started = time.monotonic()
        lr = rate(self._settings, self._position.step)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        first = self._settings.seed * 1_000_003 + self._position.step * self._settings.accumulate
        batches = [self._batch() for _ in range(self._settings.accumulate)]
        answers = sum(len(row.answer) for batch in batches for row in batch)
        loss = sum(self._learn(batch, answers, first + n) for n, batch in enumerate(batches))
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {self._position.step}; try a lower --lr than {lr:g}")
        nn.utils.clip_grad_norm_(learnt(self._lm.model).values(), self._settings.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._report(loss, lr, sum(len(row.ids) for batch in batches for row in batch), time.monotonic() - started)

    def _learn(self, batch: Sequence[PairRow], answers: int, seed: int) -> float:
        """Add the gradient of a batch; return its share of the step's loss."""
        head = self._sampled.draw(seed) if self._sampled else self._head
        with self._autocast():
            total, _ = answer_loss(self._lm, head, batch)
        loss = total / answers
        loss.backward()
        return float(loss.detach())

    def _batch(self) -> list[PairRow]:
        """Return the next batch and move the position past it."""
        position = self._position
        batches = self._batches(position.epoch)
        if position.batch == len(batches):
            position.epoch, position.batch = position.epoch + 1, 0
            batches = self._batches(position.epoch)
        position.batch += 1
        return [self._plan.train[i] for i in batches[position.batch - 1]]

    def _batches(self, epoch: int) -> list[list[int]]:
        if self._epoch is None or self._epoch[0] != epoch:
            found = token_batches(self._lengths, self._settings.tokens, seed=self._settings.seed, epoch=epoch)
            self._epoch = (epoch, found)
        return self._epoch[1]

    def _report(self, loss: float, lr: float, tokens: int, seconds: float) -> None:
        position = self._position
        position.step += 1
        position.tokens += tokens
        position.seconds += seconds
        self._losses.append(loss)
        self._listener.on_step(MtStep(position.step, self._settings.steps, loss, lr, tokens, seconds))

    def _evaluate(self, *, averaged: bool = False) -> None:
        """Score the present weights, and keep them if they are to be averaged."""
        position = self._position
        train_loss = math.fsum(self._losses) / len(self._losses) if self._losses else None
        found = Evaluation(
            position.step, train_loss, self._dev_loss(), self._scores(), position.tokens, position.seconds, averaged
        )
        self._losses.clear()
        self._curve.add(found)
        self._listener.on_evaluation(found)
        if self._settings.average > 1 and not averaged and position.step > 0:
            self._checkpoints.remember(self._lm.model, position, self._settings.average)
        position.evaluated = position.step

    @torch.no_grad()
    def _dev_loss(self) -> float | None:
        rows = self._plan.dev
        if not rows:
            return None
        total, tokens = 0.0, 0
        for batch in token_batches([len(row.ids) for row in rows], self._settings.tokens, seed=0, epoch=0):
            with self._autocast():
                loss, count = answer_loss(self._lm, self._head, [rows[i] for i in batch])
            total, tokens = total + float(loss), tokens + count
        return total / tokens

    def _scores(self) -> dict[str, float]:
        """Return chrF2 by set, of the weights as they would be served."""
        sets = [s.first(self._settings.eval_rows) for s in self._plan.sets] if self._settings.eval_rows else []
        if not sets:
            return {}
        dtype = torch.bfloat16 if self._half else torch.float32
        lm = merged(self._lm.model, self._backbone, self._plan.update, dtype)
        lm.model.to(self._settings.device)
        words = SomeWords(lm, self._words)
        return {s.name: self._chrf2(lm, words, s) for s in sets}

    def _chrf2(self, lm: LanguageModel, words: SomeWords, chosen: EvalSet) -> float:
        window = self._backbone.window
        found = translate_texts(
            lm,
            self._plan.wording,
            chosen.texts,
            Decoding(),
            window=window,
            words=words,
            on_texts=self._may_go_on,
        )
        return score_texts([hypothesis.text for hypothesis in found], chosen.references).chrf2

    def _finish(self) -> Path:
        """Average, store, and remove what only a run under way needs."""
        if len(self._position.kept) > 1:
            self._save()
            self._checkpoints.average(self._lm.model, self._position)
            self._evaluate(averaged=True)
        position = self._position
        facts = {
            "identity": self._identity,
            "corpus_sha256": self._plan.corpus_sha256,
            "pairs": len(self._plan.train),
            "settings": self._settings.deciding(),
            "averaged_steps": position.kept if len(position.kept) > 1 else [position.step],
            "tokens": position.tokens,
            "seconds": round(position.seconds),
            "last": self._last(),
        }
        languages = self._plan.wording.languages
        folder = save_translator(
            self._plan.out / "model",
            self._lm.model,
            self._backbone,
            self._plan.update,
            languages=languages,
            facts=facts,
            words=self._words,
        )
        self._checkpoints.clear()
        return folder

    def _last(self) -> dict[str, Any]:
        last = self._curve.read()[-1]
        return {"step": last.step, "dev_loss": last.dev_loss, "chrf2": dict(last.chrf2), "averaged": last.averaged}

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if not self._half:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self._settings.device).type, dtype=torch.bfloat16)


def _is_half(settings: MtSettings) -> bool:
    on_gpu = torch.device(settings.device).type != "cpu"
    return (settings.dtype == "auto" and on_gpu) or is_half(settings.dtype)
