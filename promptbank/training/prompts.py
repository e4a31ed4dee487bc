"""P-tuning: encoders learn, the backbone stays, the best epoch's rows are what is left of each run.

Speed comes from doing less: an encoder runs once a step, the head at answer positions only, and everything before the
first virtual token once in all (see `promptbank.training.kv_cache`). Rows are independent under a frozen backbone, so
several runs (folds, seeds, tasks, settings) share their forward and backward passes: their prompts stand below each
other in one table, each run has its own encoder, optimizer and clipping, and its gradients are those it has alone.
"""

from __future__ import annotations

import copy
import hashlib
import math
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel, cast_weights
from promptbank.model.head import FrozenHead
from promptbank.model.prompt_table import PromptTable
from promptbank.training.dev import DevSet
from promptbank.training.examples import row_losses
from promptbank.training.kv_cache import Held, PrefixCache, worth_caching
from promptbank.training.progress import Listener, Silent
from promptbank.training.resume import load_resume, save_resume
from promptbank.training.run import Failed, Plan, Rendered, Run, Trained
from promptbank.training.start import embedding_scale

__all__ = ["cpu_has_bfloat16", "is_half", "train_each", "train_prompts", "training_copy", "training_dtype"]

SHARED_ROWS = 256
"""Most rows of one forward and backward pass; a run with more has a pass of its own. The float32 logits of 256 rows
with two answer tokens take 0.5 GB at a vocabulary of 262,144, and as much again for their gradient."""
PADDING = 1.5
"""Most that the longest batch of a pass may exceed the shortest one's width."""


def training_copy(lm: LanguageModel, dtype: str) -> LanguageModel:
    """Return the model to train against: a bfloat16 copy where that pays, else the given one.

    A copy because autocast casts frozen weights again at every call (307 against 246 ms an example).
    """
    return LanguageModel(cast_weights(copy.deepcopy(lm.model), torch.bfloat16)) if is_half(dtype) else lm


def is_half(dtype: str) -> bool:
    """Whether a training of this ``dtype`` (auto, float32 or bfloat16) has forward passes in bfloat16 on the CPU."""
    return dtype == "bfloat16" or (dtype == "auto" and cpu_has_bfloat16())


def training_dtype(dtype: str) -> str:
    """Return what a training of this ``dtype`` computes in on this machine; rotary frequencies are float32 always."""
    return "bfloat16 weights" if is_half(dtype) else "float32"


def cpu_has_bfloat16() -> bool:
    """Whether bfloat16 is computed by the processor, and not emulated."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN says yes to any AVX-512, and emulates: 31 GFLOP/s on a processor that has 164 in float32
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def train_prompts(
    lm: LanguageModel,
    plans: Sequence[Plan],
    *,
    folder: Path,
    identity: str,
    listener: Listener | None = None,
) -> list[Trained]:
    """Learn one task or several, in shared batches.

    Args:
        lm: the float32 backbone; dev scores come from it.
        plans: what each run learns; all of one dtype.
        folder: for the resume file and spilled keys and values.
        identity: names these very runs; a resume file of others is refused.
        listener: hears of progress.

    Returns:
        What each run leaves, in the order of ``plans``.

    Raises:
        TrainingError: no rows, a loss that is not finite, or a resume file that does not fit.
    """
    outcomes = _Population(lm, plans, folder, identity, listener or Silent(), lenient=False).run()
    trained = [outcome for outcome in outcomes if isinstance(outcome, Trained)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if failed:  # in an earlier call, which let the others go on
        raise TrainingError(failed[0].reason)
    return trained


def train_each(
    lm: LanguageModel,
    plans: Sequence[Plan],
    *,
    folder: Path,
    identity: str,
    listener: Listener | None = None,
) -> list[Trained | Failed]:
    """Learn as `train_prompts` does, but a run of which the loss is not finite ends alone and the others go on.

    Raises:
        TrainingError: no rows, or a resume file that does not fit.
    """
    return _Population(lm, plans, folder, identity, listener or Silent(), lenient=True).run()


class _Population:
    """Runs that share their passes; see `train_prompts` for the arguments.

    ``lenient`` says whether a run of which the loss is not finite ends alone.
    """

    def __init__(
        self,
        lm: LanguageModel,
        plans: Sequence[Plan],
        folder: Path,
        identity: str,
        listener: Listener,
        *,
        lenient: bool,
    ) -> None:
        dtypes = {plan.config.dtype for plan in plans}
        if len(dtypes) != 1:
            raise ValueError(f"runs that train together have one dtype, not {sorted(dtypes)}")
        self.identity = hashlib.sha256(f"{identity}\0{len(plans)}".encode()).hexdigest()
        self.folder, self.lenient = folder, lenient
        self.lm = training_copy(lm, plans[0].config.dtype)
        rendered = [Rendered(plan) for plan in plans]
        self.held, dev_held = self._hold(lm, plans, rendered, listener)
        scale = embedding_scale(lm)
        head = FrozenHead.of(self.lm.head, self.lm.dtype)
        self.runs = [
            Run(plan, rows, DevSet(lm, plan.renderer, plan.dev, rows.dev, held), head, scale, listener)
            for plan, rows, held in zip(plans, rendered, dev_held, strict=True)
        ]
        self.resume = folder / "resume.safetensors"
        self.checkpoint_steps = min(plan.config.checkpoint_steps for plan in plans)

    def run(self) -> list[Trained | Failed]:
        """Go on from where the resume file left off, until every run has finished."""
        load_resume(self.resume, self.identity, self.runs)
        steps = 0
        while active := [run for run in self.runs if not run.finished]:
            epochs = [run.progress.epoch for run in active]
            for group in _grouped(active):
                self._step(group)
            steps += 1
            if steps % self.checkpoint_steps == 0 or epochs != [run.progress.epoch for run in active]:
                save_resume(self.resume, self.identity, self.runs)
        cached = [(len(held), held.spilled()) if held else (0, 0) for held in self.held]
        for cache in self._caches:
            cache.close()
        return [run.outcome(numbers) for run, numbers in zip(self.runs, cached, strict=True)]

    def _step(self, runs: Sequence[Run]) -> None:
        """One forward and backward pass for a batch of each run, then each run's own optimizer step."""
        tables: list[PromptTable] = [run.encoder() for run in runs]
        batches = [run.batch() for run in runs]
        rows = [run.rendered.train[i] for run, batch in zip(runs, batches, strict=True) for i in batch]
        losses = row_losses(
            self.lm,
            [table for table, batch in zip(tables, batches, strict=True) for _ in batch],
            rows,
            self._held_rows(runs, batches),
            heads=[head for head, batch in zip([run.head() for run in runs], batches, strict=True) for _ in batch],
        )
        means = [part.mean() for part in torch.split(losses, [len(batch) for batch in batches])]
        torch.stack(means).sum().backward()
        for run, mean in zip(runs, means, strict=True):
            loss = float(mean.detach())
            if self.lenient and not math.isfinite(loss):
                run.fail(loss)
            else:
                run.learn(loss)

    def _held_rows(self, runs: Sequence[Run], batches: Sequence[list[int]]) -> list[Tensor] | None:
        if not self._caches:
            return None
        held = [self.held[self.runs.index(run)] for run in runs]
        return [part[i] for part, batch in zip(held, batches, strict=True) if part for i in batch]

    def _hold(
        self, lm: LanguageModel, plans: Sequence[Plan], rendered: Sequence[Rendered], listener: Listener
    ) -> tuple[list[Held | None], list[Held | None]]:
        """Compute constant beginnings: of training rows in the training dtype, of dev rows in float32."""
        self._caches: list[PrefixCache] = []
        nothing: list[Held | None] = [None] * len(plans)
        if not worth_caching([row.ids[: row.constant] for rows in rendered for row in rows.all]):
            return nothing, nothing
        parts = {
            "train": (self.lm, [rows.train for rows in rendered]),
            "dev": (lm, [rows.dev for rows in rendered]),
        }
        distinct = {
            name: {row.ids[: row.constant] for rows in part for row in rows} for name, (_, part) in parts.items()
        }
        total, done = sum(map(len, distinct.values())), 0
        held: list[list[Held | None]] = []
        for name, (model, part) in parts.items():
            base = done
            cache = PrefixCache(
                model,
                [row.ids[: row.constant] for rows in part for row in rows],
                budget=max(plan.config.cache_bytes for plan in plans) // 2,
                spill=self.folder / f"{name}-prefix",
                on_rows=lambda n, base=base: listener.on_prefix(base + n, total),  # type: ignore[misc]
            )
            self._caches.append(cache)
            held.append(list(cache.parts([len(rows) for rows in part])))
            done += len(distinct[name])
        return held[0], held[1]


def _grouped(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Put runs together while their batches fit one pass and are of like length: all are padded to the longest."""
    group: list[Run] = []
    rows, shortest = 0, 0
    for width, run in sorted(((run.width(), run) for run in runs), key=lambda pair: pair[0]):
        if group and (rows + len(run.batch()) > SHARED_ROWS or width > PADDING * shortest):
            yield group
            group, rows = [], 0
        shortest = shortest if group else width
        group.append(run)
        rows += len(run.batch())
    yield group
