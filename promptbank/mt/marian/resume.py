"""Checkpoints: all that a killed training needs to end with the very same bits.

safetensors, never pickle; written to a temporary name, flushed, renamed. Nothing random is kept: batches and dropout
are functions of the seed and the step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from promptbank.files import write_atomically
from promptbank.mt.marian.errors import NmtError

__all__ = ["Progress", "load_checkpoint", "save_checkpoint"]


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    Attributes:
        step: steps that are done, of all epochs.
        epoch: epoch under way, from 0.
        batch: batches of it that are done.
        tokens: target tokens learnt from so far.
        losses: of the steps since the last point of the curve.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    losses: tuple[float, ...] = ()


def save_checkpoint(path: Path, identity: str, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Write the state of a training atomically.

    Args:
        path: of the file.
        identity: hash of all that decides the training; a checkpoint of another is refused.
        model: its parameters are kept, tied ones once.
        optimizer: its state is kept.
        progress: where the training stands.
    """
    tensors = {f"model.{name}": parameter.detach().contiguous() for name, parameter in model.named_parameters()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={"identity": identity, "progress": json.dumps(asdict(progress))})


def load_checkpoint(path: Path, identity: str, model: nn.Module, optimizer: Optimizer) -> Progress:
    """Restore model and optimizer in place and return where the training stands; at the start if there is no file.

    Raises:
        NmtError: the file is damaged or belongs to another training.
    """
    if not path.exists():
        return Progress()
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as exc:
        raise NmtError(f"the checkpoint {path} is damaged ({exc}); delete it to start the training again") from exc
    if metadata.get("identity") != identity:
        raise NmtError(f"the checkpoint {path} is of other pairs, sizes or settings; delete it to start this training")
    own = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    model.load_state_dict({**model.state_dict(), **own, **_tied(model, own)})
    _restore(optimizer, tensors)
    said = json.loads(metadata["progress"])
    return Progress(**{**said, "losses": tuple(said.get("losses", ()))})


def _tied(model: nn.Module, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the restored value of every other name of a tied parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    everyone = model.named_parameters(remove_duplicate=False)
    return {other: own[names[id(parameter)]] for other, parameter in everyone}


def _restore(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
