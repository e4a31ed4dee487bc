"""One open database, its backend, and transactions for reading and for writing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Insert, select, update

from store.address import Address
from store.backends import Backend
from store.border import mapped
from store.errors import RevisionConflictError, StoreUnavailableError
from store.schema import revision


class Database:
    """An engine and how to use it safely; safe to share between threads."""

    def __init__(self, address: Address, *, migrating: bool = False) -> None:
        self.address = address
        self.backend: Backend = address.backend
        self._file: tuple[int, int] | None = None
        with mapped(address.shown):
            try:
                self.engine: Engine = address.backend.engine(address.url, migrating=migrating)
            except ModuleNotFoundError as exc:
                message = f"PostgreSQL needs the package {exc.name!r}; run pip install 'promptbank[postgresql]'"
                raise StoreUnavailableError(message) from exc

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the bank.

        Raises:
            StoreError: any fault of the database, mapped.
        """
        with mapped(self.address.shown), self.engine.connect() as plain:
            connection = self.backend.reading(plain)
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, lock: str) -> Iterator[Connection]:
        """Open a writing transaction; it is committed whole at the end of the block, or not at all.

        Args:
            lock: writers with the same key wait for each other.

        Raises:
            StoreError: any fault of the database, mapped; nothing was written.
        """
        with mapped(self.address.shown), self.engine.connect() as plain:
            connection = self.backend.writing(plain)
            with connection.begin():
                self.backend.lock(connection, lock)
                yield connection

    def reconnect_if_replaced(self) -> bool:
        """Close the connections if another file was put in the place of the bank's; say whether it was."""
        found = self.backend.file_identity(self.address.url)
        if found == self._file:
            return False
        first, self._file = self._file is None, found
        if not first:
            self.engine.dispose()
        return not first

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


class Repository:
    """Base of what reads and writes one kind of record."""

    def __init__(self, database: Database) -> None:
        self._database = database


def bump(connection: Connection) -> None:
    """Add one to the revision in the caller's transaction, so that serving sees the write and the number together."""
    connection.execute(update(revision).values(value=revision.c.value + 1))


def current_revision(connection: Connection) -> int:
    """Return the revision."""
    return int(connection.execute(select(revision.c.value)).scalar_one())


def expect_revision(connection: Connection, expected: int | None) -> None:
    """Refuse to go on if the bank has changed since somebody looked; None takes it as it is.

    Raises:
        RevisionConflictError: it has another revision.
    """
    if expected is None:
        return
    found = int(connection.execute(select(revision.c.value).with_for_update()).scalar_one())
    if found != expected:
        raise RevisionConflictError(
            f"the bank has revision {found}, not {expected}; look at it again before changing it"
        )


def insert_one(connection: Connection, statement: Insert) -> int:
    """Insert one record and return the key that the database gave it."""
    key = connection.execute(statement).inserted_primary_key
    assert key is not None, "a single-record insert always has a key"  # noqa: S101 - our own bug if not
    return int(key[0])
