"""One prompt that learns: its examples as tokens, its encoder, and what is left of it.

The forward and backward passes are done for several runs at once by `promptbank.training.prompts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.optim import AdamW

from promptbank.errors import TrainingError
from promptbank.model.encoder import PromptEncoder, build_encoder
from promptbank.model.head import FrozenHead, SampledHead
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer
from promptbank.training.checkpoint import below, optimizer_tensors, restore_optimizer
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevSet
from promptbank.training.epochs import EpochPosition, EpochRun
from promptbank.training.examples import TrainExample, render_examples
from promptbank.training.progress import DevScore, EpochReport, Progress
from tasks import Example

__all__ = ["FailedRun", "Plan", "PromptRun", "RenderedExamples", "TrainedPrompt"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What one run is to learn.

    Attributes:
        renderer: of the task.
        train: examples to learn from, with answers.
        dev: examples that choose the epoch, with answers; never learnt from.
        config: the settings.
        start: where the prompt starts; its kind is what is learnt.
        name: in reports; empty when there is only one run.
    """

    renderer: Renderer
    train: Sequence[Example]
    dev: Sequence[Example]
    config: TrainConfig
    start: PromptTable
    name: str = ""


@dataclass(frozen=True, eq=False)
class TrainedPrompt:
    """What a run leaves.

    Attributes:
        table: the best epoch's prompt, as the encoder freezes it.
        best_epoch: from 1.
        epochs: every epoch's report.
        truncated: training and dev examples whose text was cut.
        unwritable: training and dev examples with an answer that the card's format does not allow.
        longest_reach: most positions from a first virtual token to the end of its answer; over a sliding window,
            local layers no longer see the token.
        cached: examples whose constant beginning was held, and of these the ones that were spilled to disk.
    """

    table: PromptTable
    best_epoch: int
    epochs: tuple[EpochReport, ...]
    truncated: int
    unwritable: int
    longest_reach: int
    cached: tuple[int, int]


@dataclass(frozen=True)
class FailedRun:
    """A run that could not go on, and why; those it shared its passes with could."""

    reason: str


class RenderedExamples:
    """A plan's examples as tokens.

    Raises:
        TrainingError: no training or no dev examples.
    """

    def __init__(self, plan: Plan) -> None:
        if not plan.train or not plan.dev:
            raise TrainingError(f"{len(plan.train)} training and {len(plan.dev)} dev rows: both must have at least one")
        self.train = render_examples(plan.renderer, plan.train, plan.config.loss)
        self.dev = render_examples(plan.renderer, plan.dev, plan.config.loss)

    @property
    def all(self) -> list[TrainExample]:
        """Training and dev examples."""
        return [*self.train, *self.dev]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training example."""
        return [len(example.ids) for example in self.train]

    @property
    def truncated(self) -> int:
        """Examples whose text was cut."""
        return sum(example.truncated > 0 for example in self.all)

    @property
    def unwritable(self) -> int:
        """Examples with an answer that the card's format does not allow."""
        return sum(example.unwritable for example in self.all)


class PromptRun(EpochRun):
    """The prompt encoder of one task while it learns.

    Args:
        plan: what it learns.
        rendered: the plan's examples.
        dev: scores them.
        head: of the backbone that is trained against.
        scale: of the backbone's embeddings.
        progress: receives reports.
        may_fail: whether it ends alone when its loss is not finite.
    """

    encoder: PromptEncoder

    def __init__(
        self,
        plan: Plan,
        rendered: RenderedExamples,
        dev: DevSet,
        head: FrozenHead,
        scale: float,
        progress: Progress,
        *,
        may_fail: bool,
    ) -> None:
        self.plan, self.rendered = plan, rendered
        self.best: PromptTable | None = None
        self._dev, self._head, self._scale = dev, head, scale
        self._sampled: SampledHead | None = None
        over_vocabulary = any(example.choices is None for example in rendered.train)
        if over_vocabulary and plan.renderer.card.is_open and plan.config.sample:
            held = {token for example in rendered.train for token in example.ids if token >= 0}
            self._sampled = SampledHead(head, held, plan.config.sample)
        config = plan.config
        super().__init__(
            config, rendered.lengths, progress, name=plan.name, restarts=config.restarts, may_fail=may_fail
        )

    def begin(self) -> None:
        """Build encoder and optimizer."""
        start, scales = self.plan.start, self._dev.scales(self.plan.start)
        self.encoder = build_encoder(self.config.encoder, start, self._scale, seed=self.seed, scales=scales)
        self.parameters = list(self.encoder.parameters())
        self.optimizer = AdamW(self.parameters, lr=self.peak, weight_decay=self.config.weight_decay)

    def score(self) -> DevScore:
        """Score the prompt as it would be frozen."""
        self._table = self.encoder.frozen()
        return self._dev.score(self._table)

    def keep(self) -> None:
        """Keep the prompt that was scored."""
        self.best = self._table

    def batch(self) -> list[TrainExample]:
        """Return the examples of the next step."""
        return [self.rendered.train[i] for i in self.next_batch()]

    def width(self) -> int:
        """Return the longest example of the next batch, in positions that are computed in every step."""
        return max(len(example.ids) - example.constant for example in self.batch())

    def head(self) -> FrozenHead:
        """Return the head of the next step, drawn anew for open answers."""
        return self._sampled.draw(self.seed * 1_000_003 + self.steps_done) if self._sampled else self._head

    def tensors(self) -> dict[str, Tensor]:
        """Return all numbers that going on needs."""
        encoder = {f"encoder.{name}": tensor for name, tensor in self.encoder.state_dict().items()}
        best = {} if self.best is None else {f"best.{name}": t for name, t in self.best.tensors.items()}
        return encoder | optimizer_tensors(self.optimizer) | best

    def restore(self, tensors: Mapping[str, Tensor], position: Mapping[str, object]) -> None:
        """Undo `tensors` and the ``asdict`` of the position."""
        self.position = EpochPosition(**position)  # type: ignore[arg-type]  # it was one
        best = below(tensors, "best.")
        start = self.plan.start  # a safetensors file keeps no order
        self.best = PromptTable({name: best[name] for name in start.tensors}, start.kind) if best else None
        self.encoder.load_state_dict(below(tensors, "encoder."))
        restore_optimizer(self.optimizer, tensors)

    def outcome(self, cached: tuple[int, int]) -> TrainedPrompt | FailedRun:
        """Return what a finished run leaves."""
        if self.position.failed:
            return FailedRun(self.position.failed)
        assert self.best is not None  # noqa: S101 - epochs >= 1, and the first score that may be kept is the best so far
        assert self.position.best_epoch is not None  # noqa: S101
        return TrainedPrompt(
            self.best,
            self.position.best_epoch + 1,
            tuple(self.reports),
            self.rendered.truncated,
            self.rendered.unwritable,
            max(len(example.ids) - example.constant for example in self.rendered.all),
            cached,
        )
