"""P-tuning: encoders learn, the backbone stays, the best epoch's rows are what is left of each run.

Speed comes from doing less: an encoder runs once a step, the head at answer positions only, and everything before the
first virtual token once in all (see `promptbank.training.kv_cache`). Examples are independent under a frozen backbone,
so several runs (folds, seeds, tasks, settings) share their forward and backward passes: their prompts stand below each
other in one table, each run has its own encoder, optimizer and clipping, and its gradients are those it has alone.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.model.head import FrozenHead
from promptbank.training.checkpoint import Checkpoint, Checkpoints, below, refuse_former
from promptbank.training.dev import DevSet
from promptbank.training.examples import example_losses
from promptbank.training.kv_cache import PrefixCache, worth_caching
from promptbank.training.loop import Training, run_training
from promptbank.training.precision import training_copy
from promptbank.training.progress import NoProgress, Progress
from promptbank.training.prompt_run import FailedRun, Plan, PromptRun, RenderedExamples, TrainedPrompt
from promptbank.training.start import embedding_scale

__all__ = ["train_each", "train_prompts"]

SHARED_EXAMPLES = 256
"""Most examples of one forward and backward pass; a run with more has a pass of its own. The float32 logits of 256
with two answer tokens take 0.5 GB at a vocabulary of 262,144, and as much again for their gradient."""
PADDING = 1.5
"""Most that the longest batch of a pass may exceed the shortest one's width."""


def train_prompts(
    lm: LanguageModel,
    plans: Sequence[Plan],
    *,
    folder: Path,
    identity: str,
    progress: Progress | None = None,
) -> list[TrainedPrompt]:
    """Learn one task or several, in shared batches.

    Args:
        lm: the float32 backbone; dev scores come from it.
        plans: what each run learns; all of one dtype.
        folder: for checkpoints and spilled keys and values.
        identity: names these very runs; a checkpoint of others is refused.
        progress: receives reports.

    Returns:
        What each run leaves, in the order of ``plans``.

    Raises:
        TrainingError: no examples, a loss that is not finite, or a checkpoint that does not fit.
    """
    outcomes = _train(lm, plans, folder, identity, progress, may_fail=False)
    failed = [outcome for outcome in outcomes if isinstance(outcome, FailedRun)]
    if failed:  # in an earlier call, which let the others go on
        raise TrainingError(failed[0].reason)
    return [outcome for outcome in outcomes if isinstance(outcome, TrainedPrompt)]


def train_each(
    lm: LanguageModel,
    plans: Sequence[Plan],
    *,
    folder: Path,
    identity: str,
    progress: Progress | None = None,
) -> list[TrainedPrompt | FailedRun]:
    """Learn as `train_prompts` does, but a run of which the loss is not finite ends alone and the others go on.

    Raises:
        TrainingError: no examples, or a checkpoint that does not fit.
    """
    return _train(lm, plans, folder, identity, progress, may_fail=True)


def _train(
    lm: LanguageModel,
    plans: Sequence[Plan],
    folder: Path,
    identity: str,
    progress: Progress | None,
    *,
    may_fail: bool,
) -> list[TrainedPrompt | FailedRun]:
    refuse_former(folder / "resume.safetensors")
    own = hashlib.sha256(f"{identity}\0{len(plans)}".encode()).hexdigest()
    population = _Population(lm, plans, folder, progress or NoProgress(), may_fail=may_fail)
    # runs that train together are saved together, at one step, since a shared batch decides the last bits of each
    run_training(population, Checkpoints(folder / "checkpoints", own, keep=1))
    return population.outcomes()


class _Population(Training[PromptRun]):
    """Runs that share their passes; see `train_prompts` for the arguments."""

    def __init__(
        self, lm: LanguageModel, plans: Sequence[Plan], folder: Path, progress: Progress, *, may_fail: bool
    ) -> None:
        dtypes = {plan.config.dtype for plan in plans}
        if len(dtypes) != 1:
            raise ValueError(f"runs that train together have one dtype, not {sorted(dtypes)}")
        self._lm = training_copy(lm, plans[0].config.dtype)
        rendered = [RenderedExamples(plan) for plan in plans]
        self._held, dev_held = self._hold(lm, plans, rendered, folder, progress)
        scale, head = embedding_scale(lm), FrozenHead.of(self._lm.head, self._lm.dtype)
        self.runs = []
        for plan, examples in zip(plans, rendered, strict=True):
            dev = DevSet(lm, plan.renderer, plan.dev, examples.dev, dev_held)
            self.runs.append(PromptRun(plan, examples, dev, head, scale, progress, may_fail=may_fail))
        self._checkpoint_steps = min(plan.config.checkpoint_steps for plan in plans)
        self._steps = 0
        self._saved = (0, self._epochs())

    def outcomes(self) -> list[TrainedPrompt | FailedRun]:
        """Return what each run leaves, and drop what was held."""
        outcomes = [run.outcome(self._cached(run.rendered)) for run in self.runs]
        for cache in self._caches:
            cache.close()
        return outcomes

    def _cached(self, rendered: RenderedExamples) -> tuple[int, int]:
        held = self._held
        return (0, 0) if held is None else (len(rendered.train), sum(held.spilled(e.beginning) for e in rendered.train))

    @property
    def save_is_due(self) -> bool:
        """Whether enough steps were made since the last checkpoint, or an epoch has ended."""
        steps, epochs = self._saved
        return self._steps - steps >= self._checkpoint_steps or epochs != self._epochs()

    def _epochs(self) -> int:
        return sum(len(run.position.epochs) for run in self.runs)

    def state(self) -> Checkpoint:
        """Return the state of all runs."""
        self._saved = (self._steps, self._epochs())
        tensors = {f"{n}.{name}": tensor for n, run in enumerate(self.runs) for name, tensor in run.tensors().items()}
        return Checkpoint(self._steps, tensors, [asdict(run.position) for run in self.runs])

    def restore(self, state: Checkpoint | None) -> None:
        """Go on from a state of the same runs."""
        if state is None:
            return
        for n, (run, position) in enumerate(zip(self.runs, state.position, strict=True)):
            run.restore(below(state.tensors, f"{n}."), position)
        self._steps, self._saved = state.step, (state.step, self._epochs())

    def backward(self, runs: Sequence[PromptRun]) -> Iterator[tuple[PromptRun, float]]:
        """Add the gradients of the next batch of each run; runs with batches of like length share a pass."""
        self._steps += 1
        for group in _grouped(runs):
            yield from self._pass(group)

    def _pass(self, runs: Sequence[PromptRun]) -> Iterator[tuple[PromptRun, float]]:
        """One forward and backward pass for a batch of each run."""
        tables = [run.encoder() for run in runs]
        batches = [run.batch() for run in runs]
        examples = [example for batch in batches for example in batch]
        losses = example_losses(
            self._lm,
            [table for table, batch in zip(tables, batches, strict=True) for _ in batch],
            examples,
            None if self._held is None else [self._held[example.beginning] for example in examples],
            heads=[head for head, batch in zip([run.head() for run in runs], batches, strict=True) for _ in batch],
        )
        means = [part.mean() for part in torch.split(losses, [len(batch) for batch in batches])]
        torch.stack(means).sum().backward()
        yield from ((run, float(mean.detach())) for run, mean in zip(runs, means, strict=True))

    def _hold(
        self,
        lm: LanguageModel,
        plans: Sequence[Plan],
        rendered: Sequence[RenderedExamples],
        folder: Path,
        progress: Progress,
    ) -> tuple[PrefixCache | None, PrefixCache | None]:
        """Compute constant beginnings: of training examples in the training dtype, of dev examples in float32."""
        self._caches: list[PrefixCache] = []
        train = [example.beginning for examples in rendered for example in examples.train]
        dev = [example.beginning for examples in rendered for example in examples.dev]
        if not worth_caching([*train, *dev]):
            return None, None
        total = len(set(train)) + len(set(dev))
        budget = max(plan.config.cache_bytes for plan in plans) // 2

        def tell(done: int) -> None:
            progress.on_prefix(sum(map(len, self._caches)) + done, total)

        for name, model, beginnings in (("train", self._lm, train), ("dev", lm, dev)):
            spill = folder / f"{name}-prefix"
            self._caches.append(PrefixCache(model, beginnings, budget=budget, spill=spill, on_progress=tell))
        return self._caches[0], self._caches[1]


def _grouped(runs: Sequence[PromptRun]) -> Iterator[list[PromptRun]]:
    """Put runs together while their batches fit one pass and are of like length: all are padded to the longest."""
    group: list[PromptRun] = []
    size, shortest = 0, 0
    for width, run in sorted(((run.width(), run) for run in runs), key=lambda pair: pair[0]):
        if group and (size + len(run.batch()) > SHARED_EXAMPLES or width > PADDING * shortest):
            yield group
            group, size = [], 0
        shortest = shortest if group else width
        group.append(run)
        size += len(run.batch())
    yield group
