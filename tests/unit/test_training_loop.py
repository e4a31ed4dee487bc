"""The loop: what happens in which order, with training that needs no backbone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from promptbank.errors import TrainingError
from promptbank.training.checkpoint import Checkpoint, Checkpoints
from promptbank.training.loop import Training, TrainingRun, TrainingStoppedError, run_training


class Number(TrainingRun):
    """One parameter that is pulled to 0 by a loss of slope ``pull``, at a rate of 1 / (steps done + 1)."""

    clip = 1.0

    def __init__(self, name: str, steps: int, pull: float, told: list[str]) -> None:
        self.name, self.steps, self.pull, self.told = name, steps, pull, told
        self.value = nn.Parameter(torch.tensor(10.0))
        self.parameters: Sequence[Tensor] = [self.value]
        self.optimizer = SGD([self.value], lr=9.0)
        self.done, self.scored, self.failed = 0, -1, False

    @property
    def finished(self) -> bool:
        return self.done >= self.steps or self.failed

    @property
    def is_due(self) -> bool:
        return self.done % 2 == 0 and self.scored != self.done

    def evaluate(self) -> None:
        self.scored = self.done
        self.told.append(f"score {self.name}")

    def rate(self) -> float:
        return 1 / (self.done + 1)

    def stepped(self, loss: float, rate: float) -> None:
        self.done += 1
        self.told.append(f"step {self.name} {loss:g} at {rate:g}")

    def diverged(self, loss: float) -> None:
        if self.name == "strict":
            raise TrainingError(f"the loss is {loss}")
        self.failed = True


class Numbers(Training[Number]):
    """Some of them; a `Training` that is saved after every third step."""

    def __init__(self, *runs: Number) -> None:
        self.runs = runs
        self.told = runs[0].told

    def backward(self, runs: Sequence[Number]) -> Iterator[tuple[Number, float]]:
        for run in runs:
            loss = run.value * run.pull
            loss.backward()
            yield run, float(loss.detach())

    @property
    def save_is_due(self) -> bool:
        return self.runs[0].done % 3 == 0 and self.runs[0].done > 0

    def state(self) -> Checkpoint:
        self.told.append("save")
        values = {run.name: run.value.detach() for run in self.runs}
        return Checkpoint(self.runs[0].done, values, [(run.done, run.scored) for run in self.runs])

    def restore(self, state: Checkpoint | None) -> None:
        self.told.append("begin" if state is None else f"go on from {state.step}")
        if state is not None:
            for run, (run.done, run.scored) in zip(self.runs, state.position, strict=True):
                run.value.data.copy_(state.tensors[run.name])


def test_evaluate_save_and_step_follow_each_other(tmp_path: Path) -> None:
    told: list[str] = []
    training = Numbers(Number("a", 4, 0.5, told), Number("b", 2, 0.25, told))
    assert run_training(training, Checkpoints(tmp_path, "x"))
    assert told == [
        "begin", "score a", "score b", "step a 5 at 1", "step b 2.5 at 1",
        "step a 4.75 at 0.5", "step b 2.4375 at 0.5",
        "score a", "score b", "step a 4.625 at 0.333333",
        "save", "step a 4.54167 at 0.25",
        "score a",
    ]  # fmt: skip
    # 10 - 0.5 (1 + 1/2 + 1/3 + 1/4), 10 - 0.25 (1 + 1/2)
    assert training.runs[0].value.item() == pytest.approx(10 - 0.5 * 25 / 12)
    assert training.runs[1].value.item() == pytest.approx(10 - 0.25 * 1.5)


def test_the_gradient_is_clipped_and_forgotten_after_the_step() -> None:
    run = Number("a", 2, 50.0, [])
    assert run_training(Numbers(run))
    assert run.value.item() == pytest.approx(10 - 1.5)  # a slope of 50 counts as 1, twice
    assert run.value.grad is None


@pytest.mark.parametrize("steps", range(6))
def test_a_stopped_training_is_saved_where_it_stands_and_goes_on(tmp_path: Path, steps: int) -> None:
    def training() -> Numbers:
        return Numbers(Number("a", 5, 0.5, []))

    whole, cut, again = training(), training(), training()
    run_training(whole)
    asked = iter(range(99))
    assert not run_training(cut, Checkpoints(tmp_path, "x"), lambda: next(asked) >= steps)
    assert cut.runs[0].done == steps
    assert cut.told[-1] == "save"
    assert run_training(again, Checkpoints(tmp_path, "x"))
    assert again.told[0] == f"go on from {steps}"
    assert torch.equal(again.runs[0].value, whole.runs[0].value)


def test_a_training_that_is_stopped_in_an_evaluation_is_saved(tmp_path: Path) -> None:
    class Long(Number):
        def evaluate(self) -> None:
            if self.done == 2:
                raise TrainingStoppedError("told to stop")
            super().evaluate()

    training = Numbers(Long("a", 5, 0.5, []))
    assert not run_training(training, Checkpoints(tmp_path, "x"))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002.safetensors"]


def test_a_finished_training_makes_no_step(tmp_path: Path) -> None:
    for expected in (3, 0):
        training = Numbers(Number("a", 3, 0.5, []))
        assert run_training(training, Checkpoints(tmp_path, "x"))
        assert sum(line.startswith("step") for line in training.told) == expected


@pytest.mark.parametrize("pull", [math.nan, math.inf])
def test_no_step_is_made_where_the_loss_is_not_finite(pull: float) -> None:
    told: list[str] = []
    lenient, other = Number("a", 3, pull, told), Number("b", 3, 0.5, told)
    assert run_training(Numbers(lenient, other))
    assert (lenient.done, other.done) == (0, 3)
    assert lenient.value.item() == 10
    assert lenient.value.grad is None
    with pytest.raises(TrainingError, match="the loss is"):
        run_training(Numbers(Number("strict", 3, pull, [])))
