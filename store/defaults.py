"""In which language a task is meant where a request names none. All choices are kept; the newest of a task counts."""

from datetime import UTC, datetime

from sqlalchemy import insert, select

from store.database import Repository, bump
from store.errors import LISTED, UnknownRowError
from store.records import DefaultLanguage, field_names
from store.schema import default_language, prompt_row
from store.sealing import refuse, storable, text_faults


class DefaultRepository(Repository):
    """Choose and read default languages."""

    def choose(self, taskname: str, lang: str, *, reason: str) -> None:
        """Make a language the one that is meant; the same again changes and logs nothing.

        Args:
            taskname: of the task.
            lang: one in which the task is frozen.
            reason: kept in the history.

        Raises:
            UnknownRowError: the task is not frozen in this language.
            InvalidRecordError: a text cannot be stored.
        """
        texts = {"taskname": taskname, "lang": lang, "reason": reason}
        refuse(f"the default language of {taskname!r}", [*text_faults(texts, required=True)])
        with self._database.write(f"default {taskname}") as connection:
            frozen = select(prompt_row.c.lang).where(prompt_row.c.taskname == taskname).distinct()
            langs = sorted(connection.execute(frozen).scalars())
            if lang not in langs:
                known = f"it is frozen in {', '.join(langs)}" if langs else "nothing is frozen under this name"
                raise UnknownRowError(f"{taskname!r} is not frozen in {lang!r}; {known}", cli=LISTED)
            newest = select(default_language.c.lang).where(default_language.c.taskname == taskname)
            newest = newest.order_by(default_language.c.default_id.desc()).limit(1)
            if connection.execute(newest).scalar_one_or_none() != lang:
                connection.execute(insert(default_language).values(**texts, chosen_at=datetime.now(UTC)))
                bump(connection)

    def get(self, taskname: str) -> str | None:
        """Return the language that was chosen; None where nobody has."""
        history = self.history(taskname)
        return history[-1].lang if history else None

    def all(self) -> dict[str, str]:
        """Return the languages that were chosen, by taskname."""
        wanted = select(default_language.c.taskname, default_language.c.lang).order_by(default_language.c.default_id)
        with self._database.read() as connection:
            return {row.taskname: row.lang for row in connection.execute(wanted)}

    def history(self, taskname: str) -> list[DefaultLanguage]:
        """Return every choice, oldest first."""
        if not storable(taskname):
            return []
        columns = (default_language.c[name] for name in field_names(DefaultLanguage))
        wanted = select(*columns).where(default_language.c.taskname == taskname)
        with self._database.read() as connection:
            found = connection.execute(wanted.order_by(default_language.c.default_id)).mappings()
            return [DefaultLanguage(**row) for row in found]
