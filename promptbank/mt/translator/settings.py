"""How a translator is trained."""

import math
from dataclasses import dataclass, fields
from typing import Any

from promptbank.errors import TrainingError
from promptbank.training.schedule import Schedule, schedule_name

__all__ = ["MtSettings"]


UNVERSIONED = {"linear.v1": "linear", "cosine.v2": "cosine", "constant.v1": "constant"}
"""What release 0.1.0 called its schedules; the identities of trainings hold these names."""


@dataclass(frozen=True)
class MtSettings:
    """Settings of one training; all but the last group decide the result.

    Attributes:
        steps: optimizer steps; the decay ends with them.
        tokens: padded tokens of a batch.
        accumulate: batches of a step.
        lr: peak learning rate.
        warmup: steps of linear warm-up.
        schedule: of the rate, see `promptbank.training.schedule`; the newest of its name if there is no version.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        seed: of the order of pairs.
        sample: tokens drawn for each batch beside those of the corpus; 0 computes the loss over all
            tokens, as dev losses always are.
        dtype: "auto", "bfloat16" or "float32": of forward passes; master weights are float32.
        average: last evaluations of which the weights are averaged at the end; 1 keeps the last alone.
        every: steps between evaluations, which are also where weights are kept to be averaged.
        checkpoint_seconds: between checkpoints.
        eval_rows: sentences of each evaluation set that are translated.
        device: "cpu" or "cuda".
    """

    steps: int = 4000
    tokens: int = 1500
    accumulate: int = 1
    lr: float = 2e-4
    warmup: int = 100
    schedule: str = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    sample: int = 8192
    dtype: str = "auto"
    average: int = 1
    every: int = 250
    checkpoint_seconds: float = 900.0
    eval_rows: int = 100
    device: str = "cpu"

    def __post_init__(self) -> None:
        least = {
            "steps": 1,
            "tokens": 16,
            "accumulate": 1,
            "average": 1,
            "every": 1,
            "eval_rows": 0,
            "sample": 0,
            "warmup": 0,
        }
        faults = [
            f"{name} is {getattr(self, name)}, at least {n}" for name, n in least.items() if getattr(self, name) < n
        ]
        faults += [
            f"{name} is {number}, a number above 0"
            for name, number in (("lr", self.lr), ("clip", self.clip))
            if not 0 < number < math.inf
        ]
        try:
            schedule_name(self.schedule)
        except TrainingError as exc:
            faults.append(str(exc))
        if self.dtype not in ("auto", "bfloat16", "float32"):
            faults.append(f"dtype is {self.dtype!r}, one of auto, bfloat16, float32")
        if faults:
            raise TrainingError("settings of the translator: " + "; ".join(faults))

    def rates(self) -> Schedule:
        """Return the learning rates."""
        return Schedule(schedule_name(self.schedule), self.lr, self.warmup, self.steps)

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide the result."""
        free = {"checkpoint_seconds", "eval_rows", "device"}
        decisive = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in free}
        name = schedule_name(self.schedule)
        return decisive | {"schedule": UNVERSIONED.get(name, name)}
