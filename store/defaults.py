"""In which language a task answers where a request names none (default), or one without a row (fallback).

All choices are kept; the newest of a task and role counts.
"""

from datetime import UTC, datetime

from sqlalchemy import Select, insert, select

from store.database import Repository, bump
from store.errors import LISTED, UnknownRowError
from store.records import DefaultLanguage, field_names
from store.schema import default_language, prompt_row
from store.sealing import refuse, storable, text_faults

__all__ = ["DEFAULT", "FALLBACK", "DefaultRepository"]

DEFAULT, FALLBACK = "default", "fallback"
TAKEN_BACK = "-"
"""Stored as the language of a choice that takes the earlier ones back."""


class DefaultRepository(Repository):
    """Choose and read the languages in which tasks answer."""

    def choose(self, taskname: str, lang: str | None, *, reason: str, role: str = DEFAULT) -> None:
        """Make a language the one that is meant; the same again changes and logs nothing.

        Args:
            taskname: of the task.
            lang: one in which the task is frozen; None takes the choice back.
            reason: kept in the history.
            role: `DEFAULT` or `FALLBACK`.

        Raises:
            UnknownRowError: the task is not frozen in this language.
            InvalidRecordError: a text cannot be stored.
        """
        chosen = TAKEN_BACK if lang is None else lang
        texts = {"taskname": taskname, "lang": chosen, "reason": reason, "role": role}
        refuse(f"the {role} language of {taskname!r}", [*text_faults(texts, required=True)])
        with self._database.write(f"default {taskname}") as connection:
            frozen = select(prompt_row.c.lang).where(prompt_row.c.taskname == taskname).distinct()
            langs = sorted(connection.execute(frozen).scalars())
            if lang is not None and lang not in langs:
                known = f"it is frozen in {', '.join(langs)}" if langs else "nothing is frozen under this name"
                raise UnknownRowError(f"{taskname!r} is not frozen in {lang!r}; {known}", cli=LISTED)
            newest = connection.execute(_newest_first(taskname, role).limit(1)).scalar_one_or_none()
            if (newest or TAKEN_BACK) != chosen:
                connection.execute(insert(default_language).values(**texts, chosen_at=datetime.now(UTC)))
                bump(connection)

    def get(self, taskname: str, role: str = DEFAULT) -> str | None:
        """Return the language that was chosen; None where nobody has, or it was taken back."""
        history = self.history(taskname, role)
        return history[-1].lang if history and history[-1].lang != TAKEN_BACK else None

    def all(self, role: str = DEFAULT) -> dict[str, str]:
        """Return the languages that were chosen for a role, by taskname."""
        columns = default_language.c.taskname, default_language.c.lang
        wanted = select(*columns).where(default_language.c.role == role).order_by(default_language.c.default_id)
        with self._database.read() as connection:
            newest = {row.taskname: row.lang for row in connection.execute(wanted)}
        return {taskname: lang for taskname, lang in newest.items() if lang != TAKEN_BACK}

    def history(self, taskname: str, role: str = DEFAULT) -> list[DefaultLanguage]:
        """Return every choice for a role, oldest first."""
        if not storable(taskname):
            return []
        columns = (default_language.c[name] for name in field_names(DefaultLanguage))
        mine = (default_language.c.taskname == taskname, default_language.c.role == role)
        with self._database.read() as connection:
            found = connection.execute(select(*columns).where(*mine).order_by(default_language.c.default_id)).mappings()
            return [DefaultLanguage(**row) for row in found]


def _newest_first(taskname: str, role: str) -> Select[tuple[str]]:
    mine = (default_language.c.taskname == taskname, default_language.c.role == role)
    return select(default_language.c.lang).where(*mine).order_by(default_language.c.default_id.desc())
