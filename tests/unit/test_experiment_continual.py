"""A stream of tasks: nothing is forgotten, and what would be forgotten is seen."""

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable
from dataclasses import fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch

from promptbank.errors import ConfigError, TooLongError
from promptbank.lab.experiments import continual, fresh_process
from promptbank.lab.experiments import folder as folders
from promptbank.lab.experiments.continual import run_continual
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.experiments.stream import Stage, Stream, read_stream
from promptbank.lab.reports.continual import continual_report
from promptbank.model.backbone import load_backbone
from promptbank.model.forward import LanguageModel
from promptbank.report.parts import Table
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress
from store import NewRow, Store, open_store
from tasks import Split, crossval_split
from tests.killing import KillAfter, Killed
from tests.tiny import save_tiny
from tests.unit.test_experiments import apart_from_timings
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.05, dtype="float32", checkpoint_steps=1)


def stream() -> Stream:
    cards = [card_of(), card_of(taskname="tone"), card_of(BEFORE, taskname="gist", label_space=None)]
    stages = []
    for n, card in enumerate(cards):
        examples = examples_of(16, taskname=card.taskname, offset=n)
        stages.append(Stage(card, Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[12:])), CONFIG))
    return Stream("three", tuple(stages))


def run(
    home: Path,
    progress: NoProgress | None = None,
    *,
    contrast: bool = False,
    on_stage: Callable[[str], None] = lambda _: None,
    tasks: Stream | None = None,
) -> dict[str, Any]:
    home.parent.mkdir(exist_ok=True)
    if not (home.parent / "backbone").exists():
        save_tiny("llama", home.parent / "backbone")
    home.mkdir(exist_ok=True)
    backbone = load_backbone(str(home.parent / "backbone"), home=home)
    lm = LanguageModel(backbone.model)
    lab = Lab(home, backbone, lm, progress or NoProgress())
    path = run_continual(lab, tasks or stream(), contrast=contrast, on_stage=on_stage)
    return json.loads(path.read_text())


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process, where a test is not about processes: starting one takes seconds."""
    if "new_process" not in request.keywords:

        def in_this_process(*about: Any) -> dict[str, Any]:
            return fresh_process.score_bank(*about, torch.get_num_threads())

        monkeypatch.setattr(continual, "score_in_new_process", in_this_process)


@pytest.mark.new_process
def test_nothing_is_forgotten_to_the_last_bit(tmp_path: Path) -> None:
    bank = run(tmp_path / "home")["results"]["bank"]
    assert [len(row) for row in bank["matrix"]] == [1, 2, 3]
    assert bank["scores"]["forgetting"] == bank["scores"]["backward_transfer"] == 0
    assert bank["answers_moved"] == bank["faults"] == []


class Meddler:
    """Changes the bank behind the stream's back, when its second task was learnt and nothing is answered yet."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(self, said: str) -> None:
        if said == "a new process answers 2 tasks":
            self.meddle(next((self._home / "runs").glob("continual-*")) / "bank.db")

    def meddle(self, bank: Path) -> None:
        raise NotImplementedError


class ChangedByte(Meddler):
    def meddle(self, bank: Path) -> None:
        with contextlib.closing(sqlite3.connect(bank)) as db, db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute("UPDATE prompt_row SET data = CAST(X'00' || substr(data, 2) AS BLOB) WHERE taskname = 'mood'")


class RepointedAlias(Meddler):
    def meddle(self, bank: Path) -> None:
        with open_store(f"sqlite:///{bank}") as store:
            scopes = {info.scope.taskname: info.scope for info in store.rows.list()}
            own, other = (store.rows.get(scopes[name], 1) for name in ("mood", "tone"))
            values = {field.name: getattr(own, field.name) for field in fields(NewRow)}
            stranger = store.rows.freeze(NewRow(**values | {"data": other.data, "sha256": other.sha256}))
            store.aliases.move(scopes["mood"], stranger.version, reason="a mistake")


def test_one_changed_byte_is_forgetting(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = run(home, on_stage=ChangedByte(home))
    bank = result["results"]["bank"]
    assert bank["matrix"][1][0] == bank["matrix"][2][0] == 0
    assert bank["scores"]["forgetting"] > 0
    assert bank["answers_moved"] == ["mood:en after task 2", "mood:en after task 3"]
    assert bank["faults"]
    assert "answers moved" in continual_report(result).summary


@pytest.mark.new_process
def test_a_changed_byte_is_seen_by_a_new_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    two = Stream("two", stream().stages[:2])
    bank = run(home, on_stage=ChangedByte(home), tasks=two)["results"]["bank"]
    assert bank["answers_moved"] == ["mood:en after task 2"]
    assert bank["faults"]


def test_a_repointed_alias_moves_the_answers_even_where_the_score_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = run(home, on_stage=RepointedAlias(home))
    bank = result["results"]["bank"]
    assert bank["answers_moved"] == ["mood:en after task 2", "mood:en after task 3"]
    summary = continual_report(result).summary
    assert (
        f"Forgetting of the bank: {bank['scores']['forgetting']:g}, but answers moved: mood:en after task 2" in summary
    )


def killer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Kill the command right before a file of this name is written."""
    write = folders.write_json

    def kill(path: Path, content: object) -> None:
        if fnmatch(path.name, name):
            raise Killed
        write(path, content)

    monkeypatch.setattr(folders, "write_json", kill)


@pytest.mark.parametrize("cell", ["learn-0.json", "contrast-*-1.json", "contrast-*-2.json"])
def test_a_stream_killed_before_a_cell_was_written_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str
) -> None:
    whole = run(tmp_path / "a" / "home", contrast=True)
    with monkeypatch.context() as patch:
        killer(patch, cell)
        with pytest.raises(Killed):
            run(tmp_path / "b" / "home", contrast=True)
    again = run(tmp_path / "b" / "home", contrast=True)
    assert apart_from_timings(again) == apart_from_timings(whole)
    folder = next((tmp_path / "b" / "home" / "runs").glob("continual-*"))
    assert not list(folder.rglob("*.safetensors"))  # no encoder, no copy
    with open_store(f"sqlite:///{folder / 'bank.db'}") as store:
        assert {info.version for info in store.rows.list()} == {1}


def test_a_contrast_is_added_to_a_stream_that_is_learnt_and_another_one_too(tmp_path: Path) -> None:
    alone = run(tmp_path / "home")
    both = run(tmp_path / "home", KillAfter(99), contrast=True)
    assert both["results"]["bank"] == alone["results"]["bank"]
    assert all(both["timings"][name] == timing for name, timing in alone["timings"].items())
    other = run(tmp_path / "home", contrast=True, tasks=replace(stream(), name="the same", contrast={"lr": 0.001}))
    assert other["results"]["bank"] == alone["results"]["bank"]
    assert other["results"]["full"]["config"]["lr"] == 0.001
    cells = {name for name in other["timings"] if name.startswith("contrast-")}
    assert len(cells) == 6  # three of each contrast
    assert both["timings"].keys() < other["timings"].keys()
    assert (alone["about"]["stream"], other["about"]["stream"]) == ("three", "the same")
    assert len(list((tmp_path / "home" / "runs").glob("continual-*"))) == 1


@pytest.mark.parametrize("steps", [1, 7])
def test_a_killed_stream_ends_with_the_result_of_an_undisturbed_one(tmp_path: Path, steps: int) -> None:
    whole = run(tmp_path / "a" / "home", contrast=True)
    with pytest.raises(Killed):
        run(tmp_path / "b" / "home", KillAfter(steps), contrast=True)
    assert apart_from_timings(run(tmp_path / "b" / "home", contrast=True)) == apart_from_timings(whole)


def test_what_happened_to_test_rows_is_told_of_the_bank_and_of_the_contrast(tmp_path: Path) -> None:
    first, *others = stream().stages
    longer = replace(first.split.test[0], fields={"sentence": "a label of hope" * 99})
    test = (longer, *first.split.test[1:])
    tasks = replace(stream(), stages=(replace(first, split=replace(first.split, test=test)), *others))
    done = run(tmp_path / "home", contrast=True, tasks=tasks)
    report = continual_report(done)
    for key, title in (("bank", "prompt bank"), ("full", "fine-tuning, full.v1")):
        told = {trial["trial"]: trial["warnings"] for trial in done["results"][key]["trials"]}
        assert "1 test example had its text cut to fit the window" in told["mood:en"]
        assert f"{title}, mood:en: 1 test example had its text cut to fit the window" in report.falls_short
    collapse = done["results"]["bank"]["metrics"]["mood:en"]["metrics"]["collapse"]
    lines = [f"prompt bank, mood:en: on test examples: {collapse}"] if collapse else []
    assert [line for line in report.falls_short if line.startswith("prompt bank, mood:en: on test examples")] == lines


def test_test_rows_that_do_not_fit_are_told_before_the_first_task_is_learnt(tmp_path: Path) -> None:
    *others, last = stream().stages
    gist = card_of(BEFORE, taskname="gist", label_space=None, truncate_field=None)
    longer = replace(last.split.test[2], fields={"sentence": "a label of hope" * 99})
    unfit = replace(last, card=gist, split=replace(last.split, test=(*last.split.test, longer)))
    with pytest.raises(TooLongError, match=f"^{longer.source}: the prompt takes"):
        run(tmp_path / "home", KillAfter(1), tasks=replace(stream(), stages=(*others, unfit)))
    assert not (tmp_path / "home" / "runs").exists()
    # the contrast alone keeps so much of the window for an answer
    tasks = replace(stream(), stages=(*others, replace(last, card=gist)), contrast={"answer_tokens": 250})
    done = run(tmp_path / "home", KillAfter(13), contrast=True, tasks=tasks)  # three tasks take 12 steps in the bank
    assert f"{last.split.test[-1].source}: the prompt takes" in done["results"]["full"]["reason"]


def test_a_contrast_that_cannot_be_run_costs_nothing_of_what_was_learnt(tmp_path: Path) -> None:
    done = run(tmp_path / "home", contrast=True, tasks=replace(stream(), method="bitfit.v1"))  # a Llama has no biases
    assert "has no bias" in done["results"]["full"]["reason"]
    report = continual_report(done)
    assert any("bitfit.v1 could not be run beside it" in line for line in report.falls_short)
    assert done["results"]["bank"]["scores"]["forgetting"] == 0


def test_a_contrast_stays_in_the_result_when_it_is_not_asked_for_again(tmp_path: Path) -> None:
    both = run(tmp_path / "home", contrast=True)
    assert run(tmp_path / "home", KillAfter(1))["results"] == both["results"]


def test_a_stream_too_long_for_a_plot_is_told_in_a_table(tmp_path: Path) -> None:
    done = run(tmp_path / "home")
    names, bank = [f"t{n}:en" for n in range(17)], done["results"]["bank"]
    bank |= {"matrix": [[0.5] * (n + 1) for n in range(17)], "metrics": {}}
    done["results"]["tasks"] = names
    parts = {part.title: part for part in continual_report(done).parts}
    shown = parts["Accuracy matrix: prompt bank"]
    assert isinstance(shown, Table)
    assert shown.rows[1] == ["t1:en", 0.5, 0.5, *[None] * 15]


def test_a_stream_starts_from_no_task_that_is_not_learnt_by_then(fresh_store: Store, tmp_path: Path) -> None:
    rows = [json.dumps({"sentence": f"s{n}", "label": "sports"}) for n in range(40)]
    (tmp_path / "topics.jsonl").write_text("\n".join(rows))
    for init in ("from:sentiment-task:en", "nearest"):
        (tmp_path / "stream.toml").write_text(
            f"""
            name = "one"
            config = {{init = "{init}"}}
            [[experience]]
            task = "topic-task:en"
            data = ["topics.jsonl"]
            """
        )
        with pytest.raises(ConfigError, match=f"topic-task:en starts {init}, which no task before it is"):
            read_stream(tmp_path / "stream.toml", fresh_store)


def test_the_contrast_goes_on_with_the_weights_it_had(tmp_path: Path) -> None:
    whole = run(tmp_path / "a" / "home", contrast=True)
    with pytest.raises(Killed):  # 3 tasks of 2 epochs of 2 steps by prompts, then in the second task of the contrast
        run(tmp_path / "b" / "home", KillAfter(12 + 6), contrast=True)
    assert list((tmp_path / "b" / "home").glob("runs/*/contrast-*-0.safetensors"))
    again = run(tmp_path / "b" / "home", contrast=True)
    assert again["results"]["full"] == whole["results"]["full"]
    assert not list((tmp_path / "b" / "home").glob("runs/*/contrast-*.safetensors"))


def test_a_stream_file_names_tasks_data_and_settings(fresh_store: Store, tmp_path: Path) -> None:
    rows = [
        json.dumps({"sentence": e.fields["sentence"], "label": e.answer, "id": e.id, "group": e.group})
        for e in examples_of(60)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    (tmp_path / "stream.toml").write_text(
        """
        name = "two"
        config = {epochs = 3, dev_fraction = 0.2}
        contrast = {lr = 0.00001, method = "full-body"}
        [[experience]]
        task = "sentiment-task:en"
        data = ["rows.jsonl"]
        folds = 4
        fold = 1
        train_rows = 20
        [[experience]]
        task = "topic-task:en"
        train = ["topics.jsonl"]
        test = ["more.jsonl"]
        test_rows = 2
        config = {lr = 0.001}
        """
    )
    topics = [json.dumps({"sentence": f"s{n}", "label": "sports"}) for n in range(40)]
    (tmp_path / "topics.jsonl").write_text("\n".join(topics[:30]))
    (tmp_path / "more.jsonl").write_text("\n".join(topics[30:]))
    found = read_stream(tmp_path / "stream.toml", fresh_store)
    sentiment, topic = found.stages
    assert (found.contrast, found.method) == ({"lr": 0.00001}, "full-body.v1")
    assert (sentiment.name, topic.name) == ("sentiment-task:en", "topic-task:en")
    assert len(sentiment.split.train) == 20
    whole = crossval_split(examples_of(60), 4, 1, 0.2, rules=sentiment.config.split_rules(sentiment.card))
    assert len(sentiment.split.dev) == math.ceil(20 * len(whole.dev) / len(whole.train))
    assert (sentiment.config.epochs, topic.config.lr, topic.config.epochs) == (3, 0.001, 3)
    assert len(topic.split.test) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 1", "name: Input should be a valid string; experience: Field required"),
        ("name = 'x'\nexperience = []", "at least 1"),
        ("name = 'x'\n[[experience]]\ntask = 'a'", "give either data"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ndata = ['b']\ntest = ['c']", "test beside data: give either data"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ndata = ['b']\ntrain = ['c']\ntest=['d']", "test and train beside"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ntrain = ['b']", "give either data"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ntrain = ['b']\ntest = ['c']\nfold = 1", "fold beside train and test"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ndata = ['b']\nfold = 10", "fold 10 of 10; folds are numbered 0 to 9"),
        ("name = 'x'\n[[experience]]\ntask = 'a'\ndata = ['b']\ncolour = 1", "colour"),
        ("name = 'x'\ncontrast = {lr = 7}\n[[experience]]\ntask = 't'\ndata=['t']", "settings of contrast: lr"),
        ("name = 'x'\ncontrast = {method = 'tfidf'}\n[[experience]]\ntask = 't'\ndata=['t']", "changes no weights"),
        ("name = 'x'\ncontrast = {method = 'adapters'}\n[[experience]]\ntask = 't'\ndata=['t']", "unknown method"),
        ("name = ", "cannot be read"),
    ],
)
def test_faults_of_a_stream_file_are_told(fresh_store: Store, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "stream.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_stream(tmp_path / "stream.toml", fresh_store)


@pytest.mark.parametrize(
    ("test", "more", "says"),
    [
        ("topics.jsonl", "", r"topic-task:en: 20 of 20 test examples are of a group that train has too"),
        ("more.jsonl", "train_rows = 99", r"train_rows is 99, and there are \d\d; ask for at most so many"),
        ("more.jsonl", "test_rows = 21", r"test_rows is 21, and there are 20"),
    ],
)
def test_rows_that_are_tested_and_learnt_from_or_are_not_there_are_told(
    fresh_store: Store, tmp_path: Path, test: str, more: str, says: str
) -> None:
    rows = [json.dumps({"sentence": f"s{n}", "label": "sports"}) for n in range(40)]
    (tmp_path / "topics.jsonl").write_text("\n".join(rows[:20]))
    (tmp_path / "more.jsonl").write_text("\n".join(rows[20:]))
    (tmp_path / "stream.toml").write_text(
        f"""
        name = "one"
        [[experience]]
        task = "topic-task:en"
        train = ["topics.jsonl"]
        test = ["{test}"]
        {more}
        """
    )
    with pytest.raises(ConfigError, match=says):
        read_stream(tmp_path / "stream.toml", fresh_store)
