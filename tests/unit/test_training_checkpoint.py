"""Checkpoints: whole or not there, of one training, the newest kept; those of release 0.1.0 can be gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    learnt,
    load_learnt,
    optimizer_tensors,
    restore_optimizer,
    write_tensors,
)


def state(step: int) -> Checkpoint:
    return Checkpoint(step, {"w": torch.tensor([step / 3])}, {"step": step, "losses": [0.1, step / 7]})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "c", "me")
    assert checkpoints.newest() is None
    checkpoints.save(state(3))
    found = Checkpoints(tmp_path / "c", "me").newest()
    assert found is not None
    assert (found.step, found.position) == (3, state(3).position)
    assert torch.equal(found.tensors["w"], state(3).tensors["w"])


@pytest.mark.parametrize("keep", [1, 2])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    checkpoints = Checkpoints(tmp_path, "me", keep=keep)
    for step in (1, 9, 10, 100):
        checkpoints.save(state(step))
    assert names(tmp_path) == ["step-00000010.safetensors", "step-00000100.safetensors"][-keep:]
    found = checkpoints.newest()
    assert found is not None
    assert found.step == 100


def test_a_step_that_is_saved_again_is_replaced(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "me", keep=1)
    checkpoints.save(state(4))
    checkpoints.save(Checkpoint(4, {}, "again"))
    found = checkpoints.newest()
    assert found is not None
    assert found.position == "again"


@pytest.mark.parametrize("size", [0, 7, 60])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, size: int) -> None:
    checkpoints = Checkpoints(tmp_path, "me")
    for step in (1, 2):
        checkpoints.save(state(step))
    newest = tmp_path / "step-00000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:size])
    found = checkpoints.newest()
    assert found is not None
    assert found.step == 1
    (tmp_path / "step-00000001.safetensors").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"is damaged \(step-00000002.*step-00000001.*delete the folder"):
        checkpoints.newest()


def test_another_training_and_another_release_are_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "me").save(state(1))
    with pytest.raises(TrainingError, match="belongs to another run"):
        Checkpoints(tmp_path, "you").newest()
    metadata = {"format": "promptbank.checkpoint.v9", "identity": "me", "position": "{}"}
    write_tensors(tmp_path / "step-00000002.safetensors", {}, metadata)
    with pytest.raises(TrainingError, match="written by another release"):
        Checkpoints(tmp_path, "me").newest()


def test_a_translators_checkpoint_of_release_0_1_0_is_read(tmp_path: Path) -> None:
    position = {
        "step": 72, "epoch": 0, "batch": 72, "tokens": 9, "seconds": 1.5, "evaluated": 0, "losses": [2.0], "kept": [],
    }  # fmt: skip
    metadata = {"identity": "me", "position": json.dumps(position)}
    tensors = {"weight.a": torch.ones(2), "optimizer.0.step": torch.tensor(72.0), "optimizer.0.exp_avg": torch.ones(2)}
    save_file(tensors, tmp_path / "step-00000072.safetensors", metadata=metadata)
    found = Checkpoints(tmp_path, "me").newest()
    assert found is not None
    assert (found.step, found.position) == (72, position)
    assert found.tensors.keys() == tensors.keys()


def test_clearing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    mine, shared = Checkpoints(tmp_path / "mine", "me"), Checkpoints(tmp_path, "me")
    for checkpoints in (mine, shared):
        checkpoints.save(state(1))
    (tmp_path / "step-00000002.safetensors.0a1b.tmp").touch()  # of a writer that was killed
    (tmp_path / "notes").touch()
    mine.clear()
    shared.clear()
    assert names(tmp_path) == ["notes"]


@pytest.mark.parametrize("kind", [AdamW, SGD])
def test_a_restored_optimizer_makes_the_very_same_steps(kind: type[Optimizer]) -> None:
    def step(model: nn.Module, optimizer: Optimizer, n: int) -> None:
        (model(torch.full((2, 3), float(n))) ** 2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    whole, cut = nn.Linear(3, 2), nn.Linear(3, 2)
    cut.load_state_dict(whole.state_dict())
    first, second = kind(whole.parameters(), lr=0.1), kind(cut.parameters(), lr=0.1)
    restore_optimizer(second, optimizer_tensors(second))  # before the first step there is no state
    for n in range(3):
        step(whole, first, n)
        step(cut, second, n)
    again = kind(cut.parameters(), lr=0.1)
    restore_optimizer(again, {**optimizer_tensors(second), "weight.x": torch.ones(1)})
    for n in range(3):
        step(whole, first, n)
        step(cut, again, n)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))


def test_only_what_learns_is_kept_and_only_its_like_is_loaded() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    assert set(learnt(model)) == {"weight"}
    load_learnt(model, {"weight": torch.ones(2, 3)})
    assert bool((model.weight == 1).all())
    for wrong in ({}, {"weight": torch.ones(3, 2)}, {"weight": torch.ones(2, 3), "bias": torch.ones(2)}):
        with pytest.raises(TrainingError, match="is not one of this backbone and method"):
            load_learnt(model, wrong)
