"""Experiments: scores of stored rows, folds as drawn, and a killed command that ends with the same result."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptbank.bank.learn import learn_task
from promptbank.errors import TrainingError
from promptbank.experiments import ledger as ledgers
from promptbank.experiments.crossval import run_crossval
from promptbank.experiments.curve import CurvePlan, _longer, _startable, run_curve
from promptbank.experiments.ledger import open_ledger
from promptbank.experiments.trials import Bench, Trial, run_trials
from promptbank.forward import LanguageModel
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Listener, Silent
from store import open_store
from tasks import Split, crossval_split
from tests.tiny import tiny_backbone
from tests.unit.test_train_population import KillAt, Killed
from tests.worlds import card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1, dev_fraction=0.25)


def bench_of(home: Path, rows: int, listener: Listener | None = None) -> Bench:
    backbone = tiny_backbone("llama")
    lm = LanguageModel(backbone.model)
    return Bench(home, backbone, lm, card_of(), examples_of(rows), CONFIG, listener or Silent())


def crossval(home: Path, listener: Silent | None = None) -> dict[str, Any]:
    path = run_crossval(bench_of(home, 32, listener), folds=3)
    return json.loads(path.read_text())


def apart_from_timings(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "timings"}


def test_every_row_is_in_the_test_part_of_its_fold_alone(tmp_path: Path) -> None:
    result = crossval(tmp_path)
    examples = examples_of(32)
    predicted = [fold["predicted"] for fold in result["results"]["ptuned"]]
    assert sorted(i for fold in predicted for i in fold) == sorted(e.id for e in examples)
    for k, fold in enumerate(predicted):
        assert list(fold) == [e.id for e in crossval_split(examples, 3, k, 0.25).test]


def test_the_scores_are_those_of_the_predictions(tmp_path: Path) -> None:
    gold = {e.id: e.answer for e in examples_of(32)}
    results = crossval(tmp_path)["results"]
    for method in ("ptuned", "majority", "tfidf"):
        for fold in results[method]:
            right = sum(gold[i] == label for i, label in fold["predicted"].items())
            assert fold["test"]["accuracy"] == right / len(fold["predicted"])


@pytest.mark.parametrize("steps", [1, 7, 13])
def test_a_killed_experiment_ends_with_the_result_of_an_undisturbed_one(tmp_path: Path, steps: int) -> None:
    whole = crossval(tmp_path / "whole")
    with pytest.raises(Killed):
        crossval(tmp_path / "killed", KillAt(steps))
    assert apart_from_timings(crossval(tmp_path / "killed")) == apart_from_timings(whole)


def test_a_finished_experiment_is_not_done_again(tmp_path: Path) -> None:
    first = crossval(tmp_path)
    assert crossval(tmp_path, KillAt(1)) == first


def test_trials_come_in_groups_and_only_missing_ones_are_learnt(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 16)
    examples = bench.examples
    split = Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[12:]))
    trials = [Trial(f"t{n}", card_of(), split, CONFIG.model_copy(update={"seed": n})) for n in range(3)]
    with open_ledger(tmp_path, "sweep", {}) as ledger:
        first = run_trials(ledger, bench, trials[:2], together=2)
        both = run_trials(ledger, replace(bench, listener=KillAt(99)), trials, together=2)
    assert {name: both[name] for name in first} == first
    assert len({result["row_sha256"] for result in both.values()}) == 3


def test_a_part_is_made_once_and_kept(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"n": len(calls)}

    for _ in range(2):
        with open_ledger(tmp_path, "curve", {"seed": 1}) as ledger:
            assert ledger.cell("a", make) == {"n": 1}
            result = json.loads(ledger.finish({"a": 1}).read_text())
    assert result["results"] == {"a": 1}
    assert result["about"] == {"seed": 1}
    assert set(result["timings"]["a"]) >= {"seconds", "cpu_seconds", "threads", "load_average"}


def test_other_settings_are_another_experiment(tmp_path: Path) -> None:
    folders = set()
    for about in ({"seed": 1}, {"seed": 2}, {"seed": 1, "folds": 3}):
        with open_ledger(tmp_path, "curve", about) as ledger:
            folders.add(ledger.folder)
    assert len(folders) == 3


def test_the_same_experiment_twice_at_once_is_refused(tmp_path: Path) -> None:
    with open_ledger(tmp_path, "curve", {}), pytest.raises(TrainingError, match="under way"):
        open_ledger(tmp_path, "curve", {}).__enter__()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    ledgers.write_json(path, {"a": 1})

    def fails(*_args: object) -> Callable[[], None]:
        raise OSError("disk full")

    monkeypatch.setattr(ledgers.os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        ledgers.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def curve(home: Path, plan: CurvePlan, listener: Silent | None = None) -> dict[str, Any]:
    bench = bench_of(home, 48, listener)
    rows, tone = bench.examples, card_of(taskname="tone")
    home.mkdir(exist_ok=True)
    with open_store(f"sqlite:///{home / 'bank.db'}") as store:
        learn_task(store, bench.backbone, tone, rows[:8], rows[8:16], CONFIG, home=home, lm=bench.lm)
        path = run_curve(bench, plan, starts=store)
    return json.loads(path.read_text())


def test_a_curve_has_nested_samples_and_a_fold_for_each_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptbank.experiments.curve.LEAST_STEPS", 4)
    plan = CurvePlan(fractions=(1.0, 0.2), repeats=2, folds=3, inits=("text", "nearest", "from:tone:en"))
    result = curve(tmp_path / "home", plan)
    few, all_rows = result["results"]["points"]
    assert [point["fraction"] for point in (few, all_rows)] == [0.2, 1.0]
    assert few["rows"] == [max(1, round(0.2 * n)) for n in all_rows["rows"]]
    assert list(few["ptuned"]) == ["text", "nearest", "from:tone:en"]
    assert all(len(scores) == 2 for point in (few, all_rows) for scores in point["ptuned"].values())
    assert curve(tmp_path / "home", plan, KillAt(1)) == result


def test_a_new_row_of_the_bank_begins_a_curve_anew_only_if_a_curve_may_start_from_it(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, 16)
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        assert _startable(("nearest",), store, bench.backbone.fingerprint) == []
        rows = bench.examples
        learnt = learn_task(store, bench.backbone, card_of(), rows[:8], rows[8:], CONFIG, home=tmp_path, lm=bench.lm)
        fingerprint = bench.backbone.fingerprint
        assert _startable(("text", "labels"), store, fingerprint) == []
        assert _startable(("text", "nearest"), store, fingerprint) == [learnt.row.sha256]
        assert _startable(("from:mood:en",), store, fingerprint) == [learnt.row.sha256]


def test_few_rows_get_more_epochs(tmp_path: Path) -> None:
    small, large = examples_of(3), examples_of(40)
    config = CONFIG.model_copy(update={"epochs": 10, "patience": 4})
    longer = [_longer(config, Split(tuple(e), tuple(e), tuple(e)), "labels", 7) for e in (small, large)]
    assert [(c.epochs, c.patience, c.init, c.seed) for c in longer] == [(100, 40, "labels", 7), (10, 4, "labels", 7)]
