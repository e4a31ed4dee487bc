"""The queue of trainings: what was asked for, in its order, and how far it is. One process after the other works on it.

Each change names the states that it starts from, so of two that come at once the second is refused.
"""

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, delete, insert, literal, select, update

from store.database import Repository, insert_one
from store.errors import RevisionConflictError, UnknownTrainingError
from store.records import NewTraining, QueuedTraining
from store.schema import queued_training
from store.sealing import json_faults, refuse, text_faults

Trainings: TypeAlias = list[QueuedTraining]  # inside the class, `list` is the method
LOCK = "training queue"
WAITING, RUNNING, STOPPING, STOPPED, DONE, FAILED = "waiting", "running", "stopping", "stopped", "done", "failed"
ENDED = (STOPPED, DONE, FAILED)
WITHOUT_RECORDS = [one if one.name != "records" else literal("").label("records") for one in queued_training.c]


class TrainingRepository(Repository):
    """Ask for trainings, take them in turn, stop, resume and end them."""

    def add(self, new: NewTraining) -> int:
        """Put a training at the end of the queue; return its number.

        Raises:
            InvalidRecordError: a text cannot be stored, is empty though it must not be, or is no JSON.
        """
        needed = {name: getattr(new, name) for name in ("task", "live", "asked_by")}
        documents = {name: getattr(new, name) for name in ("card_json", "settings_json")}
        faults = [*text_faults(needed, required=True), *text_faults({"the records": new.records})]
        refuse("the training", [*faults, *json_faults(documents)])
        now = datetime.now(UTC)
        content = asdict(new) | {"state": WAITING, "told": "", "starts": 0, "created_at": now, "changed_at": now}
        with self._database.write(LOCK) as connection:
            return insert_one(connection, insert(queued_training).values(**content))

    def list(self) -> Trainings:
        """Return every training in the order in which they were asked for, without their records."""
        with self._database.read() as connection:
            found = connection.execute(select(*WITHOUT_RECORDS).order_by(queued_training.c.training_id)).mappings()
            return [QueuedTraining(**one) for one in found]

    def get(self, training_id: int) -> QueuedTraining:
        """Return a training.

        Raises:
            UnknownTrainingError: there is none of this number.
        """
        with self._database.read() as connection:
            return _require(connection, training_id)

    def state(self, training_id: int) -> str:
        """Return the state of a training.

        Raises:
            UnknownTrainingError: there is none of this number.
        """
        with self._database.read() as connection:
            return _require(connection, training_id, with_records=False).state

    def claim(self, owner: str) -> QueuedTraining | None:
        """Take the training that an owner is to work on: the one that it was working on, or else the next that waits.

        Args:
            owner: names the one process at a time that works for it, so what it has running was left by a killed one.

        Returns:
            The training, which runs (or is stopping) from now on; None where nothing waits.
        """
        mine = (queued_training.c.owner == owner) & queued_training.c.state.in_([RUNNING, STOPPING])
        first = select(queued_training).order_by(queued_training.c.training_id).limit(1)
        with self._database.write(LOCK) as connection:
            found = (
                connection.execute(first.where(mine)).mappings().first()
                or connection.execute(first.where(queued_training.c.state == WAITING)).mappings().first()
            )
            if found is None:
                return None
            state = STOPPING if found["state"] == STOPPING else RUNNING
            number = found["training_id"]
            _set(connection, number, state=state, owner=owner, starts=found["starts"] + 1)
            return _require(connection, number)

    def begun(self, training_id: int, run_id: str) -> None:
        """Say which run a training is."""
        with self._database.write(LOCK) as connection:
            _set(connection, training_id, run_id=run_id)

    def stop(self, training_id: int) -> None:
        """Stop a training: at once if it waits, or else when the process that works on it sees it.

        One that is stopping already is stopped at once: its process may be gone for good, with its machine.

        Raises:
            UnknownTrainingError: there is none of this number.
            RevisionConflictError: it has ended.
        """
        with self._database.write(LOCK) as connection:
            known = _in_state(connection, training_id, (WAITING, RUNNING, STOPPING))
            _set(connection, training_id, state=STOPPING if known.state == RUNNING else STOPPED)

    def resume(self, training_id: int) -> None:
        """Let a training that was stopped or has failed wait again; it goes on from its checkpoint.

        Raises:
            UnknownTrainingError: there is none of this number.
            RevisionConflictError: it goes on, or is done.
        """
        with self._database.write(LOCK) as connection:
            _in_state(connection, training_id, (STOPPED, FAILED))
            _set(connection, training_id, state=WAITING, told="", starts=0)

    def end(self, training_id: int, state: str, told: str) -> None:
        """Say how a running training ended; the records of one that is done are kept no longer.

        Args:
            training_id: its number.
            state: "stopped", "done" or "failed".
            told: what came out, or why it failed.

        Raises:
            UnknownTrainingError: there is none of this number.
            RevisionConflictError: it is not running.
            InvalidRecordError: what is told cannot be stored.
        """
        refuse(f"the end of training {training_id}", [*text_faults({"what is told": told})])
        with self._database.write(LOCK) as connection:
            _in_state(connection, training_id, (RUNNING, STOPPING))
            _set(connection, training_id, state=state, told=told, **({"records": ""} if state == DONE else {}))

    def remove(self, training_id: int) -> None:
        """Take a training that has ended out of the queue, with its records.

        Raises:
            UnknownTrainingError: there is none of this number.
            RevisionConflictError: it waits or runs.
        """
        with self._database.write(LOCK) as connection:
            _in_state(connection, training_id, ENDED)
            connection.execute(delete(queued_training).where(queued_training.c.training_id == training_id))


def _require(connection: Connection, training_id: int, *, with_records: bool = True) -> QueuedTraining:
    columns = queued_training.c if with_records else WITHOUT_RECORDS
    wanted = select(*columns).where(queued_training.c.training_id == training_id)
    found = connection.execute(wanted).mappings().one_or_none()
    if found is None:
        raise UnknownTrainingError(f"the queue has no training {training_id}; look at it again")
    return QueuedTraining(**found)


def _in_state(connection: Connection, training_id: int, states: Collection[str]) -> QueuedTraining:
    found = _require(connection, training_id, with_records=False)
    if found.state not in states:
        raise RevisionConflictError(
            f"training {training_id} is {found.state} now, not {' or '.join(states)}; look at the queue again"
        )
    return found


def _set(connection: Connection, training_id: int, **values: object) -> None:
    this = queued_training.c.training_id == training_id
    connection.execute(update(queued_training).where(this).values(changed_at=datetime.now(UTC), **values))
