"""Doubtful answers that people are to decide about: kept where somebody asked for it, and forgotten after some days."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update

from store.database import Repository, bump
from store.errors import RevisionConflictError, UnknownAnswerError
from store.records import AnswerKeeping, KeptAnswer, NewAnswer, field_names
from store.schema import answer_keeping, kept_answer
from store.sealing import LARGEST, json_faults, refuse, text_faults

LOCK = "kept answers"
PASSED_OVER = ""
"""Stored as the decision that a text is no good example of any label."""


class AnswerRepository(Repository):
    """Choose of which tasks answers are kept, keep them, and decide about them."""

    def choose(self, rule: AnswerKeeping) -> None:
        """Keep doubtful answers of a task from now on, or by another rule than before.

        Raises:
            InvalidRecordError: the threshold is not from 0 to 1, the days are none, or a text cannot be stored.
        """
        faults = [*text_faults({"taskname": rule.taskname, "lang": rule.lang}, required=True)]
        if not 0 <= rule.below <= 1:
            faults.append(f"the threshold is {rule.below}, not a probability from 0 to 1")
        for name, value in {"days": rule.days, "the version beside": rule.beside or 1}.items():
            if not 1 <= value <= LARGEST:
                faults.append(f"{name} is {value}, not a number from 1")
        refuse("what answers are kept", faults)
        with self._database.write(LOCK) as connection:
            connection.execute(delete(answer_keeping).where(*_of(answer_keeping, rule.taskname, rule.lang)))
            connection.execute(insert(answer_keeping).values(**asdict(rule)))
            bump(connection)

    def stop(self, taskname: str, lang: str) -> None:
        """Keep no more answers of a task, and forget those that were kept."""
        with self._database.write(LOCK) as connection:
            for table in (answer_keeping, kept_answer):
                connection.execute(delete(table).where(*_of(table, taskname, lang)))
            bump(connection)

    def rules(self) -> list[AnswerKeeping]:
        """Return of which tasks answers are kept, sorted."""
        with self._database.read() as connection:
            found = connection.execute(select(answer_keeping)).mappings()
            return sorted((AnswerKeeping(**one) for one in found), key=lambda rule: (rule.taskname, rule.lang))

    def keep(self, new: NewAnswer) -> bool:
        """Keep an answer, unless its task is not to be kept or the same record is there; say whether it was kept.

        Raises:
            InvalidRecordError: a text cannot be stored.
        """
        texts = {name: getattr(new, name) for name in ("taskname", "lang", "label")}
        refuse("the answer", [*text_faults(texts, required=True), *json_faults({"fields_json": new.fields_json})])
        sha256 = hashlib.sha256(new.fields_json.encode()).hexdigest()
        mine = _of(kept_answer, new.taskname, new.lang)
        with self._database.write(LOCK) as connection:
            rule = select(answer_keeping.c.days).where(*_of(answer_keeping, new.taskname, new.lang))
            known = select(kept_answer.c.answer_id).where(*mine, kept_answer.c.fields_sha256 == sha256)
            if connection.execute(rule).first() is None or connection.execute(known).first() is not None:
                return False
            values = asdict(new) | {"fields_sha256": sha256, "created_at": datetime.now(UTC)}
            connection.execute(insert(kept_answer).values(**values))
            return True

    def list(self, taskname: str, lang: str) -> Sequence[KeptAnswer]:
        """Return the kept answers of a task, oldest first, without those whose days are over."""
        self.forget()
        wanted = select(kept_answer).where(*_of(kept_answer, taskname, lang)).order_by(kept_answer.c.answer_id)
        with self._database.read() as connection:
            found = connection.execute(wanted).mappings()
            return [KeptAnswer(**{name: one[name] for name in field_names(KeptAnswer)}) for one in found]

    def decide(self, answer_id: int, decided: str | None, by: str, *, seen: str | None) -> None:
        """Say which label is right.

        Args:
            answer_id: the answer.
            decided: a label; `PASSED_OVER` for none of them; None opens it again.
            by: who decides.
            seen: the decision that this person saw.

        Raises:
            UnknownAnswerError: it is not kept any more.
            RevisionConflictError: somebody else decided meanwhile.
            InvalidRecordError: a text cannot be stored.
        """
        refuse("the decision", [*text_faults({"the label": decided or "", "the name": by})])
        at = None if decided is None else datetime.now(UTC)
        this = kept_answer.c.answer_id == answer_id
        with self._database.write(LOCK) as connection:
            if _decision(connection, answer_id) != seen:
                raise RevisionConflictError("somebody else decided about this answer meanwhile; look again")
            connection.execute(update(kept_answer).where(this).values(decided=decided, decided_by=by, decided_at=at))

    def forget(self) -> int:
        """Remove every answer whose task's days are over since it was kept; return how many there were."""
        removed = 0
        with self._database.read() as connection:
            if not connection.execute(select(func.count()).select_from(kept_answer)).scalar_one():
                return 0
        with self._database.write(LOCK) as connection:
            for rule in connection.execute(select(answer_keeping)).mappings().all():
                old = kept_answer.c.created_at < datetime.now(UTC) - timedelta(days=rule["days"])
                mine = _of(kept_answer, rule["taskname"], rule["lang"])
                removed += connection.execute(delete(kept_answer).where(*mine, old)).rowcount
        return removed


def _of(table: Table, taskname: str, lang: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.taskname == taskname, table.c.lang == lang


def _decision(connection: Connection, answer_id: int) -> str | None:
    found = connection.execute(select(kept_answer.c.decided).where(kept_answer.c.answer_id == answer_id)).first()
    if found is None:
        raise UnknownAnswerError(f"answer {answer_id} is not kept any more; go back to the list")
    decided: str | None = found.decided
    return decided
