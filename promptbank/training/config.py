"""What a training run is: everything that decides its result, stored with the row it makes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from promptbank.errors import ConfigError
from promptbank.model.encoder import ENCODERS
from promptbank.model.render import MAX_OPEN_ANSWER_TOKENS
from tasks import BY_HASH, SplitRules, TaskCard, label_of

__all__ = ["FROM", "GIVEN_DEV", "NEAREST", "TrainConfig", "TrainingLength", "checked_config"]

INITS = ("text", "labels", "vocabulary")
NEAREST = "nearest"
FROM = "from:"
GIVEN_DEV = "given.v1"
AUTO_EPOCHS, AUTO_STEPS = 10, 100
"""Nine examples are one step an epoch, and ten steps teach nothing; see ``docs/lab-log.md``."""
MOST_EPOCHS, MOST_EXAMPLES = 1000, 1024
LEAST_PATIENCE, AUTO_PATIENCE = 4, 0.4
AUTO_KEEP_FROM = 0.25
CLOSED_LOSS = "vocabulary.v1"
"""What loss "auto" means for cards with labels; another one decides the identity of their runs."""
AUTO_RULE = "auto.v2"
"""What "auto" means for epochs, patience and keep_from: the constants above, and that a start from a stored row has no
epochs that are too early. Changes with them, so that no older run goes on."""

DEEP_LABELS, DEEP_EXAMPLES = 20, 1500
"""From how many labels and how many examples to learn from on auto is deep. 1,746 are shown to be enough; see
``docs/results/assistant/README.md``."""
BATCHES = {"rows": 16, "deep": 8}
"""Examples a step by kind, where nothing is asked for. Deep prompts took as long for an epoch with either number, and
had lower dev losses with 8; see ``docs/lab-log.md``."""


@dataclass(frozen=True)
class TrainingLength:
    """How long a training may be, in epochs.

    Attributes:
        epochs: most of them.
        first: the first that may be kept, from 0. Before it a good score on few dev examples is luck.
        patience: epochs without a better dev score that end it, counted from ``first`` at the earliest.
    """

    epochs: int
    first: int
    patience: int

    def is_over(self, done: int, best: int | None) -> bool:
        """Whether a training ends after so many epochs, the best of which has this place from 0."""
        since = self.first if best is None else max(best, self.first)
        return done >= self.epochs or done - 1 - since >= self.patience


class TrainConfig(BaseModel):
    """The settings of one p-tuning run. The defaults are measured; see ``docs/lab-log.md``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["auto", "rows", "deep"] = Field(
        "auto",
        description="what is learnt: rows (embeddings at the virtual tokens), deep (also vectors that are added there "
        "in every layer), or auto (by the answers and the number of examples)",
    )
    encoder: str = Field("lstm.v1", description="prompt encoder: lstm.v1, mlp.v1 or embedding.v1")
    init: str = Field(
        "text",
        description="start of the prompt: text (the card's description), labels (label words), vocabulary (sampled "
        "embeddings), from:taskname[:lang][@version], or nearest (the row of the bank that does best on dev rows)",
    )
    epochs: int | Literal["auto"] = Field(
        "auto",
        description="most passes over the training examples; auto: 10, and with few examples as many as 100 steps take",
    )
    batch_size: int | Literal["auto"] = Field("auto", description="examples a step; auto: 16, and 8 for deep prompts")
    lr: float = Field(5e-3, gt=0, lt=1, description="peak learning rate of AdamW, after warm-up, falling as a cosine")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(0.0, ge=0, le=1, description="AdamW's decoupled weight decay")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    patience: int | Literal["auto"] = Field(
        "auto",
        description="epochs without a better dev score before stopping; auto: four tenths of the epochs, at least 4",
    )
    keep_from: float | Literal["auto"] = Field(
        "auto",
        description="share of the epochs before the first one that may be kept as the best on dev; auto: 0.25, and 0 "
        "for a start from a row, which has learnt already",
    )
    dev_fraction: float = Field(0.1, gt=0, lt=1, description="share of the groups kept for dev")
    dev_rule: Literal["stratified.v1", "hash.v1", "given.v1"] = Field(
        "stratified.v1",
        description="which groups are kept for dev: stratified.v1 (dev examples of each label, at least 4 where there "
        "are 12), hash.v1 (by the hash of the group alone); given.v1 is what a training with dev data records",
    )
    seed: int = Field(0, ge=0, description="seed of the encoder, the order of examples and sampled vocabulary")
    calibrate: bool = Field(
        False, description="store log p of each label when nothing is asked, and take it off at inference"
    )
    restarts: int = Field(
        1,
        ge=0,
        le=9,
        description="times a run begins again, with the next seed and half the rate, when it answers nearly always the "
        "same on dev",
    )
    loss: Literal["auto", "vocabulary.v1", "grammar.v1", "tree.v1"] = Field(
        "auto",
        description="which tokens the answer loss is normalised over: vocabulary.v1 (all), grammar.v1 (those that the "
        "card's answer_format allows), tree.v1 (those that the labels or the answer_format allow, of the answer as a "
        "whole; answers are scored alike); auto is grammar.v1 for cards with a format",
    )
    sample: int = Field(
        8192,
        ge=0,
        description="tokens drawn at each step, beside those of the examples, for a loss over the vocabulary on an "
        "open answer; 0: all of them. Dev losses draw none",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the frozen copy trained against: auto is bfloat16 where the CPU has it"
    )
    cache_bytes: int = Field(
        2 * 2**30, ge=0, description="memory for keys and values of constant prompt beginnings; the rest spills to disk"
    )
    answer_tokens: int = Field(
        MAX_OPEN_ANSWER_TOKENS, ge=2, description="tokens kept free for an open answer, its end token included"
    )
    checkpoint_steps: int = Field(50, ge=1, description="steps between two checkpoints")

    def of_task(self, card: TaskCard, examples: int) -> Self:
        """Return the settings for a task, with what auto means for its kind of prompt.

        A task is hard to hold in input rows when its answers have a format or many labels; vectors in every layer
        then pay if there are enough examples to learn them from.

        Args:
            card: of the task.
            examples: to learn from.
        """
        if self.kind != "auto":
            return self
        is_hard = card.answer_format is not None or len(card.label_space or ()) >= DEEP_LABELS
        return self.model_copy(update={"kind": "deep" if is_hard and examples >= DEEP_EXAMPLES else "rows"})

    @property
    def prompt_kind(self) -> str:
        """The versioned name of the kind of prompt; rows while it is auto."""
        return "deep.v1" if self.kind == "deep" else "rows.v1"

    @property
    def step_examples(self) -> int:
        """Examples a step."""
        return BATCHES["deep" if self.kind == "deep" else "rows"] if self.batch_size == "auto" else self.batch_size

    @property
    def starts_from_row(self) -> bool:
        """Whether the start is looked up among stored rows."""
        return self.init == NEAREST or self.init.startswith(FROM)

    def extent(self, examples: int) -> TrainingLength:
        """Return how long a training on so many examples may be."""
        enough = math.ceil(AUTO_STEPS / math.ceil(examples / self.step_examples))
        epochs = max(AUTO_EPOCHS, enough) if self.epochs == "auto" else self.epochs
        patience = max(LEAST_PATIENCE, math.ceil(AUTO_PATIENCE * epochs)) if self.patience == "auto" else self.patience
        auto = 0.0 if self.starts_from_row else AUTO_KEEP_FROM
        return TrainingLength(epochs, int((auto if self.keep_from == "auto" else self.keep_from) * epochs), patience)

    def decisive(self) -> dict[str, object]:
        """Return the settings that decide the result: not how often it is saved or how much memory it may take."""
        unnamed = set() if self.kind == "deep" else {"kind"}  # as before there were kinds
        unnamed |= {"dev_rule"} if self.dev_rule == BY_HASH.dev else set()  # and other rules
        settings = self.model_dump(mode="json", exclude={"checkpoint_steps", "cache_bytes", *unnamed})
        settings["batch_size"] = self.step_examples
        if self.loss == "auto" and CLOSED_LOSS != "vocabulary.v1":  # what it meant at first
            settings["loss"] = f"auto: {CLOSED_LOSS}"
        return settings | ({"auto": AUTO_RULE} if "auto" in (self.epochs, self.patience, self.keep_from) else {})

    def split_rules(self, card: TaskCard, *, folds: str = BY_HASH.folds) -> SplitRules:
        """Return how the examples of a card are divided; ``folds`` is a key of `tasks.splits.FOLD_RULES`."""
        return SplitRules(folds, self.dev_rule, label_of(card))

    @field_validator("batch_size", mode="before")
    @classmethod
    def _examples_or_auto(cls, value: object) -> object:
        if value == "auto" or (isinstance(value, int) and 1 <= value <= MOST_EXAMPLES):
            return value
        raise ValueError(f"give auto, or 1 to {MOST_EXAMPLES} examples")

    @field_validator("epochs", "patience", mode="before")
    @classmethod
    def _epochs_or_auto(cls, value: object) -> object:
        if value == "auto" or (isinstance(value, int) and 1 <= value <= MOST_EPOCHS):
            return value
        raise ValueError(f"give auto, or 1 to {MOST_EPOCHS} epochs")

    @field_validator("keep_from", mode="before")
    @classmethod
    def _share_or_auto(cls, value: object) -> object:
        if value == "auto" or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1):
            return value
        raise ValueError("give auto, or a share of at least 0 and below 1")

    @field_validator("encoder")
    @classmethod
    def _known_encoder(cls, value: str) -> str:
        if value not in ENCODERS:
            raise ValueError(f"unknown encoder {value!r}; known: {', '.join(ENCODERS)}")
        return value

    @field_validator("init")
    @classmethod
    def _known_init(cls, value: str) -> str:
        if value not in (*INITS, NEAREST) and not (value.startswith(FROM) and len(value) > len(FROM)):
            known = ", ".join((*INITS, NEAREST, "from:taskname[:lang][@version]"))
            raise ValueError(f"unknown init {value!r}; known: {known}")
        return value


def checked_config(values: Mapping[str, object], *, of: str = "") -> TrainConfig:
    """Check settings that a person gave.

    Args:
        values: by name; the defaults stand for the others.
        of: what they are settings of, for the message.

    Raises:
        ConfigError: all faults at once.
    """
    try:
        return TrainConfig.model_validate(dict(values))
    except ValidationError as exc:
        faults = [
            f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg'].removeprefix('Value error, ')}"
            for e in exc.errors()
        ]
        raise ConfigError((f"settings of {of}: " if of else "") + "; ".join(faults)) from exc
