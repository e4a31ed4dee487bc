"""The sweep: settings drawn once, the best third of a rung goes on, killed and whole sweeps end alike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptbank.errors import ConfigError, InputError, TrainingError
from promptbank.lab.experiments.sweep import SPACE, SweepPlan, draw_settings, run_sweep
from promptbank.lab.reports.sweep import sweep_report
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress
from tasks import SplitError, TaskError
from tests.killing import KillAfter, Killed
from tests.unit.test_experiments import setup_of
from tests.worlds import card_of, examples_of

CONFIG = TrainConfig(epochs=1, batch_size=4, dtype="float32", checkpoint_steps=1, dev_fraction=0.25)
PLAN = SweepPlan(settings=5, folds=2, rungs=2)


def sweep(home: Path, progress: NoProgress | None = None) -> dict[str, Any]:
    setup = replace(setup_of(home, 40, progress), config=CONFIG)
    return json.loads(run_sweep(setup, PLAN).read_text())["results"]


def test_the_best_third_goes_on_to_all_rows(tmp_path: Path) -> None:
    first, last = sweep(tmp_path)["rungs"]
    assert (len(first), len(last)) == (5, 2)
    ranked = sorted(first, key=lambda s: (-s["accuracy"], s["loss"], s["number"]))
    assert {s["number"] for s in last} == {s["number"] for s in ranked[:2]}
    assert {s["setting"]["placement"] for s in first} == set(SPACE["placement"])


def test_the_score_is_over_the_rows_of_all_inner_folds(tmp_path: Path) -> None:
    best = sweep(tmp_path)["best"]
    cells = {path.stem: json.loads(path.read_text())["result"] for path in tmp_path.glob("runs/*/cells/rung1-*.json")}
    mine = [c for name, c in cells.items() if f"-{best['number']}-" in name]
    rows = {i: label for cell in mine for i, label in cell["predicted"].items()}
    gold = {e.id: e.answer for e in examples_of(40)}
    assert set(rows) == set(gold)
    assert best["accuracy"] == pytest.approx(sum(gold[i] == label for i, label in rows.items()) / 40)


@pytest.mark.parametrize("steps", [1, 12, 24])
def test_a_killed_sweep_ends_with_the_result_of_an_undisturbed_one(tmp_path: Path, steps: int) -> None:
    whole = sweep(tmp_path / "whole")
    with pytest.raises(Killed):
        sweep(tmp_path / "killed", KillAfter(steps))
    assert sweep(tmp_path / "killed") == whole


WANTED = [{name: values[0] for name, values in SPACE.items()}]


def test_a_draw_is_a_function_of_space_and_seed() -> None:
    whole = draw_settings(SPACE, WANTED, 8, seed=3)
    assert [draw_settings(SPACE, WANTED, count, seed=3) for count in (1, 3, 8)] == [whole[:1], whole[:3], whole]
    assert whole[0] == WANTED[0]
    assert len({json.dumps(s) for s in whole}) == 8
    assert all(setting[name] in SPACE[name] for setting in whole for name in SPACE)
    assert draw_settings(SPACE, WANTED, 8, seed=4) != whole


def test_a_small_space_is_drawn_whole() -> None:
    space = {"a": (1, 2), "b": ("x", "y")}
    drawn = draw_settings(space, [], 99, seed=0)
    assert sorted(map(tuple, (s.values() for s in drawn))) == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def broken_encoders(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the loss be no number where one of these encoders learns."""
    from promptbank.training import prompt_run

    build = prompt_run.build_encoder

    def broken(name: str, start: PromptTable, scale: float, **options: Any) -> Any:
        nothing = PromptTable({key: tensor * float("nan") for key, tensor in start.tensors.items()}, start.kind)
        return build(name, nothing if name in names else start, scale, **options)

    monkeypatch.setattr(prompt_run, "build_encoder", broken)


def test_a_setting_whose_loss_is_no_number_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_encoders(monkeypatch, "mlp.v1", "embedding.v1")
    path = run_sweep(replace(setup_of(tmp_path, 40), config=CONFIG), PLAN)
    result = json.loads(path.read_text())
    first, last = result["results"]["rungs"]
    failed = [s for s in first if s["setting"]["encoder"] != "lstm.v1"]
    assert failed
    assert [s for s in first if "failed" in s] == failed
    assert all("is nan at step 1" in s["failed"] for s in failed)
    assert all("accuracy" in s for s in last)
    assert {s["number"] for s in last}.isdisjoint(s["number"] for s in failed)
    told = [line for line in sweep_report(result).falls_short if "a setting failed: the loss" in line]
    assert len(told) == len(failed)


def test_a_sweep_in_which_everything_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_encoders(monkeypatch, "lstm.v1", "mlp.v1", "embedding.v1")
    with pytest.raises(TrainingError, match="all 5 settings of rung 1 failed, first: the loss of rung0-"):
        sweep(tmp_path)


def test_what_a_sweep_cannot_do_is_refused_before_anything_is_learnt(tmp_path: Path) -> None:
    setup = replace(setup_of(tmp_path, 40, KillAfter(1)), config=CONFIG)
    with pytest.raises(InputError, match="mood:en has open answers, and a sweep goes by accuracy"):
        run_sweep(replace(setup, card=card_of(label_space=None)), PLAN)
    for init in ("nearest", "from:tone:en"):
        with pytest.raises(ConfigError, match=f"init '{init}' is not possible in a sweep"):
            run_sweep(replace(setup, config=CONFIG.model_copy(update={"init": init})), PLAN)
    with pytest.raises(SplitError, match="no example left for"):
        run_sweep(replace(setup, examples=examples_of(2)), PLAN)
    one = card_of(total_virtual_tokens=1, virtual_token_splits=[1])
    with pytest.raises(TaskError, match="around"):
        run_sweep(replace(setup, card=one), PLAN)
    assert not (tmp_path / "runs").exists()
