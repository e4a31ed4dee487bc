"""A stream of tasks: nothing is forgotten, and what would be forgotten is seen."""

import json
import math
import sqlite3
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from promptbank.backbone import load_backbone
from promptbank.errors import ConfigError
from promptbank.experiments import measure as measuring
from promptbank.experiments.continual import run_continual
from promptbank.experiments.measure import measure_in_new_process
from promptbank.experiments.stream import Stage, Stream, read_stream
from promptbank.forward import LanguageModel
from promptbank.train.config import TrainConfig
from promptbank.train.listen import Silent
from store import NewRow, Store, open_store
from tasks import Split, crossval_split
from tests.tiny import save_tiny
from tests.unit.test_experiments import KillAt, Killed, apart_from_timings
from tests.worlds import BEFORE, card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.05, dtype="float32", checkpoint_steps=1)


def stream() -> Stream:
    cards = [card_of(), card_of(taskname="tone"), card_of(BEFORE, taskname="gist", label_space=None)]
    stages = []
    for n, card in enumerate(cards):
        examples = examples_of(16, taskname=card.taskname, offset=n)
        stages.append(Stage(card, Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[12:])), CONFIG))
    return Stream("three", tuple(stages))


def run(home: Path, listener: Silent | None = None, *, contrast: bool = False) -> dict[str, Any]:
    if not (home.parent / "backbone").exists():
        save_tiny("llama", home.parent / "backbone")
    home.mkdir(exist_ok=True)
    backbone = load_backbone(str(home.parent / "backbone"), home=home)
    lm = LanguageModel(backbone.model)
    path = run_continual(home, backbone, lm, stream(), contrast=contrast, listener=listener or Silent())
    return json.loads(path.read_text())


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process, where a test is not about processes: starting one takes seconds."""
    if "new_process" not in request.keywords:
        monkeypatch.setattr(measuring, "_in_new_process", measuring.measure)


@pytest.mark.new_process
def test_nothing_is_forgotten_to_the_last_bit(tmp_path: Path) -> None:
    bank = run(tmp_path / "home")["results"]["bank"]
    assert [len(row) for row in bank["matrix"]] == [1, 2, 3]
    assert bank["scores"]["forgetting"] == bank["scores"]["backward_transfer"] == 0
    assert bank["answers_moved"] == bank["faults"] == []


def mutated(home: Path, mutate: str) -> dict[str, Any]:
    """Measure the first task again in a new process, after somebody changed the bank behind its back."""
    run(home)
    folder = next((home / "runs").glob("continual-*"))
    with sqlite3.connect(folder / "bank.db") as bank:
        for (name,) in bank.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            bank.execute(f"DROP TRIGGER {name}")
        bank.execute(mutate)
    first = stream().stages[0]
    tests = {first.name: first.split.test}
    backbone = str(home.parent / "backbone")
    return measure_in_new_process(folder, "again", bank=folder / "bank.db", home=home, backbone=backbone, tests=tests)


@pytest.mark.new_process
def test_one_changed_byte_is_forgetting(tmp_path: Path) -> None:
    found = mutated(
        tmp_path / "home", "UPDATE prompt_row SET data = CAST(X'00' || substr(data, 2) AS BLOB) WHERE taskname = 'mood'"
    )
    assert found["tasks"]["mood:en"]["score"] == 0
    assert found["faults"]


def test_a_repointed_alias_moves_the_answers(tmp_path: Path) -> None:
    home = tmp_path / "home"
    whole = run(home)
    folder = next((home / "runs").glob("continual-*"))
    first = stream().stages[0]
    with open_store(f"sqlite:///{folder / 'bank.db'}") as store:
        other = store.rows.get(next(i.scope for i in store.rows.list() if i.scope.taskname == "tone"), 1)
        mine = next(i.scope for i in store.rows.list() if i.scope.taskname == "mood")
        values = {field.name: getattr(other, field.name) for field in fields(NewRow)} | {"scope": mine}
        stranger = store.rows.freeze(NewRow(**values))
        store.aliases.move(mine, stranger.version, reason="a mistake")
    again = measure_in_new_process(
        folder,
        "again",
        bank=folder / "bank.db",
        home=home,
        backbone=str(tmp_path / "backbone"),
        tests={first.name: first.split.test},
    )
    before = whole["results"]["bank"]["metrics"][first.name]
    assert again["tasks"][first.name]["answers_sha256"] != before["answers_sha256"]


@pytest.mark.parametrize("steps", [1, 7])
def test_a_killed_stream_ends_with_the_result_of_an_undisturbed_one(tmp_path: Path, steps: int) -> None:
    whole = run(tmp_path / "a" / "home", contrast=True)
    with pytest.raises(Killed):
        run(tmp_path / "b" / "home", KillAt(steps), contrast=True)
    assert apart_from_timings(run(tmp_path / "b" / "home", contrast=True)) == apart_from_timings(whole)


def test_the_contrast_goes_on_with_the_weights_it_had(tmp_path: Path) -> None:
    whole = run(tmp_path / "a" / "home", contrast=True)
    with pytest.raises(Killed):  # 3 tasks of 2 epochs of 2 steps by prompts, then in the second task of the contrast
        run(tmp_path / "b" / "home", KillAt(12 + 6), contrast=True)
    assert list((tmp_path / "b" / "home").glob("runs/*/contrast-0.safetensors"))
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
        test = ["topics.jsonl"]
        test_rows = 2
        config = {lr = 0.001}
        """
    )
    topics = [json.dumps({"sentence": f"s{n}", "label": "sports"}) for n in range(40)]
    (tmp_path / "topics.jsonl").write_text("\n".join(topics))
    found = read_stream(tmp_path / "stream.toml", fresh_store)
    sentiment, topic = found.stages
    assert (found.contrast, found.method) == ({"lr": 0.00001}, "full-body.v1")
    assert (sentiment.name, topic.name) == ("sentiment-task:en", "topic-task:en")
    assert len(sentiment.split.train) == 20
    whole = crossval_split(examples_of(60), 4, 1, 0.2)
    assert len(sentiment.split.dev) == math.ceil(20 * len(whole.dev) / len(whole.train))
    assert (sentiment.config.epochs, topic.config.lr, topic.config.epochs) == (3, 0.001, 3)
    assert len(topic.split.test) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = 1", "name: Input should be a valid string; experience: Field required"),
        ("name = 'x'\nexperience = []", "at least 1"),
        ("name = 'x'\n[[experience]]\ntask = 'a'", "give either data"),
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
