"""Runs that share their passes: each has the gradients, the score and the end that it has alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from promptbank.training.progress import EpochReport, NoProgress
from promptbank.training.prompt_run import FailedRun, Plan, PromptRun, TrainedPrompt
from promptbank.training.prompts import _grouped, train_each, train_prompts
from promptbank.training.start import start_ids, starting_table
from tests.killing import KillAfter, Killed
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, SPLIT, card_of, examples_of, renderer_of

CONFIG = TrainConfig(epochs=2, batch_size=3, lr=0.02, dtype="float32", patience=9, keep_from=0.0, checkpoint_steps=1)


def plans(kind: Kind = "llama", template: str = AFTER) -> tuple[LanguageModel, list[Plan]]:
    """Three runs that differ in rows, seed, encoder, template, virtual tokens and label space; one draws words."""
    backbone = tiny_backbone(kind)
    lm = LanguageModel(backbone.model)
    cards = [card_of(template), card_of(template), card_of(SPLIT, (2, 1), taskname="gist", label_space=None)]
    configs = [
        CONFIG,
        CONFIG.model_copy(update={"seed": 5, "encoder": "mlp.v1", "lr": 0.05, "epochs": 4}),
        CONFIG.model_copy(update={"seed": 6, "batch_size": 2, "sample": 20}),
    ]
    examples = examples_of(14)
    made = []
    for n, (card, config) in enumerate(zip(cards, configs, strict=True)):
        renderer = renderer_of(backbone, card)
        start = starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
        made.append(Plan(renderer, examples[n : n + 7], examples[n + 7 : n + 10], config, start, name=f"run{n}"))
    return lm, made


def distance(run: TrainedPrompt, other: TrainedPrompt) -> float:
    """Of their prompts, relative to the second."""
    ours, theirs = run.table.input_rows, other.table.input_rows
    return float((ours - theirs).norm() / theirs.norm())


def nowhere(plan: Plan) -> PromptTable:
    """A start from which no loss is finite."""
    return PromptTable.of_rows(torch.full_like(plan.start.input_rows, float("nan")))


class Gradients:
    """Collects every run's gradient before its first step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: dict[str, torch.Tensor] = {}
        rate = PromptRun.rate

        def noted(run: PromptRun) -> float:
            flat = [p.grad.flatten() for p in run.encoder.parameters() if p.grad is not None]
            self.found.setdefault(run.plan.name, torch.cat(flat))
            return rate(run)

        monkeypatch.setattr(PromptRun, "rate", noted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", [AFTER, BEFORE])
def test_the_first_gradients_are_those_of_separate_runs(
    kind: Kind, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, three = plans(kind, template)
    together = Gradients(monkeypatch)
    train_prompts(lm, three, folder=tmp_path / "all", identity="all")
    for plan in three:
        alone = Gradients(monkeypatch)
        train_prompts(lm, [plan], folder=tmp_path / plan.name, identity=plan.name)
        mine, its = together.found[plan.name], alone.found[plan.name]
        assert float((mine - its).norm() / its.norm()) < 1e-5


def test_each_run_ends_as_it_does_alone(tmp_path: Path) -> None:
    lm, three = plans()
    together = train_prompts(lm, three, folder=tmp_path / "all", identity="all")
    assert [len(run.epochs) for run in together] == [2, 4, 2]
    for plan, run in zip(three, together, strict=True):
        alone = train_prompts(lm, [plan], folder=tmp_path / plan.name, identity=plan.name)[0]
        assert distance(run, alone) < 1e-3  # Adam magnifies rounding
        assert run.best_epoch == alone.best_epoch
        assert [e.dev.loss for e in run.epochs] == pytest.approx([e.dev.loss for e in alone.epochs], abs=0.02)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 9, 11])
def test_killed_runs_end_with_the_bits_of_undisturbed_ones(tmp_path: Path, steps: int) -> None:
    lm, three = plans()
    whole = train_prompts(lm, three, folder=tmp_path / "whole", identity="x")
    with pytest.raises(Killed):
        train_prompts(lm, three, folder=tmp_path / "killed", identity="x", progress=KillAfter(steps))
    again = train_prompts(lm, three, folder=tmp_path / "killed", identity="x")
    for one, other in zip(whole, again, strict=True):
        assert one.table.sha256 == other.table.sha256
        assert one.epochs == other.epochs


def test_a_run_whose_loss_is_no_number_ends_alone(tmp_path: Path) -> None:
    lm, three = plans()
    broken = replace(three[1], start=nowhere(three[1]))
    mixed = [three[0], broken, three[2]]
    first, failed, third = train_each(lm, mixed, folder=tmp_path / "mixed", identity="x")
    assert failed == FailedRun("the loss of run1 is nan at step 1; try a lower --lr than 0.05")
    for plan, run in ((three[0], first), (three[2], third)):
        (alone,) = train_prompts(lm, [plan], folder=tmp_path / plan.name, identity="x")
        assert isinstance(run, TrainedPrompt)
        assert distance(run, alone) < 1e-3  # Adam magnifies rounding
    with pytest.raises(TrainingError, match="the loss of run1 is nan"):
        train_prompts(lm, mixed, folder=tmp_path / "strict", identity="x")


@pytest.mark.parametrize("steps", [1, 3])
def test_a_run_that_failed_stays_failed_when_the_others_are_killed(tmp_path: Path, steps: int) -> None:
    lm, three = plans()
    mixed = [three[0], replace(three[1], start=nowhere(three[1]))]
    whole = train_each(lm, mixed, folder=tmp_path / "whole", identity="x")
    with pytest.raises(Killed):
        train_each(lm, mixed, folder=tmp_path / "killed", identity="x", progress=KillAfter(steps))
    again = train_each(lm, mixed, folder=tmp_path / "killed", identity="x")
    assert again[1] == whole[1]
    assert isinstance(again[0], TrainedPrompt)
    assert isinstance(whole[0], TrainedPrompt)
    assert again[0].table.sha256 == whole[0].table.sha256


def test_reports_name_their_run(tmp_path: Path) -> None:
    class Names(NoProgress):
        def __init__(self) -> None:
            self.epochs: list[str] = []

        def on_epoch(self, report: EpochReport) -> None:
            self.epochs.append(report.run)

    lm, three = plans()
    names = Names()
    train_prompts(lm, three, folder=tmp_path, identity="x", progress=names)
    assert sorted(names.epochs) == ["run0"] * 2 + ["run1"] * 4 + ["run2"] * 2


def test_one_text_is_read_once_for_all_runs(tmp_path: Path) -> None:
    class Texts(NoProgress):
        def on_prefix(self, done: int, total: int) -> None:
            self.done, self.total = done, total

    lm, three = plans()
    same = [Plan(p.renderer, three[0].train, three[0].dev, p.config, p.start, p.name) for p in three[:2]]
    texts = Texts()
    out = train_prompts(lm, same, folder=tmp_path, identity="x", progress=texts)
    assert (texts.done, texts.total) == (10, 10)
    assert [run.cached for run in out] == [(7, 0), (7, 0)]


def test_runs_of_two_dtypes_do_not_train_together(tmp_path: Path) -> None:
    lm, (first, second, _) = plans()
    other = Plan(second.renderer, second.train, second.dev, CONFIG.model_copy(update={"dtype": "auto"}), second.start)
    with pytest.raises(ValueError, match="one dtype"):
        train_prompts(lm, [first, other], folder=tmp_path, identity="x")


def test_groups_hold_every_run_once_and_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sized:
        def __init__(self, rows: int, width: int = 8) -> None:
            self.rows, self._width = rows, width

        def batch(self) -> list[int]:
            return list(range(self.rows))

        def width(self) -> int:
            return self._width

    def groups(*runs: Sized) -> list[list[int]]:
        return [[run.rows for run in group] for group in _grouped(runs)]

    monkeypatch.setattr("promptbank.training.prompts.SHARED_EXAMPLES", 10)
    assert groups(*map(Sized, (4, 4, 4, 12, 1, 9, 10))) == [[4, 4], [4], [12], [1, 9], [10]]
    assert groups(Sized(1, 8), Sized(2, 60), Sized(3, 12), Sized(4, 64), Sized(5, 13)) == [[1, 3], [5], [2, 4]]
