"""How large a model is, and how it is trained: two flat, frozen dataclasses."""

import math
from dataclasses import dataclass, fields

from promptbank.errors import TrainingError
from promptbank.training.schedule import Schedule, schedule_name

__all__ = ["MarianSizes", "TrainSettings"]


@dataclass(frozen=True)
class MarianSizes:
    """The shape of a Marian; the default has 6.6 million parameters (its fixed sinusoidal positions not counted).

    Attributes:
        vocabulary: discrete tokens of the joint SentencePiece, the padding token not counted.
        width: hidden size H.
        heads: of attention; divides the width.
        feed_forward: width of the inner layer.
        encoder_layers: the encoder is deep, the decoder shallow: only the decoder runs once a token (Kasai et al.,
            ICLR 2021, "Deep Encoder, Shallow Decoder").
        decoder_layers: of the decoder.
        positions: longest text, in discrete tokens.
    """

    vocabulary: int = 8192
    width: int = 256
    heads: int = 8
    feed_forward: int = 1024
    encoder_layers: int = 3
    decoder_layers: int = 2
    positions: int = 512

    def __post_init__(self) -> None:
        faults = [
            f"{field.name} {getattr(self, field.name)} must be at least 1"
            for field in fields(self)
            if getattr(self, field.name) < 1
        ]
        if not faults and (self.width % self.heads or self.width % 2):
            faults = [f"width {self.width} must be even and a multiple of the {self.heads} heads"]
        if faults:
            raise TrainingError("the sizes of the model are faulty: " + "; ".join(faults))


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        steps: of the whole training; the schedule ends there.
        batch_tokens: padded discrete tokens of a batch, of its longer side.
        lr: peak learning rate.
        warmup: steps of linear warm-up.
        schedule: of the rate, see `promptbank.training.schedule`; the newest of its name if there is no version.
        label_smoothing: share of the target's probability that is spread over the vocabulary.
        dropout: of all layers.
        weight_decay: of AdamW.
        clip: largest gradient norm.
        longest: pairs with more discrete tokens on a side are left out, and counted.
        seed: of weights, batches and dropout.
        log_every: steps between lines of the curve.
        check_every: steps between dev losses and checkpoints.
        autocast: bfloat16 products, for a GPU; on a CPU only float32 is bit-exact against itself across machines.
    """

    steps: int = 20_000
    batch_tokens: int = 3_000
    lr: float = 1e-3
    warmup: int = 1_000
    schedule: str = "inverse-sqrt.v1"
    label_smoothing: float = 0.1
    dropout: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    longest: int = 128
    seed: int = 0
    log_every: int = 50
    check_every: int = 500
    autocast: bool = False

    def __post_init__(self) -> None:
        faults = [
            f"{name} {getattr(self, name)} must be at least 1"
            for name in ("steps", "batch_tokens", "warmup", "longest", "log_every", "check_every")
            if getattr(self, name) < 1
        ]
        faults += [
            f"{name} {getattr(self, name)} must be in [0, 1)"
            for name in ("label_smoothing", "dropout")
            if not 0 <= getattr(self, name) < 1
        ]
        faults += [
            f"{name} {getattr(self, name)} must be above 0"
            for name in ("lr", "clip")
            if not 0 < getattr(self, name) < math.inf
        ]
        try:
            schedule_name(self.schedule)
        except TrainingError as exc:
            faults.append(str(exc))
        if self.batch_tokens < self.longest:
            faults.append(f"batch_tokens {self.batch_tokens} must hold a text of {self.longest} tokens (longest)")
        if faults:
            raise TrainingError("the training settings are faulty: " + "; ".join(faults))

    def rates(self) -> Schedule:
        """Return the learning rates."""
        return Schedule(schedule_name(self.schedule), self.lr, self.warmup, self.steps)
