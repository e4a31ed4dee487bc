"""Checkpoints: all that a killed training needs to end with the very same bits.

One safetensors file each, never pickle: tensors by name, and in the metadata whose they are (the identity of the
training, a hash over all that decides its result) and where it stands (JSON). Each is written whole or not at all; of
a long training two are kept, so that a machine which dies while its disk writes one has the other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from promptbank.errors import TrainingError
from promptbank.files import write_atomically

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "below",
    "learnt",
    "load_learnt",
    "optimizer_tensors",
    "read_tensors",
    "refuse_former",
    "restore_optimizer",
    "write_tensors",
]

FORMAT = "promptbank.checkpoint.v2"
FORMATS = (FORMAT, None)
"""What is read. The checkpoints of translators that release 0.1.0 wrote are the same but for their name of a format."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training.

    Attributes:
        step: steps that are done; names the file.
        tensors: weights and states of optimizers, by name.
        position: where it stands, as plain JSON values.
    """

    step: int
    tensors: Mapping[str, Tensor]
    position: Any


class Checkpoints:
    """The checkpoints of one training in a folder.

    Args:
        folder: made when the first is written.
        identity: of the training; checkpoints of another are refused.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, identity: str, *, keep: int = 2) -> None:
        self.folder, self._identity, self._keep = folder, identity, keep

    def save(self, state: Checkpoint) -> None:
        """Write a checkpoint, and remove the oldest."""
        metadata = {"format": FORMAT, "identity": self._identity, "position": json.dumps(state.position)}
        write_tensors(self.folder / f"step-{state.step:08d}.safetensors", state.tensors, metadata)
        for old in self._files()[: -self._keep]:
            old.unlink()

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole; None when there is none.

        Raises:
            TrainingError: it belongs to another training or another release, or none of several can be read.
        """
        faults = []
        for path in reversed(self._files()):
            try:
                tensors, metadata = read_tensors(path)
            except SafetensorError as exc:
                faults.append(f"{path.name}: {exc}")
                continue
            self._check(path, metadata)
            return Checkpoint(int(path.stem.rpartition("-")[2]), tensors, json.loads(metadata["position"]))
        if faults:
            raise TrainingError(
                f"what {self.folder} holds is damaged ({'; '.join(faults)}); delete the folder to begin again"
            )
        return None

    def _check(self, path: Path, metadata: Mapping[str, str]) -> None:
        if metadata.get("format") not in FORMATS:
            raise TrainingError(f"{path} was written by another release of promptbank; go on with that one")
        if metadata.get("identity") != self._identity:
            raise TrainingError(
                f"{path} belongs to another run, with other data, backbone or settings; give the same ones again, name "
                "another folder, or delete this one"
            )

    def clear(self) -> None:
        """Remove all of them, and the folder if nothing else is in it."""
        for path in [*self._files(), *self.folder.glob("*.tmp")]:
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"))


def refuse_former(path: Path) -> None:
    """Refuse to begin a training beside a checkpoint in a format of release 0.1.0 that is no longer read.

    Raises:
        TrainingError: the file is there.
    """
    if path.exists():
        raise TrainingError(
            f"{path} was written by an earlier release of promptbank, whose trainings this one cannot go on with; "
            "delete it to begin the training again"
        )


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, all of it or nothing, into a folder that is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, metadata)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        SafetensorError: it is damaged.
    """
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 - no mapping


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors of which the name has this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that learn, by name, a tied one once; not copies."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


@torch.no_grad()
def load_learnt(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Write stored numbers into the parameters that learn.

    Raises:
        TrainingError: other names or shapes.
    """
    own = learnt(model)
    if {n: tuple(p.shape) for n, p in own.items()} != {n: tuple(t.shape) for n, t in tensors.items()}:
        raise TrainingError(
            f"the stored update ({len(tensors)} tensors) is not one of this backbone and method ({len(own)} tensors)"
        )
    for name, parameter in own.items():
        parameter.copy_(tensors[name])


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state as tensors named ``optimizer.<parameter>.<name>``."""
    states = optimizer.state_dict()["state"].items()
    return {f"optimizer.{index}.{name}": value for index, state in states for name, value in state.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimizer_tensors` in place; tensors of other names are not looked at."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below(tensors, "optimizer.").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
