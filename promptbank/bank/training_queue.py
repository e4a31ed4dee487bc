"""Trainings that wait for their turn: checked when they are asked for, and worked off one at a time by one process.

The queue is a table of the bank, so whoever asks need not wait, and a service that answers need not train. A process
that is killed leaves its training running; the next one of the same home goes on with it from its checkpoint.
"""

import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from filelock import FileLock, Timeout

from promptbank.bank.cards import chosen_card, examples_among, examples_of
from promptbank.bank.dataset import look_at
from promptbank.bank.display import Display
from promptbank.bank.learn import LearntTask
from promptbank.bank.live import live_rule
from promptbank.bank.session import Bank
from promptbank.bank.train import train
from promptbank.errors import InputError, PromptBankError, TrainingError
from promptbank.files import make_folder, write_together
from promptbank.training.config import checked_config
from promptbank.training.progress import EpochReport, StepReport
from store import NewTraining, QueuedTraining, RevisionConflictError, Store, StoreError
from tasks import DataError, DatasetReport, InputRecord, TaskCard, TaskError, check_labels, read_cards, split_dev

__all__ = ["CheckedTraining", "checked_training", "queue_owner", "read_card", "work_off"]

LOOK_SECONDS = 0.5
"""Between two looks of a training at whether it shall stop."""
MOST_STARTS = 5
"""Processes that may die over one training before it counts as failed."""


@dataclass(frozen=True)
class CheckedTraining:
    """A training that can begin, and what is to be known about it before.

    Attributes:
        new: as it goes into the queue.
        card: the task.
        note: how many examples there are, and where from.
        report: on the examples as a whole.
    """

    new: NewTraining
    card: TaskCard
    note: str
    report: DatasetReport


def read_card(text: str) -> TaskCard:
    """Read one card that somebody has written, as `tasks check` reads a file of them.

    Raises:
        TaskError: its faults, or it is none, or there are several.
    """
    cards = read_cards(text.encode(), name="the card")
    if len(cards) > 1:
        raise DataError(f"there are {len(cards)} cards; a training takes one")
    return cards[0]


def checked_training(
    store: Store,
    *,
    task: str,
    card: str,
    records: Sequence[InputRecord | DataError],
    settings: Mapping[str, object],
    live: str,
    asked_by: str,
) -> CheckedTraining:
    """Check a training as a whole before it goes into the queue.

    Args:
        store: the bank's store.
        task: ``taskname[:lang]`` of a known card; looked at where no card is written.
        card: a card's JSON; empty for the known one.
        records: labelled; none for the card's shipped sample.
        settings: by the names of `TrainConfig`.
        live: see `promptbank.bank.live.LIVE_RULES`.
        asked_by: who asks.

    Raises:
        TaskError: the faults of the card, or of the records, all at once; nothing could be learnt from them.
        ConfigError: faults of the settings.
        InputError: no card is chosen, or the task ships no sample.
    """
    if not card.strip() and not task.strip():
        raise InputError("choose a task, or write a card")
    chosen = read_card(card) if card.strip() else chosen_card(store, task, None, None)
    config = checked_config(settings)
    live_rule(live)
    found = examples_among(chosen, records, "the records") if records else examples_of(chosen, None, part="train")
    check_labels(found.examples, chosen)
    learn, dev = split_dev(found.examples, config.dev_fraction, config.split_rules(chosen))
    told = f"{found.note}: {len(learn)} to train on, {len(dev)} for dev"
    lines = [json.dumps(one.data, ensure_ascii=False) for one in records if isinstance(one, InputRecord)]
    new = NewTraining(
        task=f"{chosen.taskname}:{chosen.lang}",
        card_json=chosen.canonical_json(),
        records="".join(f"{line}\n" for line in lines),
        settings_json=json.dumps(dict(settings)),
        live=live,
        asked_by=asked_by,
    )
    return CheckedTraining(new, chosen, told, look_at(Display(), chosen, {"train": learn, "dev": dev}))


def queue_owner(bank: Bank) -> str:
    """Return the name by which the processes of this home take trainings: checkpoints lie in it."""
    return f"{socket.gethostname()}:{bank.settings.home.resolve()}"


def work_off(bank: Bank) -> Iterator[QueuedTraining]:
    """Train what waits in the queue, one after the other, until nothing waits; yield each as it ended.

    Raises:
        TrainingError: another process of this home does so already.
    """
    store, owner = bank.make(), queue_owner(bank)
    try:
        with FileLock(bank.settings.home / "queue.lock", timeout=0):
            while one := store.trainings.claim(owner):
                state, told = _outcome(bank, one)
                with suppress(RevisionConflictError):  # somebody took it for abandoned, and stopped it for good
                    store.trainings.end(one.training_id, state, told)
                yield store.trainings.get(one.training_id)
    except Timeout as exc:
        raise TrainingError("another process works off the queue of this home already; it takes what waits") from exc


class _QueueDisplay(Display):
    """Shows a training of the queue as usual, and ends it with an error when somebody stops it."""

    is_stopped = False

    def __init__(self, inner: Display, store: Store, training_id: int) -> None:
        super().__init__(inner.say)
        self._inner, self._trainings, self._id = inner, store.trainings, training_id
        self._looked = time.monotonic()

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        with self._inner.busy(what):
            yield

    def on_runs(self, run_ids: Mapping[str, str]) -> None:
        for run_id in run_ids.values():
            self._trainings.begun(self._id, run_id)

    def on_step(self, report: StepReport) -> None:
        self._inner.on_step(report)
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self.is_stopped = self._trainings.state(self._id) != "running"
            if self.is_stopped:
                raise TrainingError(f"training {self._id} was stopped")

    def on_epoch(self, report: EpochReport) -> None:
        self._inner.on_epoch(report)


def _outcome(bank: Bank, one: QueuedTraining) -> tuple[str, str]:
    """Train one of the queue; return how it ended, and what is to be told."""
    if one.state == "stopping":
        return "stopped", ""
    if one.starts > MOST_STARTS:
        return "failed", f"the process that trained it ended {MOST_STARTS} times before it was done; see queue.log"
    inner = bank.display
    bank.display = display = _QueueDisplay(inner, bank.store, one.training_id)
    try:
        return "done", _told(_trained(bank, one))
    except (PromptBankError, TaskError, StoreError) as exc:
        return ("stopped", "") if display.is_stopped else ("failed", str(exc))
    finally:
        bank.display = inner


def _trained(bank: Bank, one: QueuedTraining) -> LearntTask:
    """Train as `promptbank train` does; a card that is known already is not added again."""
    folder = bank.settings.home / "queue" / f"{one.training_id}"
    make_folder(folder)
    card, records = folder / "card.json", folder / "records.jsonl"
    write_together({card: one.card_json, records: one.records})
    is_known = _is_known(bank.store, one)
    try:
        learnt = train(
            bank,
            one.task,
            data=[str(records)] if one.records else None,
            card=None if is_known else str(card),
            live=one.live,
            settings=json.loads(one.settings_json),
        )
    finally:
        shutil.rmtree(folder)
    return learnt[0]


def _is_known(store: Store, one: QueuedTraining) -> bool:
    try:
        return chosen_card(store, one.task, None, None).canonical_json() == one.card_json
    except TaskError:
        return False


def _told(learnt: LearntTask) -> str:
    scope = learnt.row.scope
    name = f"{scope.taskname}:{scope.lang}@{learnt.row.version} {'is live' if learnt.is_live else 'is not live'}"
    return "; ".join([name, *filter(None, [learnt.comparison]), *learnt.warnings])
