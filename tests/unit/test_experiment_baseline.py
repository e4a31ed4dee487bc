"""Baselines on grouped folds: figures from scikit-learn, cells that are made once, and the command."""

import importlib.metadata
import json
import statistics
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from promptbank.cli import build_app, progress
from promptbank.engine.prior import prior_of
from promptbank.errors import ConfigError, InputError
from promptbank.lab.experiments.baseline import BaselineSettings, run_baseline
from promptbank.lab.experiments.folder import processor
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.methods.calibration import calibrated
from promptbank.lab.methods.classic import TfidfLogistic
from promptbank.lab.methods.icl import InContext, draw_shots
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from tasks import Example, SplitError, TaskCard, crossval_split
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

metrics = pytest.importorskip("sklearn.metrics")

CARD = card_of()
ROWS = examples_of(48)
SMALL = BaselineSettings(folds=2, shots=(0, 2), seeds=2)


@dataclass
class Baseline:
    path: Path
    results: dict


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return tiny_backbone("llama", window=1024)


def run(
    home: Path, backbone: Backbone, settings: BaselineSettings = SMALL, card: TaskCard = CARD, **options
) -> Baseline:
    lm = LanguageModel(backbone.model)
    path = run_baseline(Lab(home, backbone, lm), card, options.pop("examples", ROWS), settings, **options)
    return Baseline(path, json.loads(path.read_text())["results"])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, backbone: Backbone) -> Baseline:
    return run(tmp_path_factory.mktemp("home"), backbone)


def method(result: Baseline, *wanted: object) -> dict:
    found = [m for m in result.results["methods"] if (m["method"], m["shots"], m["calibration"]) == wanted]
    assert len(found) == 1
    return found[0]


def test_every_method_number_of_shots_and_calibration_is_there_once(done: Baseline) -> None:
    found = [(m["method"], m["shots"], m["calibration"]) for m in done.results["methods"]]
    icl = [("icl", shots, name) for shots in (0, 2) for name in ("none", "diag", "identity", "batch")]
    assert found == [("majority", None, None), ("tfidf", None, None), ("tfidf_train", None, None), *icl]


def test_every_row_is_predicted_once_for_each_seed(done: Baseline) -> None:
    for m in done.results["methods"]:
        assert [s["seed"] for s in m["seeds"]] == ([None] if m["shots"] is None else [0] if m["shots"] == 0 else [0, 1])
        for seed in m["seeds"]:
            assert set(seed["predicted"]) == {e.id for e in ROWS}


def test_the_examples_carry_their_fold_group_and_gold_label(done: Baseline) -> None:
    expected = {
        e.id: {"fold": k, "group": e.group, "gold": e.answer}
        for k in range(2)
        for e in crossval_split(ROWS, 2, k, 0.1).test
    }
    assert done.results["examples"] == expected
    assert done.results["rows"] == len(ROWS)


def test_scores_of_a_fold_are_those_of_scikit_learn(done: Baseline) -> None:
    for m in done.results["methods"]:
        for seed in m["seeds"]:
            for fold in seed["folds"]:
                test = crossval_split(ROWS, 2, fold["fold"], 0.1).test
                gold, predicted = [e.answer for e in test], [seed["predicted"][e.id] for e in test]
                assert fold["n"] == len(test)
                assert fold["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted))
                assert fold["macro_f1"] == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))


def test_means_and_deviations_are_over_folds_and_over_seeds(done: Baseline) -> None:
    m = method(done, "icl", 2, "none")
    (a, b), (c, d) = ([fold["accuracy"] for fold in seed["folds"]] for seed in m["seeds"])
    assert m["accuracy"] == {
        "mean": pytest.approx((a + b + c + d) / 4),
        "sd_folds": pytest.approx(statistics.stdev([(a + c) / 2, (b + d) / 2])),
        "sd_seeds": pytest.approx(statistics.stdev([(a + b) / 2, (c + d) / 2])),
    }
    assert method(done, "tfidf", None, None)["accuracy"]["sd_seeds"] is None


def test_tfidf_learns_from_train_and_dev_and_from_train_alone(
    tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[set[str]] = []
    fit = TfidfLogistic.fit
    monkeypatch.setattr(
        TfidfLogistic, "fit", lambda card, known: learnt.append({e.id for e in known}) or fit(card, known)
    )
    result = run(tmp_path, backbone, BaselineSettings(folds=2, shots=(), seeds=1))
    monkeypatch.undo()
    splits = [crossval_split(ROWS, 2, k, 0.1) for k in range(2)]
    assert learnt == [{e.id for e in known} for s in splits for known in ((*s.train, *s.dev), s.train)]
    for split in splits:
        expected = TfidfLogistic.fit(CARD, split.train).predict(split.test)
        predicted = method(result, "tfidf_train", None, None)["seeds"][0]["predicted"]
        assert [predicted[e.id] for e in split.test] == expected


@pytest.mark.parametrize("name", ["none", "diag", "identity", "batch"])
def test_in_context_predictions_are_those_of_the_calibrated_scores(
    done: Baseline, backbone: Backbone, name: str
) -> None:
    split = crossval_split(ROWS, 2, 1, 0.1)
    icl = InContext(LanguageModel(backbone.model), backbone, CARD, draw_shots(split.train, 2, 1))
    prior = prior_of(icl.content_free(2))
    rows = calibrated(name, [r.scores for r in icl.score([e.fields for e in split.test])], [prior] * len(split.test))
    predicted = method(done, "icl", 2, name)["seeds"][1]["predicted"]
    assert [predicted[e.id] for e in split.test] == [max(row, key=row.__getitem__) for row in rows]


def test_shots_come_from_the_training_rows_of_the_fold(done: Baseline) -> None:
    for k in range(2):
        train = {e.id for e in crossval_split(ROWS, 2, k, 0.1).train}
        cells = [json.loads(p.read_text())["result"] for p in done.path.parent.glob(f"cells/fold-{k}.shots-2.*.json")]
        assert len(cells) == 2
        assert all(set(cell["shots"]) <= train and len(cell["shots"]) == 2 for cell in cells)


def test_the_result_file_holds_all_that_decides_it(done: Baseline, backbone: Backbone) -> None:
    content = json.loads(done.path.read_text())
    assert content["results"] == done.results
    about = content["about"]
    assert (about["fingerprint"], about["scores"], about["rows"]) == (backbone.fingerprint, "float32", 48)
    assert {"torch", "transformers", "promptbank"} <= set(about["packages"])
    assert about["tfidf"] == {"c": 10, "longest_phrase": 2, "most_iterations": 1000}
    assert f"classical-fold-0.sklearn-{importlib.metadata.version('scikit-learn')}" in content["timings"]
    assert (about["backbone"], about["processor"]) == (backbone.name, processor())
    assert about["settings"] == {"folds": 2, "instruction": True, "dev_fraction": 0.1}
    assert (about["shots"], about["seeds"]) == ([0, 2], 2)
    assert len(content["timings"]) == 2 * (1 + 1 + 2)


def test_a_second_run_computes_nothing_and_ends_the_same(
    tmp_path: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path, backbone)
    (first.path.parent / "cells" / "fold-1.shots-2.seed-1.json").unlink()
    scored: list[int] = []
    score = InContext.score
    monkeypatch.setattr(
        InContext, "score", lambda self, rows, **options: scored.append(len(rows)) or score(self, rows, **options)
    )
    assert run(tmp_path, backbone, calibrate=["batch"]).results == first.results
    assert scored == [len(crossval_split(ROWS, 2, 1, 0.1).test)]


def test_other_settings_rows_and_label_orders_are_other_experiments(tmp_path: Path, backbone: Backbone) -> None:
    settings = BaselineSettings(folds=2, shots=(0,), seeds=1)
    assert CARD.label_space is not None
    turned = card_of(label_space={label: list(CARD.label_space[label]) for label in reversed(CARD.label_space)})
    paths = {
        run(tmp_path, backbone, settings).path,
        run(tmp_path, backbone, replace(settings, instruction=False)).path,
        run(tmp_path, backbone, settings, turned).path,
        run(tmp_path, backbone, settings, examples=ROWS[1:]).path,
    }
    assert len(paths) == 4


def test_progress_counts_rows_over_everything(tmp_path: Path, backbone: Backbone) -> None:
    seen: list[tuple[int, int]] = []
    run(tmp_path, backbone, on_rows=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {48 * 3}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (144, 144)
    assert len(seen) > 6


def test_dropped_shots_and_cut_records_are_counted(tmp_path: Path) -> None:
    tight = tiny_backbone("llama", window=76)
    result = run(tmp_path, tight)
    m = method(result, "icl", 2, "diag")
    cells = [json.loads(p.read_text())["result"] for p in result.path.parent.glob("cells/fold-*.shots-2.*.json")]
    rows = [row for cell in cells for row in cell["rows"].values()]
    assert m["rows_with_fewer_shots"] == sum(row["shots"] < 2 for row in rows) > 0
    assert m["rows_truncated"] == sum(row["truncated"] > 0 for row in rows) > 0


def test_small_folds_go_without_batch_and_refuse_it_before_anything_runs(tmp_path: Path, backbone: Backbone) -> None:
    few, settings = ROWS[:18], BaselineSettings(folds=3, shots=(0,), seeds=1, dev_fraction=0.3)
    with pytest.raises(ConfigError, match="at least 8 of them"):
        run(tmp_path, backbone, settings, calibrate=["none", "batch"], examples=few)
    assert list(tmp_path.iterdir()) == []
    found = run(tmp_path, backbone, settings, examples=few).results["methods"]
    assert {m["calibration"] for m in found} == {None, "none", "diag", "identity"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "folds is 1; at least 2"),
        ({"seeds": 0}, "seeds is 0"),
        ({"shots": (0, -1)}, r"shots is \[0, -1\]"),
        ({"shots": (4, 4)}, r"shots is \[4, 4\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BaselineSettings(**settings)


def test_what_cannot_be_done_is_refused_before_anything_runs(tmp_path: Path, backbone: Backbone) -> None:
    with pytest.raises(InputError, match="open answers"):
        run(tmp_path, backbone, card=card_of(label_space=None))
    with pytest.raises(ConfigError, match="64 shots cannot be drawn"):
        run(tmp_path, backbone, BaselineSettings(folds=2, shots=(64,)))
    with pytest.raises(ConfigError, match="unknown calibration"):
        run(tmp_path, backbone, calibrate=["platt"])
    with pytest.raises(SplitError):
        run(tmp_path, backbone, BaselineSettings(folds=40))
    twice: list[Example] = [*ROWS, ROWS[0]]
    with pytest.raises(InputError, match="an id stands twice"):
        run(tmp_path, backbone, examples=twice)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("home")
def test_the_command_prints_a_line_a_method_and_names_the_result_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    arguments = ["baseline", "--task", "sentiment-task", "--data", "data.jsonl", "--folds", "2", "--shots", "0"]
    arguments += ["--dev-fraction", "0.4"]

    def asked(*more: str):
        return CliRunner().invoke(build_app(), [*arguments, *more])

    result = asked("--shots", "1", "--seeds", "1", "--calibrate", "diag", "--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    names = [(line["method"], line["shots"], line["calibration"]) for line in lines]
    assert names == [(n, None, None) for n in ("majority", "tfidf", "tfidf_train")] + [
        ("icl", 0, "diag"),
        ("icl", 1, "diag"),
    ]
    told = [line.split(" ")[0].split("/") for line in result.stderr.splitlines() if line.endswith(" examples scored")]
    assert told[-1][0] == told[-1][1]  # a log hears of every row, and the last line is the whole
    path = Path(result.stderr.split("result: ")[1].splitlines()[0])
    assert json.loads(path.read_text())["kind"] == "baseline"
    refused = asked("--calibrate", "nonsense")
    assert refused.exit_code == 1
    assert "unknown calibration 'nonsense'; known:" in refused.stderr
    table = asked("--shots", "1", "--seeds", "1")
    assert "macro f1" in table.stdout
    assert "none" in table.stdout


def test_even_folds_are_those_of_a_cross_validation_and_the_rule_of_before_keeps_its_identity() -> None:
    before, even = BaselineSettings(folds=3), BaselineSettings(folds=3, fold_rule="even.v1")
    assert set(before.decisive()) == {"folds", "instruction", "dev_fraction"}  # as folders of earlier versions have it
    assert even.decisive() == before.decisive() | {"fold_rule": "even.v1"}
    card, examples = card_of(), examples_of(24)
    rules = TrainConfig().split_rules(card, folds="even.v1")  # what `promptbank crossval` divides by
    for fold in range(3):
        theirs = crossval_split(examples, 3, fold, 0.1, rules=rules)
        assert crossval_split(examples, 3, fold, 0.1, rules=even.rules(card)) == theirs
        assert Counter(e.answer for e in theirs.test) == {"positive": 4, "negative": 4}
    with pytest.raises(ConfigError, match="fold rule 'odd' is none of hash"):
        BaselineSettings(fold_rule="odd")
