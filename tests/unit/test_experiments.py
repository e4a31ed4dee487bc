"""Experiments: scores of stored rows, folds as drawn, and a killed command that ends with the same result."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptbank.bank.learn import TrainingRequest, learn_task
from promptbank.errors import ConfigError, InputError, PromptBankError, TooLongError, TrainingError
from promptbank.lab.experiments import folder as folders
from promptbank.lab.experiments import trials
from promptbank.lab.experiments.arms import OtherLanguage
from promptbank.lab.experiments.crossval import run_crossval
from promptbank.lab.experiments.curve import CurvePlan, _reduced, run_curve
from promptbank.lab.experiments.folder import open_experiment
from promptbank.lab.experiments.setup import ExperimentSetup, Lab, Trial
from promptbank.lab.experiments.trials import run_trials
from promptbank.lab.methods import classic
from promptbank.lab.methods.classic import classical_scores
from promptbank.lab.reports.curve import curve_report
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress, Progress
from store import Store, open_store
from tasks import Split, SplitError, TaskCard, crossval_split
from tests.killing import KillAfter, Killed
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1, dev_fraction=0.25)
EVEN = CONFIG.split_rules(card_of(), folds="even.v1")


def setup_of(home: Path, rows: int, progress: Progress | None = None) -> ExperimentSetup:
    backbone = tiny_backbone("llama")
    lm = LanguageModel(backbone.model)
    return ExperimentSetup(Lab(home, backbone, lm, progress or NoProgress()), card_of(), examples_of(rows), CONFIG)


def crossval(home: Path, progress: NoProgress | None = None) -> dict[str, Any]:
    path = run_crossval(setup_of(home, 32, progress), folds=3)
    return json.loads(path.read_text())


def apart_from_timings(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != "timings"}


def test_a_missing_package_is_told_before_anything_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(PromptBankError, match="needs scikit-learn"):
        crossval(tmp_path, KillAfter(1))


def test_a_newer_package_makes_its_own_cells_anew_and_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = crossval(tmp_path)
    monkeypatch.setattr(classic, "tfidf_version", lambda: "9.9")
    again = crossval(tmp_path, KillAfter(1))
    assert again["results"] == first["results"]
    assert sum(name.endswith("sklearn-9.9") for name in again["timings"]) == 3


def test_every_row_is_in_the_test_part_of_its_fold_alone(tmp_path: Path) -> None:
    result = crossval(tmp_path)
    examples = examples_of(32)
    predicted = [fold["predicted"] for fold in result["results"]["ptuned"]]
    assert sorted(i for fold in predicted for i in fold) == sorted(e.id for e in examples)
    for k, fold in enumerate(predicted):  # the folds themselves are checked in tests/cases/test_few_examples.py
        assert list(fold) == [e.id for e in crossval_split(examples, 3, k, 0.25, rules=EVEN).test]


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
        crossval(tmp_path / "killed", KillAfter(steps))
    assert apart_from_timings(crossval(tmp_path / "killed")) == apart_from_timings(whole)


def test_a_finished_experiment_is_not_done_again(tmp_path: Path) -> None:
    first = crossval(tmp_path)
    assert crossval(tmp_path, KillAfter(1)) == first


def test_trials_come_in_groups_and_only_missing_ones_are_learnt(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 16)
    examples = setup.examples
    split = Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[12:]))
    trials = [Trial(f"t{n}", card_of(), split, CONFIG.model_copy(update={"seed": n})) for n in range(3)]
    with open_experiment(tmp_path, "sweep", {}) as folder:
        first = run_trials(folder, setup, trials[:2], together=2)
        both = run_trials(folder, replace(setup, lab=replace(setup.lab, progress=KillAfter(99))), trials, together=2)
    assert {name: both[name] for name in first} == first
    assert len({result["row_sha256"] for result in both.values()}) == 3


def test_test_rows_that_do_not_fit_are_told_before_a_trial_is_learnt(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 16, KillAfter(1))
    longer = replace(setup.examples[15], fields={"sentence": "up and " * 200})
    split = Split(tuple(setup.examples[:8]), tuple(setup.examples[8:12]), (*setup.examples[12:15], longer))
    trial = Trial("t", card_of(truncate_field=None), split, CONFIG)
    with open_experiment(tmp_path, "curve", {}) as folder, pytest.raises(TooLongError, match=f"^{longer.source}: "):
        run_trials(folder, setup, [trial])


def test_a_part_is_made_once_and_kept(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict[str, Any]:
        calls.append(1)
        return {"n": len(calls)}

    for _ in range(2):
        with open_experiment(tmp_path, "curve", {"seed": 1}) as folder:
            assert folder.part("a", make) == {"n": 1}
            result = json.loads(folder.finish({"a": 1}).read_text())
    assert result["results"] == {"a": 1}
    assert result["about"] == {"seed": 1, "processor": folders.processor()}
    assert set(result["timings"]["a"]) >= {"seconds", "cpu_seconds", "threads", "load_average"}


def test_other_settings_are_another_experiment(tmp_path: Path) -> None:
    paths = set()
    for about in ({"seed": 1}, {"seed": 2}, {"seed": 1, "folds": 3}):
        with open_experiment(tmp_path, "curve", about) as folder:
            paths.add(folder.path)
    assert len(paths) == 3


def test_what_decides_nothing_is_told_and_makes_no_other_experiment(tmp_path: Path) -> None:
    paths, told = set(), []
    for name in ("gemma", "the same under another name"):
        with open_experiment(tmp_path, "curve", {"seed": 1}, {"backbone": name}) as folder:
            paths.add(folder.path)
            told.append(json.loads(folder.finish({}).read_text())["about"]["backbone"])
    assert len(paths) == 1
    assert told == ["gemma", "the same under another name"]


def test_the_same_experiment_twice_at_once_is_refused(tmp_path: Path) -> None:
    with open_experiment(tmp_path, "curve", {}), pytest.raises(TrainingError, match="under way"):
        open_experiment(tmp_path, "curve", {}).__enter__()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    folders.write_json(path, {"a": 1})

    def fails(*_args: object) -> Callable[[], None]:
        raise OSError("disk full")

    monkeypatch.setattr("promptbank.files.os.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        folders.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def curve(home: Path, plan: CurvePlan, progress: NoProgress | None = None) -> dict[str, Any]:
    setup = setup_of(home, 48, progress)
    rows, tone = setup.examples, card_of(taskname="tone")
    home.mkdir(exist_ok=True)
    with open_store(f"sqlite:///{home / 'bank.db'}") as store:
        learn_task(store, setup.lab.backbone, tone, rows[:8], rows[8:16], CONFIG, home=home, lm=setup.lab.lm)
        path = run_curve(setup, plan, starts=store)
    return json.loads(path.read_text())


def test_a_curve_has_nested_samples_and_a_fold_for_each_repeat(tmp_path: Path) -> None:
    plan = CurvePlan(fractions=(1.0, 0.2), repeats=2, folds=3, inits=("text", "nearest", "from:tone:en"))
    result = curve(tmp_path / "home", plan)
    few, all_rows = result["results"]["points"]
    assert [point["fraction"] for point in (few, all_rows)] == [0.2, 1.0]
    assert few["rows"] == [max(1, round(0.2 * n)) for n in all_rows["rows"]]
    setup = setup_of(tmp_path, 32)
    for repeat in range(2):
        some, every = (_reduced(setup.examples, 3, repeat, share, CONFIG) for share in (0.2, 1.0))
        assert {e.id for e in some.train} < {e.id for e in every.train}
        assert some.test == every.test
    assert list(few["ptuned"]) == ["text", "nearest", "from:tone:en"]
    assert all(len(scores) == 2 for point in (few, all_rows) for scores in point["ptuned"].values())
    assert curve(tmp_path / "home", plan, KillAfter(1)) == result


def digest_of(setup: ExperimentSetup) -> str:
    with setup.open("crossval", {}) as folder:
        return folder.path.name


def test_an_experiment_is_another_one_for_what_decides_it_alone(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 8)

    def changed(**settings: object) -> ExperimentSetup:
        return replace(setup, config=CONFIG.model_copy(update=settings))

    def with_card(card: TaskCard) -> ExperimentSetup:
        return replace(setup, card=card)

    renamed = Backbone(**{**vars(setup.lab.backbone), "name": "another name"})
    turned = card_of(label_space={label: list(f) for label, f in reversed((card_of().label_space or {}).items())})
    same = [
        setup,
        changed(cache_bytes=1),
        changed(checkpoint_steps=7),
        replace(setup, lab=replace(setup.lab, backbone=renamed)),
    ]
    other = [changed(seed=1), changed(dtype="bfloat16"), with_card(turned), with_card(card_of(splits=(5,)))]
    assert len({digest_of(one) for one in same}) == 1
    assert len({digest_of(one) for one in (setup, *other)}) == 1 + len(other)
    with changed(dtype="bfloat16").open("crossval", {}) as folder:
        assert folder.about["trained_in"] == "bfloat16 weights"


def test_a_group_that_was_learnt_is_found_again_when_its_cell_was_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = crossval(tmp_path / "whole")
    write = folders.write_json

    def kill(path: Path, content: object) -> None:
        if path.name == "training-fold-0.json":
            raise Killed
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "write_json", kill)
        with pytest.raises(Killed):
            crossval(tmp_path / "killed")
    again = crossval(tmp_path / "killed", KillAfter(1))  # no step is made again
    assert apart_from_timings(again) == apart_from_timings(whole)
    folder = next((tmp_path / "killed" / "runs").iterdir())
    with open_store(f"sqlite:///{folder / 'bank.db'}") as store:
        assert sorted(info.version for info in store.rows.list()) == [1, 2, 3]
    assert not (folder / "runs").exists()  # where encoders were


@pytest.mark.parametrize("init", ["nearest", "from:tone:en"])
def test_a_cross_validation_starts_from_no_stored_row(tmp_path: Path, init: str) -> None:
    setup = replace(setup_of(tmp_path, 32), config=CONFIG.model_copy(update={"init": init}))
    with pytest.raises(ConfigError, match=f"init '{init}' is not possible in a crossval: .*; take text, labels"):
        run_crossval(setup, folds=3)


def learn(store: Store, setup: ExperimentSetup, card: TaskCard, seed: int = 0) -> str:
    rows, config = setup.examples, CONFIG.model_copy(update={"seed": seed})
    return learn_task(
        store, setup.lab.backbone, card, rows[:8], rows[8:16], config, home=setup.lab.home, lm=setup.lab.lm
    ).row.sha256


def test_a_curve_never_starts_from_a_row_of_the_task_itself(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 48)
    plan = CurvePlan((1.0,), 2, 3, ("nearest",))
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        for card in (card_of(), card_of(lang="sv"), card_of(taskname="tone")):
            learn(store, setup, card)
        result = json.loads(run_curve(setup, plan, starts=store).read_text())
        for named in ("from:mood:en", "from:mood:sv@1"):
            with pytest.raises(ConfigError, match="may have learnt the rows that are tested on"):
                run_curve(setup, replace(plan, inits=(named,)), starts=store)
    (point,) = result["results"]["points"]
    assert len(point["starts"]["nearest"]) == 2
    assert set(point["starts"]["nearest"]) <= {"text", "tone:en@1"}
    notes = [note for trial in point["trials"] for note in trial["notes"]]
    assert [note.startswith("starts from ") and "mood:" not in note for note in notes] == [True, True]
    shown = {part.title: part for part in curve_report(result).parts}
    assert [list(row) for row in shown["Starts"].rows] == [["100%", "nearest", ", ".join(point["starts"]["nearest"])]]
    assert [row[1] for row in shown["Notes of the trainings"].rows] == notes


def test_a_curve_starts_from_another_language_that_learnt_no_group_of_the_tested_fold(tmp_path: Path) -> None:
    setup = replace(setup_of(tmp_path, 48), card=card_of(lang="sv"))
    other = OtherLanguage(
        card_of(), [replace(e, fields={"sentence": f"{e.fields['sentence']} en"}) for e in setup.examples]
    )
    moved = replace(other, examples=[replace(e, group="elsewhere") for e in other.examples])
    plan = CurvePlan((0.5,), 3, 2, ("text", "from:mood:en"))
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        path = run_curve(setup, plan, starts=store, other=other)
        with pytest.raises(ConfigError, match="en is learnt to be started from; name it: --start from:mood:en"):
            run_curve(setup, replace(plan, inits=("text",)), starts=store, other=other)
        with pytest.raises(InputError, match="keep id and group"):
            run_curve(setup, plan, starts=store, other=moved)
    (point,) = json.loads(path.read_text())["results"]["points"]
    assert point["starts"] == {"text": ["text"] * 3, "from:mood:en": ["mood:en@1", "mood:en@2", "mood:en@1"]}
    assert len(list((path.parent / "cells").glob("from.mood.en-*.json"))) == 2  # the third repeat tests a fold again
    for fold in range(2):
        (cell,) = (path.parent / "cells").glob(f"from.mood.en-*-{fold}.json")
        before = json.loads(cell.read_text())["result"]
        tested = {e.id for e in crossval_split(setup.examples, 2, fold, CONFIG.dev_fraction).test}
        assert set(before["predicted"]) == tested  # its test part is the one of the repeat, so it learnt none of it


def test_a_curve_learns_from_no_language_whose_rows_cannot_be_told_from_the_tested_ones(tmp_path: Path) -> None:
    setup = replace(setup_of(tmp_path, 48, KillAfter(1)), card=card_of(lang="sv"))
    texts = [f"{e.fields['sentence']} en" for e in setup.examples]
    texts[0] = setup.examples[0].fields["sentence"]  # the same in both languages, so with the same hash for a group
    rows = [replace(e, id=f"en-{e.id}", fields={"sentence": t}) for e, t in zip(setup.examples, texts, strict=True)]
    lost = [replace(e, group=f"en-{e.group}" if n else e.group) for n, e in enumerate(rows)]
    plan = CurvePlan((0.5,), 2, 2, ("from:mood:en",))
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        with pytest.raises(InputError, match=r"none of the 48 rows .* has the id, or the group, of a tested one"):
            run_curve(setup, plan, starts=store, other=OtherLanguage(card_of(), lost))
        with pytest.raises(Killed):  # groups alone are enough to keep them apart
            run_curve(setup, plan, starts=store, other=OtherLanguage(card_of(), rows))


def test_what_a_curve_cannot_do_is_told_before_another_language_is_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = replace(setup_of(tmp_path, 48, KillAfter(1)), card=card_of(lang="sv"))
    other, plan = OtherLanguage(card_of(), setup.examples), CurvePlan((0.5,), 2, 2, ("from:mood:en",))
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        with pytest.raises(SplitError, match="no example left for"):
            run_curve(replace(setup, examples=setup.examples[:2]), plan, starts=store, other=other)
        with pytest.raises(SplitError, match=r"a share of 50\.0"):
            run_curve(setup, replace(plan, fractions=(0.5, 50.0)), starts=store, other=other)
        monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
        with pytest.raises(PromptBankError, match="needs scikit-learn"):
            run_curve(setup, plan, starts=store, other=other)
    assert not (tmp_path / "runs").exists()


def test_a_curve_learns_anew_when_what_it_may_start_from_is_another(tmp_path: Path) -> None:
    setup, tone = setup_of(tmp_path, 48), card_of(taskname="tone")
    plan, cells = CurvePlan((1.0,), 1, 3, ("nearest", "from:tone:en")), list[set[str]]()
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:

        def startable() -> dict[str, list[str]]:
            path = run_curve(setup, plan, starts=store)
            cells.append({cell.name for cell in path.parent.glob("cells/*") if "1-text" not in cell.name})
            found: dict[str, list[str]] = json.loads(path.read_text())["about"]["rows_to_start_from"]
            return found

        first = learn(store, setup, tone)
        assert startable() == {"nearest": [first], "from:tone:en": [first]}
        second = learn(store, setup, tone, seed=9)
        assert startable() == {"nearest": [second], "from:tone:en": [second]}
        store.aliases.move(store.rows.list(taskname="tone")[0].scope, 1, "live", reason="back")
        assert startable() == {"nearest": [first], "from:tone:en": [first]}
    assert cells[0] < cells[1] == cells[2]  # back at the first rows, nothing is learnt again


def test_few_dev_rows_have_both_labels_and_one_label_alone_is_warned_of(tmp_path: Path) -> None:
    setup = setup_of(tmp_path, 96)
    for repeat in range(6):
        assert len({e.answer for e in _reduced(setup.examples, 6, repeat, 0.1, CONFIG).dev}) == 2
    dev = [e for e in setup.examples[8:] if e.answer == "positive"][:3]
    with open_store(f"sqlite:///{tmp_path / 'bank.db'}") as store:
        learnt = learn_task(
            store, setup.lab.backbone, setup.card, setup.examples[:8], dev, CONFIG, home=tmp_path, lm=setup.lab.lm
        )
    blind, little = learnt.warnings[-2:]
    assert "all 3 dev examples are 'positive', so the epoch was chosen blindly" in blind
    assert little.startswith(
        "a dev score of 3 examples says little: differences below 0.38 may be luck"
    )  # 2 * 0.5 / 7**0.5


def test_fractions_and_starts_are_added_to_a_curve(tmp_path: Path) -> None:
    few = curve(tmp_path / "home", CurvePlan((0.5,), 2, 3, ("text",)))
    more = curve(tmp_path / "home", CurvePlan((0.5, 1.0), 2, 3, ("text", "labels")))
    again = curve(tmp_path / "home", CurvePlan((0.5,), 2, 3, ("text",)), KillAfter(1))
    assert again["results"] == few["results"]
    assert more["results"]["points"][0]["ptuned"]["text"] == few["results"]["points"][0]["ptuned"]["text"]


def test_the_seed_of_a_curve_draws_other_rows_and_trains_with_another_seed(
    tmp_path: Path, fresh_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = examples_of(200)
    drawn = [_reduced(examples, 3, 1, 0.1, CONFIG.model_copy(update={"seed": seed})).train for seed in (0, 5)]
    assert drawn[0] != drawn[1]
    seeds: list[list[int]] = []

    def noted(_store: Store, _backbone: Backbone, lessons: list[TrainingRequest], **_options: object) -> None:
        seeds.append([lesson.config.seed for lesson in lessons])
        raise Killed

    monkeypatch.setattr(trials, "learn_trials", noted)
    for seed in (0, 5):
        setup = replace(setup_of(tmp_path, 48), config=CONFIG.model_copy(update={"seed": seed}))
        with pytest.raises(Killed):
            run_curve(setup, CurvePlan((0.5,), 4, 3), starts=fresh_store)
    assert seeds == [[0, 1, 2, 3], [5, 6, 7, 8]]


def test_repeats_beyond_the_folds_begin_with_the_first_fold_again_and_draw_other_rows() -> None:
    examples = examples_of(200)
    first, again = (_reduced(examples, 3, repeat, 0.1, CONFIG) for repeat in (1, 4))
    assert first.test == again.test
    assert {e.id for e in first.train} != {e.id for e in again.train}
    with pytest.raises(ConfigError, match="repeats is 0; at least 1"):
        CurvePlan(repeats=0)


def test_a_curve_of_open_answers_is_refused(tmp_path: Path, fresh_store: Store) -> None:
    with pytest.raises(InputError, match="a curve goes by accuracy"):
        run_curve(replace(setup_of(tmp_path, 16), card=card_of(label_space=None)), CurvePlan(), starts=fresh_store)


def test_tfidf_answers_the_only_label_that_it_saw_and_says_how_many_rows_it_learnt_from() -> None:
    positive, negative = (tuple(e for e in examples_of(32) if e.answer == label) for label in ("positive", "negative"))
    cell = classical_scores(card_of(), Split(positive[:5], positive[5:8], negative[:4] + positive[8:10]))
    assert set(cell["tfidf"]["predicted"].values()) == {"positive"}
    assert cell["tfidf"]["test"]["accuracy"] == 2 / 6
    assert (cell["tfidf"]["rows"], cell["majority"]["rows"]) == (8, 8)
    assert cell["tfidf"]["warnings"] == ["all of its 8 rows are 'positive', which it answers always"]
