"""A run that answers nearly always the same begins again, with the next seed and half the rate, and says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevScore, DevSet
from promptbank.training.progress import EpochReport, NoProgress, StepReport
from promptbank.training.prompt_run import Plan, TrainedPrompt
from promptbank.training.prompts import train_prompts
from promptbank.training.start import start_ids, starting_table
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of, renderer_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1, restarts=2)


class Steps(NoProgress):
    def __init__(self, killed_at: int = 0) -> None:
        self.reports: list[StepReport] = []
        self.epochs: list[EpochReport] = []
        self._killed_at = killed_at

    def on_step(self, report: StepReport) -> None:
        self.reports.append(report)
        if len(self.reports) == self._killed_at:
            raise KeyboardInterrupt

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)


def trained(folder: Path, config: TrainConfig = CONFIG, progress: NoProgress | None = None) -> TrainedPrompt:
    backbone = tiny_backbone("llama")
    renderer, lm = renderer_of(backbone, card_of()), LanguageModel(backbone.model)
    start = starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
    examples = examples_of(12)
    plan = Plan(renderer, examples[:8], examples[8:], config, start)
    return train_prompts(lm, [plan], folder=folder, identity="run", progress=progress)[0]


@pytest.fixture
def collapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dev score says that all answers are the same."""
    score = DevSet.score

    def always(self: DevSet, table: PromptTable) -> DevScore:
        return replace(score(self, table), collapse="100% of the predictions are 'positive'")

    monkeypatch.setattr(DevSet, "score", always)


@pytest.mark.usefixtures("collapsed")
def test_each_attempt_has_the_next_seed_and_half_the_rate(tmp_path: Path) -> None:
    steps = Steps()
    out = trained(tmp_path, progress=steps)
    assert [epoch.epoch for epoch in out.epochs] == [1, 2, 3, 4, 5, 6]
    assert [bool(epoch.restart) for epoch in out.epochs] == [False, True, False, True, False, False]
    assert "seed 1 and rate 0.01" in out.epochs[1].restart
    assert "seed 2 and rate 0.005" in out.epochs[3].restart
    assert [max(r.lr for r in steps.reports[n : n + 4]) for n in (0, 4, 8)] == pytest.approx([0.02, 0.01, 0.005])
    assert [r.step for r in steps.reports] == list(range(1, 13))


@pytest.mark.usefixtures("collapsed")
def test_the_best_epoch_of_all_attempts_is_kept(tmp_path: Path) -> None:
    out = trained(tmp_path)
    best = max(out.epochs, key=lambda e: (e.dev.accuracy, -e.dev.loss))
    assert out.best_epoch == best.epoch


@pytest.mark.usefixtures("collapsed")
def test_an_attempt_is_what_a_run_with_its_seed_and_rate_is(tmp_path: Path) -> None:
    both = trained(tmp_path / "both", CONFIG.model_copy(update={"restarts": 1}))
    second = trained(tmp_path / "second", CONFIG.model_copy(update={"restarts": 0, "seed": 1, "lr": 0.01}))
    assert [e.dev.loss for e in both.epochs[2:]] == [e.dev.loss for e in second.epochs]


@pytest.mark.usefixtures("collapsed")
@pytest.mark.parametrize("step", [3, 4, 5, 6, 9])
def test_a_run_killed_in_any_attempt_ends_with_the_same_bits(tmp_path: Path, step: int) -> None:
    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", progress=Steps(killed_at=step))
    again = trained(tmp_path / "killed")
    assert again.table.sha256 == whole.table.sha256
    assert again.epochs == whole.epochs


def test_a_run_with_mixed_answers_does_not_begin_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = DevSet.score
    monkeypatch.setattr(DevSet, "score", lambda self, table: replace(score(self, table), collapse=None))
    assert [epoch.restart for epoch in trained(tmp_path).epochs] == ["", ""]
