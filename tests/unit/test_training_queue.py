"""Trainings that wait in the bank: what is checked before, and what one process makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from promptbank.bank.session import Bank
from promptbank.bank.train import train
from promptbank.bank.training_queue import checked_training, read_card, work_off
from promptbank.config import load_settings
from promptbank.errors import ConfigError, InputError, TrainingError
from store import NewTraining
from tasks import CardError, DataError, read_records
from tests.conftest import Promptbank
from tests.killing import KillAt, Killed
from tests.tiny import tiny_backbone
from tests.worlds import SENTENCES

CARD = {
    "taskname": "tone",
    "lang": "en",
    "prompt_template": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
    "total_virtual_tokens": 4,
    "virtual_token_splits": [4],
    "label_space": {"positive": ["positive"], "negative": ["negative"]},
}
RECORDS = "".join(
    json.dumps({"sentence": f"{text} {n}", "label": label}) + "\n" for n in range(3) for text, label in SENTENCES
)
SETTINGS = {"epochs": 2, "batch_size": 4, "dtype": "float32"}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with Bank(load_settings({"home": tmp_path / "home"}, {})[0]) as opened:
        opened.backbone = tiny_backbone("llama")
        opened.make()
        yield opened


def asked(bank: Bank, records: str = RECORDS, **changes: object) -> NewTraining:
    about = {"task": "", "card": json.dumps(CARD), "settings": SETTINGS, "live": "gated", "asked_by": "anna"} | changes
    read = list(read_records(records.encode(), name="the records")) if records else []
    return checked_training(bank.store, records=read, **about).new


def test_what_is_asked_for_is_trained_as_the_command_does_and_leaves_nothing_but_the_row(
    bank: Bank, tmp_path: Path
) -> None:
    bank.store.trainings.add(asked(bank))
    (done,) = work_off(bank)
    assert (done.state, done.records, done.told.split(";")[0]) == ("done", "", "tone:en@1 is live")
    info = bank.store.rows.list()[0]
    row = bank.store.rows.get(info.scope, 1)
    assert json.loads(row.training_json)["run"] == done.run_id
    assert list((bank.settings.home / "queue").iterdir()) == []

    (tmp_path / "card.json").write_text(json.dumps(CARD))
    (tmp_path / "data.jsonl").write_text(RECORDS)
    with Bank(load_settings({"home": tmp_path / "other"}, {})[0]) as other:
        other.backbone = tiny_backbone("llama")
        data, card = str(tmp_path / "data.jsonl"), str(tmp_path / "card.json")
        (learnt,) = train(other, data=[data], card=card, settings=SETTINGS)
    assert row.data == learnt.row.data


def test_a_table_is_taken_as_records_are(bank: Bank) -> None:
    table = 'sentence,label\nOrders doubled,positive\n"Sales, too, fell",negative\nMore,positive\nLess,negative\n'
    lines = [json.loads(line) for line in asked(bank, table).records.splitlines()]
    assert lines[1] == {"sentence": "Sales, too, fell", "label": "negative"}


def test_what_waits_is_trained_in_its_order_and_a_failure_stops_nobody_else(bank: Bank) -> None:
    first, second = asked(bank), asked(bank, settings=SETTINGS | {"init": "from:nothing"})
    for new in (first, second, asked(bank, settings=SETTINGS | {"seed": 1})):
        bank.store.trainings.add(new)
    found = list(work_off(bank))
    assert [one.state for one in found] == ["done", "failed", "done"]
    assert "nothing" in found[1].told
    assert bank.store.trainings.get(found[1].training_id).records == RECORDS
    assert [info.version for info in bank.store.rows.list()] == [1, 2]


class Stops(KillAt):
    """Asks for the training to stop at a step."""

    def __init__(self, bank: Bank, step: int) -> None:
        super().__init__(step)
        self._bank = bank

    def on_step(self, report) -> None:
        if report.step == self.step:
            self._bank.store.trainings.stop(1)


def shown(bank: Bank, progress: KillAt) -> None:
    bank.display.on_step = progress.on_step


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at each step whether the training shall stop."""
    monkeypatch.setattr("promptbank.bank.training_queue.LOOK_SECONDS", -1.0)


def undisturbed(tmp_path: Path) -> bytes:
    with Bank(load_settings({"home": tmp_path / "undisturbed"}, {})[0]) as bank:
        bank.backbone = tiny_backbone("llama")
        bank.make().trainings.add(asked(bank))
        list(work_off(bank))
        info = bank.store.rows.list()[0]
        return bank.store.rows.get(info.scope, 1).data


def test_a_training_that_is_stopped_and_resumed_gives_the_same_bits(bank: Bank, tmp_path: Path, often: None) -> None:
    bank.store.trainings.add(asked(bank))
    shown(bank, Stops(bank, 5))
    (stopped,) = work_off(bank)
    assert (stopped.state, bank.store.rows.list()) == ("stopped", [])
    assert bank.store.runs.get(stopped.run_id).status == "running"
    bank.store.trainings.resume(1)
    shown(bank, KillAt(0))
    (done,) = work_off(bank)
    assert (done.state, done.run_id) == ("done", stopped.run_id)
    info = bank.store.rows.list()[0]
    assert bank.store.rows.get(info.scope, 1).data == undisturbed(tmp_path)


def test_a_training_that_is_stopped_for_good_ends_without_a_row(bank: Bank, often: None) -> None:
    bank.store.trainings.add(asked(bank))
    stops = Stops(bank, 5)
    bank.display.on_step = lambda report: [stops.on_step(report), stops.on_step(report)][0]
    (stopped,) = work_off(bank)
    assert (stopped.state, bank.store.rows.list()) == ("stopped", [])


def test_a_killed_process_leaves_its_training_to_the_next_one(bank: Bank, tmp_path: Path) -> None:
    bank.store.trainings.add(asked(bank))
    shown(bank, KillAt(5))
    with pytest.raises(Killed):
        list(work_off(bank))
    assert bank.store.trainings.get(1).state == "running"
    shown(bank, KillAt(0))
    (done,) = work_off(bank)
    assert (done.state, done.starts) == ("done", 2)
    info = bank.store.rows.list()[0]
    assert bank.store.rows.get(info.scope, 1).data == undisturbed(tmp_path)


def test_a_training_over_which_processes_die_again_and_again_fails(bank: Bank) -> None:
    bank.store.trainings.add(asked(bank))
    shown(bank, KillAt(1))
    for _ in range(5):
        with pytest.raises(Killed):
            list(work_off(bank))
    (failed,) = work_off(bank)
    assert (failed.state, "ended 5 times" in failed.told) == ("failed", True)


def test_two_processes_of_a_home_do_not_work_at_once(bank: Bank) -> None:
    bank.store.trainings.add(asked(bank))
    with FileLock(bank.settings.home / "queue.lock"), pytest.raises(TrainingError, match="already"):
        list(work_off(bank))
    assert bank.store.trainings.get(1).state == "waiting"


def test_a_card_that_the_bank_knows_is_not_added_again(bank: Bank) -> None:
    bank.store.trainings.add(asked(bank, "", task="sentiment-task", card=""))
    new = bank.store.trainings.get(1)
    assert (new.task, new.records) == ("sentiment-task:en", "")
    bank.store.trainings.stop(1)
    bank.store.trainings.add(asked(bank))
    bank.store.trainings.add(asked(bank, settings=SETTINGS | {"seed": 3}))
    list(work_off(bank))
    assert [card.taskname for card in bank.store.cards.list()] == ["tone"]


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"card": "{}"}, CardError, "taskname"),
        ({"card": "", "task": ""}, InputError, "choose a task, or write a card"),
        ({"records": '{"sentence": "a"}\n{"sentence": 3, "label": "positive"}\n'}, DataError, "the records:1"),
        ({"records": RECORDS.replace('"negative"', '"positive"')}, DataError, "have the label 'positive'"),
        ({"records": "not json\n"}, DataError, "the records"),
        ({"settings": {"epochs": 0, "lr": 9}}, ConfigError, "epochs.*lr"),
        ({"live": "perhaps"}, ConfigError, "live is 'perhaps'"),
        ({"records": ""}, InputError, "ships no sample"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_all_faults(
    bank: Bank, changes: dict[str, object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"(?s){says}"):
        asked(bank, **changes)


def test_all_faults_of_records_are_listed(bank: Bank) -> None:
    with pytest.raises(DataError) as caught:
        asked(bank, '{"sentence": "a"}\n{"label": "positive"}\n{"sentence": "b", "label": "odd"}\n')
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == [f"the records:{n}" for n in (1, 2, 3)]


def test_a_card_is_read_alone() -> None:
    assert read_card(json.dumps(CARD, indent=1)).taskname == "tone"
    with pytest.raises(DataError, match="2 cards"):
        read_card(f"{json.dumps(CARD)}\n{json.dumps(CARD | {'lang': 'sv'})}\n")


def test_the_command_trains_what_waits_and_nothing_else(empty_bank: Promptbank, home: Path) -> None:
    with Bank(load_settings({"home": home}, {})[0]) as bank:
        bank.store.trainings.add(asked(bank))
        bank.store.trainings.add(asked(bank, settings={"init": "from:nothing"}))
    said = [json.loads(line) for line in empty_bank("train", "--queue", "--json").stdout.splitlines()]
    assert [(one["training"], one["task"], one["state"]) for one in said] == [
        (1, "tone:en", "done"), (2, "tone:en", "failed"),
    ]  # fmt: skip
    assert "tone:en@1 is live" in said[0]["told"]
    nothing = empty_bank("train", "--queue")
    assert (nothing.stdout, "no training waits in the queue" in nothing.stderr) == ("", True)
    beside = empty_bank("train", "--queue", "--task", "tone")
    assert (beside.exit_code, "name no task" in beside.stderr) == (2, True)
