"""The resume file: all that a killed run needs to end with the very same bits.

safetensors, never pickle; written to a temporary name, flushed, renamed. It belongs to one run (its identity is inside
and checked) and is removed when the row is frozen, so no encoder weight stays on disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from promptbank.errors import TrainingError

__all__ = ["Progress", "load_resume", "save_resume"]


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        epoch: epoch under way, from 0.
        step: batches of it that are done.
        loss_sum: sum of their losses.
        best_epoch: epoch of the best dev score so far, or None.
        epochs: finished epochs' reports as plain mappings.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)


def save_resume(
    path: Path, identity: str, progress: Progress, encoder: nn.Module, optimizer: Optimizer, best: Tensor | None
) -> None:
    """Write the state atomically."""
    tensors = {f"encoder.{name}": t.contiguous() for name, t in encoder.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    if best is not None:
        tensors["best"] = best
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"identity": identity, "progress": json.dumps(vars(progress))})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load_resume(
    path: Path, identity: str, encoder: nn.Module, optimizer: Optimizer
) -> tuple[Progress, Tensor | None] | None:
    """Restore encoder and optimizer in place, if there is a file.

    Returns:
        Progress and the best table so far; None when there is nothing to resume.

    Raises:
        TrainingError: the file is damaged or belongs to another run.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as exc:
        raise TrainingError(f"the resume file {path} is damaged ({exc}); delete it to start the run again") from exc
    if metadata.get("identity") != identity:
        raise TrainingError(f"the resume file {path} belongs to another run; delete it to start this one anew")
    encoder.load_state_dict({n.removeprefix("encoder."): t for n, t in tensors.items() if n.startswith("encoder.")})
    _restore_optimizer(optimizer, tensors)
    return Progress(**json.loads(metadata["progress"])), tensors.get("best")


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
