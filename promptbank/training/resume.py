"""The resume file: all that killed runs need to end with the very same bits.

safetensors, never pickle; written to a temporary name, flushed, renamed. Runs that train together are saved together,
at one step, since a shared batch decides the last bits of each. The file belongs to these runs (their identity is
inside and checked) and is removed when the rows are frozen, so no encoder weight stays on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import AdamW, Optimizer

from promptbank.errors import TrainingError
from promptbank.files import write_atomically
from promptbank.model.encoder import PromptEncoder
from promptbank.model.prompt_table import PromptTable

__all__ = ["Progress", "load_resume", "optimizer_tensors", "restore_optimizer", "save_resume", "write_tensors"]


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        attempt: how often the run has begun again.
        epoch: epoch of the attempt under way, from 0.
        step: batches of it that are done.
        loss_sum: sum of their losses.
        best_epoch: place of the best dev score so far in ``epochs``, or None.
        epochs: finished epochs' reports of all attempts, as plain mappings.
        failed: why the run cannot go on; empty while it can.
    """

    attempt: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best_epoch: int | None = None
    epochs: list[dict[str, object]] = field(default_factory=list)
    failed: str = ""


class Resumable(Protocol):
    """What is saved of a run."""

    encoder: PromptEncoder
    optimizer: AdamW
    progress: Progress
    best: PromptTable | None


def save_resume(path: Path, identity: str, runs: Sequence[Resumable]) -> None:
    """Write the state of all runs atomically."""
    tensors = {f"{n}.{name}": tensor for n, run in enumerate(runs) for name, tensor in _tensors(run).items()}
    progress = json.dumps([vars(run.progress) for run in runs])
    write_tensors(path, tensors, {"identity": identity, "progress": progress})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a whole safetensors file, flushed to the disk, or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        save_file(dict(tensors), temporary, metadata=metadata)


def _tensors(run: Resumable) -> dict[str, Tensor]:
    tensors = {f"encoder.{name}": t.contiguous() for name, t in run.encoder.state_dict().items()}
    tensors |= optimizer_tensors(run.optimizer)
    return tensors if run.best is None else tensors | {f"best.{name}": t for name, t in run.best.tensors.items()}


def load_resume(path: Path, identity: str, runs: Sequence[Resumable]) -> None:
    """Restore runs in place, if there is a file.

    Raises:
        TrainingError: the file is damaged or belongs to other runs.
    """
    if not path.exists():
        return
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as exc:
        raise TrainingError(f"the resume file {path} is damaged ({exc}); delete it to start the run again") from exc
    if metadata.get("identity") != identity:
        raise TrainingError(f"the resume file {path} belongs to another run; delete it to start this one anew")
    for n, (run, progress) in enumerate(zip(runs, json.loads(metadata["progress"]), strict=True)):
        own = _named(tensors, f"{n}.")
        best = {"virtual_tokens": own["best"]} if "best" in own else _named(own, "best.")  # the first: by 0.1.0
        run.progress, run.best = Progress(**progress), PromptTable(best, run.encoder.kind) if best else None
        run.encoder.load_state_dict(_named(own, "encoder."))
        restore_optimizer(run.optimizer, own)


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state as tensors named ``optimizer.<parameter>.<name>``."""
    states = optimizer.state_dict()["state"].items()
    return {f"optimizer.{index}.{name}": value for index, state in states for name, value in state.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimizer_tensors` in place; tensors of other names are not looked at."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
