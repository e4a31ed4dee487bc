"""The interface of a method: learn tasks one after the other, and answer them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from promptbank.engine.evaluate import TaskScores
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.progress import EpochReport, Progress
from tasks import Example, Split, TaskCard

__all__ = ["FLOAT32_BYTES", "Learner", "LearningResult", "Method", "Size", "score_of"]

FLOAT32_BYTES = 4


@dataclass(frozen=True)
class LearningResult:
    """How learning a task went.

    Attributes:
        best_epoch: from 1; None for methods without epochs.
        epochs: every epoch's report.
        rows: that were learnt from, or shown, where these are not the training rows alone.
        warnings: what a person should know before trusting what was learnt.
    """

    best_epoch: int | None = None
    epochs: tuple[EpochReport, ...] = ()
    rows: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided on the way: attempts begun again."""
        return tuple(epoch.restart for epoch in self.epochs if epoch.restart)


@dataclass(frozen=True)
class Size:
    """What a task costs.

    Attributes:
        trainable: parameters that were learnt; a tied one counts once.
        stored_bytes: what must be kept to answer the task beside the frozen backbone; parameters as float32.
    """

    trainable: int
    stored_bytes: int


class Learner(ABC):
    """A method at work: what it has learnt so far. The shared backbone stays as it is, to the bit."""

    def check(self, card: TaskCard, examples: Sequence[Example]) -> None:  # noqa: B027 - some take a text of any length
        """Refuse examples that could not be answered, before anything is learnt.

        Raises:
            InputError: of all of them at once.
        """

    @abstractmethod
    def learn(self, card: TaskCard, split: Split, progress: Progress | None = None) -> LearningResult:
        """Learn a task, on top of what was learnt before.

        Args:
            card: as it is in the bank, with virtual tokens; methods without them render the same text.
            split: train to learn from, dev to choose the epoch; test is not looked at.
            progress: receives reports.

        Raises:
            InputError: the card or a row cannot be used by this method.
            TrainingError: no rows, or a loss that is not finite.
        """

    @abstractmethod
    def evaluate(self, card: TaskCard, examples: Sequence[Example]) -> TaskScores:
        """Answer examples of a task in the present state, in float32, and score the answers."""

    @abstractmethod
    def size(self, card: TaskCard) -> Size:
        """Return what a learnt task costs."""


@dataclass(frozen=True)
class Method(ABC):
    """A way to teach a backbone a task; subclasses are frozen dataclasses of what sets them apart.

    Attributes:
        training: settings of `TrainConfig` in which the method differs.
        trains: whether it takes steps of gradient descent, so has a learning rate.
    """

    training: ClassVar[Mapping[str, object]] = {}
    trains: ClassVar[bool] = True

    def ready(self) -> None:  # noqa: B027 - most methods need nothing that is not there
        """Load what the method needs of others, before its cost is measured.

        Raises:
            PromptBankError: it is not installed.
        """

    @abstractmethod
    def begin(self, backbone: Backbone, lm: LanguageModel, config: TrainConfig) -> Learner:
        """Return a learner that has learnt nothing yet.

        Args:
            backbone: tokenizer and window.
            lm: its forward passes, shared, never changed.
            config: settings; what a method has no use for is not looked at.

        Raises:
            TrainingError: the method does not fit this backbone.
        """

    def settings(self) -> dict[str, object]:
        """Return what sets the method apart, as plain JSON values."""
        return asdict(self)


def score_of(evaluated: TaskScores) -> float:
    """Return the one number that methods are compared by: accuracy, or exact match of open answers."""
    metrics = evaluated.metrics
    return float(metrics["accuracy"] if "accuracy" in metrics else metrics["exact_match"])
