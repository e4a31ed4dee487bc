"""Experiments on deep prompts: each learns rows of kind deep.v1 and ends as it does for other rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptbank.bank.learn import learn_task
from promptbank.lab.experiments.compare import MethodComparison
from promptbank.lab.experiments.continual import run_continual
from promptbank.lab.experiments.crossval import run_crossval
from promptbank.lab.experiments.curve import CurvePlan, run_curve
from promptbank.lab.experiments.setup import ExperimentSetup, Lab
from promptbank.lab.experiments.stream import Stage, Stream
from promptbank.lab.experiments.sweep import SweepPlan, run_sweep
from promptbank.model.backbone import load_backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.progress import NoProgress
from store import open_store
from tasks import Split
from tests.killing import KillAfter, Killed
from tests.tiny import save_tiny
from tests.unit.test_experiment_compare import compared
from tests.unit.test_experiments import CONFIG, apart_from_timings, setup_of
from tests.worlds import BEFORE, card_of, examples_of

DEEP = CONFIG.model_copy(update={"kind": "deep"})


def deep_setup(home: Path, progress: NoProgress | None = None) -> ExperimentSetup:
    return replace(setup_of(home, 40, progress), config=DEEP)


def kinds_in(home: Path) -> set[str]:
    """The kinds of all rows that experiments froze in banks of their own."""
    found = set()
    for path in home.glob("runs/*/bank.db"):
        with open_store(f"sqlite:///{path}") as store:
            found |= {info.kind for info in store.rows.list()}
    return found


def crossval(setup: ExperimentSetup) -> Path:
    return run_crossval(setup, folds=2)


def sweep(setup: ExperimentSetup) -> Path:
    return run_sweep(setup, SweepPlan(settings=3, folds=2, rungs=2))


def curve(setup: ExperimentSetup) -> Path:
    """Also from a row of rows.v1 of another task."""
    home, tone = setup.lab.home, card_of(taskname="tone")
    home.mkdir(exist_ok=True)
    rows, config = setup.examples, DEEP.model_copy(update={"kind": "rows"})
    with open_store(f"sqlite:///{home / 'bank.db'}") as store:
        if not store.rows.list():
            learn_task(store, setup.lab.backbone, tone, rows[:8], rows[8:12], config, home=home, lm=setup.lab.lm)
        plan = CurvePlan(fractions=(1.0, 0.4), repeats=1, folds=3, inits=("text", "from:tone:en"))
        return run_curve(setup, plan, starts=store)


@pytest.mark.parametrize("experiment", [crossval, sweep, curve])
def test_a_killed_experiment_on_deep_prompts_ends_with_the_result_of_an_undisturbed_one(
    tmp_path: Path, experiment: Callable[[ExperimentSetup], Path]
) -> None:
    whole = experiment(deep_setup(tmp_path / "whole"))
    with pytest.raises(Killed):
        experiment(deep_setup(tmp_path / "killed", KillAfter(5)))
    again = experiment(deep_setup(tmp_path / "killed"))
    assert apart_from_timings(json.loads(again.read_text())) == apart_from_timings(json.loads(whole.read_text()))
    assert kinds_in(tmp_path / "whole") == kinds_in(tmp_path / "killed") == {"deep.v1"}


def test_the_same_experiment_on_rows_is_another_one_and_keeps_its_name(tmp_path: Path) -> None:
    def folder(kind: str) -> str:
        setup = replace(setup_of(tmp_path, 40), config=CONFIG.model_copy(update={"kind": kind}))
        with setup.open("crossval", {}) as opened:
            return opened.path.name

    assert folder("auto") == folder("rows") != folder("deep")


def test_a_stream_of_both_kinds_forgets_nothing_to_the_last_bit(tmp_path: Path) -> None:
    """Each stage is answered again by a new process, from the bank alone."""
    save_tiny("llama", tmp_path / "backbone")
    stages = []
    cards = [card_of(), card_of(taskname="tone"), card_of(BEFORE, taskname="gist", label_space=None)]
    for card, kind in zip(cards, ["deep", "rows", "deep"], strict=True):
        examples = examples_of(16, taskname=card.taskname)
        split = Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[12:]))
        stages.append(Stage(card, split, DEEP.model_copy(update={"kind": kind})))
    backbone = load_backbone(str(tmp_path / "backbone"), home=tmp_path / "home")
    lab = Lab(tmp_path / "home", backbone, LanguageModel(backbone.model), NoProgress())
    bank = json.loads(run_continual(lab, Stream("three", tuple(stages)), contrast=False).read_text())["results"]["bank"]
    assert bank["scores"]["forgetting"] == bank["scores"]["backward_transfer"] == 0
    assert bank["answers_moved"] == bank["faults"] == []
    assert kinds_in(tmp_path / "home") == {"deep.v1", "rows.v1"}


def test_deep_prompts_stand_beside_rows_in_a_comparison(tmp_path: Path) -> None:
    training: dict[str, Any] = {"epochs": 1, "batch_size": 4, "dtype": "float32"}
    found = compared(tmp_path, MethodComparison(("ptuning", "deep"), seeds=1, training=training), "mood", "tone")
    rows, deep = found.methods
    assert [method["method"] for method in found.methods] == ["ptuning.v1", "deep.v1"]
    assert (rows["stored_bytes"], deep["stored_bytes"]) == (4 * 4 * 32, 2 * 4 * 4 * 32)
    assert deep["trainable"] - rows["trainable"] == 4 * 32  # the vectors of the second of 2 layers
    assert "kind" not in rows["config"]
    assert deep["config"]["kind"] == "deep"
    assert deep["forgetting"]["mean"] == 0
