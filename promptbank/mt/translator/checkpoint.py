"""Checkpoints of a long training: what a killed run needs to end with the very same bits.

One safetensors file each, written under another name, flushed, renamed; two are kept, so a machine that dies while
writing one has the other. They are removed when the training has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import AdamW

from promptbank.errors import TrainingError
from promptbank.mt.translator.updates import learnt, load_learnt
from promptbank.training.resume import optimizer_tensors, restore_optimizer, write_tensors

__all__ = ["Checkpoints", "Position", "mean_of"]


@dataclass
class Position:
    """Where a training stands.

    Attributes:
        step: optimizer steps that are done.
        epoch: passes over the corpus that are done.
        batch: batches of this pass that are done.
        tokens: real tokens that were read, prompts included.
        seconds: of computing, over all processes.
        evaluated: step of the last evaluation, -1 before the first.
        losses: of the steps since then.
        kept: steps at which weights were kept to be averaged.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluated: int = -1
    losses: list[float] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


class Checkpoints:
    """The checkpoints in a folder.

    Args:
        folder: made when the first is written.
        identity: of this very run; checkpoints of another are refused.
        keep: how many stay.
    """

    def __init__(self, folder: Path, identity: str, *, keep: int = 2) -> None:
        self.folder, self._identity, self._keep = folder, identity, keep

    def save(self, model: nn.Module, optimizer: AdamW, position: Position) -> Path:
        """Write the present state, and remove the oldest."""
        tensors = {f"weight.{name}": p.detach().contiguous() for name, p in learnt(model).items()}
        tensors |= optimizer_tensors(optimizer)
        metadata = {"identity": self._identity, "position": json.dumps(asdict(position))}
        path = self.folder / f"step-{position.step:08d}.safetensors"
        write_tensors(path, tensors, metadata)
        for old in self._files()[: -self._keep]:
            old.unlink()
        return path

    def restore(self, model: nn.Module, optimizer: AdamW) -> Position | None:
        """Read the newest checkpoint that is whole into the model and the optimizer; None when there is none.

        Raises:
            TrainingError: see `newest`.
        """
        found = self._newest()
        if found is None:
            return None
        tensors, position = found
        load_learnt(model, _below(tensors, "weight."))
        restore_optimizer(optimizer, tensors)
        return position

    def newest(self) -> tuple[dict[str, Tensor], Position] | None:
        """Return the weights of the newest checkpoint that is whole, and where it stands; None when there is none.

        Raises:
            TrainingError: it belongs to another run, or none of several can be read.
        """
        found = self._newest()
        return None if found is None else (_below(found[0], "weight."), found[1])

    def _newest(self) -> tuple[dict[str, Tensor], Position] | None:
        faults = []
        for path in reversed(self._files()):
            try:
                tensors, metadata = _read(path)
            except SafetensorError as exc:
                faults.append(f"{path.name}: {exc}")
                continue
            if metadata.get("identity") != self._identity:
                raise TrainingError(
                    f"{path} belongs to a run with another corpus, backbone or settings; give the same ones again, or "
                    "name another --out"
                )
            return tensors, Position(**json.loads(metadata["position"]))
        if faults:
            raise TrainingError(f"no checkpoint in {self.folder} can be read ({'; '.join(faults)}); remove the folder")
        return None

    def kept(self, step: int) -> dict[str, Tensor]:
        """Return the weights that were kept at a step."""
        return _read(self._kept(step))[0]

    def remember(self, model: nn.Module, position: Position, count: int) -> None:
        """Keep the present weights to be averaged, of the last ``count`` evaluations."""
        write_tensors(self._kept(position.step), {n: p.detach().contiguous() for n, p in learnt(model).items()}, {})
        position.kept = [*(step for step in position.kept if step != position.step), position.step]
        while len(position.kept) > count:
            position.kept.pop(0)

    def tidy(self, position: Position) -> None:
        """Remove kept weights that no checkpoint speaks of; called after a checkpoint was written."""
        oldest = min(position.kept, default=position.step)
        for path in self.folder.glob("kept-*.safetensors"):
            if path < self._kept(oldest):
                path.unlink()

    def average(self, model: nn.Module, position: Position) -> None:
        """Write the mean of the kept weights into the model."""
        load_learnt(model, mean_of([self.kept(step) for step in position.kept]))

    def clear(self) -> None:
        """Remove everything."""
        for path in [*self._files(), *self.folder.glob("kept-*.safetensors"), *self.folder.glob("*.tmp")]:
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"))

    def _kept(self, step: int) -> Path:
        return self.folder / f"kept-{step:08d}.safetensors"


def mean_of(several: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor, summed in float64.

    Raises:
        TrainingError: there is nothing to average.
    """
    if not several:
        raise TrainingError("no weights were kept to be averaged; use --average 1")
    return {
        name: torch.stack([tensors[name].double() for tensors in several]).mean(0).to(first.dtype)
        for name, first in several[0].items()
    }


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - no mapping


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
