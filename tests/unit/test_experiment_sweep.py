"""The sweep: settings drawn once, the best third of a rung goes on, killed and whole sweeps end alike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="the extra experiments is not installed")

from promptbank.experiments.study import Study
from promptbank.experiments.sweep import SPACE, SweepPlan, run_sweep
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Silent
from tests.unit.test_experiments import KillAt, Killed, bench_of
from tests.worlds import examples_of

CONFIG = TrainConfig(epochs=1, batch_size=4, dtype="float32", checkpoint_steps=1, dev_fraction=0.25)
PLAN = SweepPlan(settings=5, folds=2, rungs=2)


def sweep(home: Path, listener: Silent | None = None) -> dict[str, Any]:
    bench = replace(bench_of(home, 40, listener), config=CONFIG)
    return json.loads(run_sweep(bench, PLAN).read_text())["results"]


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
        sweep(tmp_path / "killed", KillAt(steps))
    assert sweep(tmp_path / "killed") == whole


def test_settings_are_drawn_once_whoever_is_killed(tmp_path: Path) -> None:
    wanted = [{**dict.fromkeys(SPACE), **{name: values[0] for name, values in SPACE.items()}}]
    whole = Study(tmp_path / "a", SPACE, seed=3).draw(wanted, 8)
    for count in (1, 3, 8):
        again = Study(tmp_path / "b", SPACE, seed=3).draw(wanted, count)
        assert again == whole[:count]
    assert whole[0] == wanted[0]
    assert len({json.dumps(s) for s in whole}) == 8
    assert Study(tmp_path / "c", SPACE, seed=4).draw(wanted, 8) != whole


def test_a_small_space_is_drawn_whole(tmp_path: Path) -> None:
    space = {"a": (1, 2), "b": ("x", "y")}
    drawn = Study(tmp_path / "a", space, seed=0).draw([], 99)
    assert sorted(map(tuple, (s.values() for s in drawn))) == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_the_journal_keeps_the_scores(tmp_path: Path) -> None:
    import optuna

    result = sweep(tmp_path)
    journal = next(tmp_path.glob("runs/*/study.journal"))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.best_value == pytest.approx(result["best"]["accuracy"])
    told = {json.dumps(t.params, sort_keys=True): t.value for t in study.trials}
    assert told[json.dumps(result["best"]["setting"], sort_keys=True)] == study.best_value
