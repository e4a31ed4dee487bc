"""The open bank; `promptbank.bank` holds the use cases that are built on it."""

from types import TracebackType
from typing import Self

from store.address import read_address
from store.aliases import AliasRepository
from store.answers import AnswerRepository
from store.border import mapped
from store.cards import CardRepository
from store.check import store_faults
from store.database import Database, current_revision
from store.defaults import DefaultRepository
from store.errors import SchemaError, StoreUnavailableError
from store.evaluations import EvaluationRepository
from store.keys import ApiKeyRepository
from store.migrate import refuse_newer, state_of, upgrade
from store.overrides import OverrideRepository
from store.quotas import QuotaRepository
from store.rows import RowRepository
from store.runs import RunRepository
from store.segments import SegmentRepository
from store.trainings import TrainingRepository


class Store:
    """An open bank; use it in a `with` block or call `close`. Safe to share between threads.

    Attributes:
        rows: the frozen prompts.
        aliases: which version is live, and its history.
        evaluations: measurements of rows.
        cards: task cards that users added.
        defaults: the language in which a task is meant where none is named.
        keys: API keys of the HTTP service, by their hashes.
        quotas: what they have used of their quotas.
        runs: training runs and their metrics.
        answers: doubtful answers that people are to decide about.
        trainings: the queue of trainings that were asked for.
        segments: the translation memory: what engines made of texts.
        overrides: what people decided about sources, above every engine.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rows = RowRepository(database)
        self.aliases = AliasRepository(database)
        self.evaluations = EvaluationRepository(database)
        self.cards = CardRepository(database)
        self.defaults = DefaultRepository(database)
        self.keys = ApiKeyRepository(database)
        self.quotas = QuotaRepository(database)
        self.runs = RunRepository(database)
        self.answers = AnswerRepository(database)
        self.trainings = TrainingRepository(database)
        self.segments = SegmentRepository(database)
        self.overrides = OverrideRepository(database)

    @property
    def url(self) -> str:
        """The full URL, good for opening the bank again; it may hold a password, so do not log it."""
        return self._database.address.full

    def revision(self) -> int:
        """Return a number that grows with every write that serving must see: rows, aliases, cards, API keys."""
        with self._database.read() as connection:
            return current_revision(connection)

    def reconnect_if_replaced(self) -> bool:
        """Open another file that was put in the place of the bank's, such as a backup; say whether there was one.

        The first call only remembers which file it is.
        """
        return self._database.reconnect_if_replaced()

    def check(self) -> list[str]:
        """Return every integrity fault as a sentence; empty when the bank is sound.

        Each row is compared with its hashes, each alias with its history and the rows, and the triggers and the schema
        with what they should be.

        Raises:
            StoreError: the bank cannot be read at all.
        """
        return store_faults(self._database)

    def close(self) -> None:
        """Close every pooled connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._database.address.shown!r})"


def open_store(url: str, *, create: bool = True) -> Store:
    """Open a bank.

    A SQLite file is made and migrated as needed; processes that open the same one at once wait for each other. One that
    is up to date is opened without a trace, and only to be read where it cannot be written. A PostgreSQL database is
    never migrated here.

    Args:
        url: a file path, "file:bank.db?mode=ro", "sqlite:////absolute/bank.db" or "postgresql://user@host/database".
        create: False refuses a SQLite file that does not exist or is empty.

    Raises:
        StoreUnavailableError: it cannot be opened or reached.
        SchemaError: its tables are newer than this program, somebody else's, or (PostgreSQL) not migrated yet.
        DiskFullError: there is no room for the tables.
    """
    address = read_address(url)
    with mapped(address.shown):
        if not address.backend.find(address.url, create=create):
            if not create:
                raise StoreUnavailableError(f"{address.shown}: the file is empty; there is no bank here")
            with address.backend.migrating(address.url):
                upgrade(address)
        database = Database(address)
        try:
            _bring_up(database)
        except BaseException:
            database.close()
            raise
    return Store(database)


def _bring_up(database: Database) -> None:
    address = database.address
    with database.read() as connection:
        state = state_of(connection)
    refuse_newer(state, address.shown)
    if state.ready:
        return
    if advice := address.backend.not_migrated(address.url):
        raise SchemaError(
            f"{address.shown}: the schema is {state.current or 'empty'}, but {state.head} is needed; {advice}"
        )
    with address.backend.migrating(address.url):
        upgrade(address)
