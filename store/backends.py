"""What differs between SQLite and PostgreSQL, behind one protocol; the repositories know neither.

| | SQLite | PostgreSQL |
|---|---|---|
| writers | one at a time: BEGIN IMMEDIATE | side by side; one per scope: transaction-level advisory lock |
| readers | WAL snapshot | REPEATABLE READ snapshot |
| schema | migrated at open, under a lock file | migrated only by `promptbank db migrate` |
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from store.errors import StoreUnavailableError

WAIT_SECONDS = 30  # for another writer
OPEN_WAIT_SECONDS = 60  # for another process that is migrating the same file
CONNECT_SECONDS = 10
WRITES = "promptbank_writes"  # execution option that marks a writing transaction


class Backend(ABC):
    """One database engine; what is not overridden needs nothing done on it."""

    migrates_at_open: ClassVar[bool]

    @abstractmethod
    def engine(self, url: URL, *, migrating: bool = False) -> Engine:
        """Make an engine; nothing is opened yet."""

    def opening(self, _url: URL, *, create: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - nothing to create
        """Hold what must be held while a bank is opened and perhaps created."""
        return nullcontext()

    def reading(self, connection: Connection) -> Connection:
        """Make the connection's next transaction see one state of the bank from start to end."""
        return connection

    def writing(self, connection: Connection) -> Connection:
        """Make the connection's next transaction a writing one."""
        return connection

    def lock(self, _connection: Connection, _key: str) -> None:
        """Wait until no other transaction holds the key; released with the transaction."""
        return

    def faults(self, _connection: Connection) -> list[str]:
        """Ask the engine itself whether its file is sound; one that guards its own files is not asked."""
        return []


class SqliteBackend(Backend):
    """A file beside its -wal and -shm, and a .lock file that is held while the bank is opened.

    A plain BEGIN in WAL mode reads one snapshot, and BEGIN IMMEDIATE locks the whole file.
    """

    migrates_at_open = True

    def engine(self, url: URL, *, migrating: bool = False) -> Engine:
        """Make an engine whose transactions are real: the driver's own guessing at BEGIN is switched off."""
        engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS, "isolation_level": None})

        @event.listens_for(engine, "connect")
        def prepare(connection: DBAPIConnection, _record: object) -> None:
            cursor = connection.cursor()
            # Batch mode drops and renames tables that others refer to; the migration checks the keys at its end.
            cursor.execute(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.close()

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            immediate = connection.get_execution_options().get(WRITES, False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        return engine

    @contextmanager
    def opening(self, url: URL, *, create: bool) -> Iterator[None]:
        """Make the folder and hold the lock file, so that two processes can open a fresh home at once."""
        path = Path(url.database or "")
        _refuse_unusable(path, create=create)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=OPEN_WAIT_SECONDS)
        except Timeout as exc:
            message = f"{path}: another process has been opening this bank for {OPEN_WAIT_SECONDS} s; try again later"
            raise StoreUnavailableError(message) from exc
        try:
            yield
        finally:
            lock.release()

    def writing(self, connection: Connection) -> Connection:
        """Take the write lock at BEGIN, so that no other writer comes between reading and writing."""
        return connection.execution_options(**{WRITES: True})

    def faults(self, connection: Connection) -> list[str]:
        """Run SQLite's integrity and foreign-key checks."""
        found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
        return [f"SQLite: {fault}" for fault in found] + foreign_key_faults(connection)


class PostgresqlBackend(Backend):
    """A PostgreSQL server reached through psycopg 3.

    Writers stay at READ COMMITTED: after the lock is granted, the next statement sees what its holder wrote.
    """

    migrates_at_open = False
    options: ClassVar[Mapping[str, object]] = {"connect_timeout": CONNECT_SECONDS, "application_name": "promptbank"}

    def engine(self, url: URL, *, migrating: bool = False) -> Engine:  # noqa: ARG002 - both kinds of work suit one engine
        """Make an engine that notices a restarted server before it uses an old connection."""
        return create_engine(url, pool_pre_ping=True, connect_args={**self.options})

    def reading(self, connection: Connection) -> Connection:
        """Read one snapshot."""
        return connection.execution_options(isolation_level="REPEATABLE READ")

    def lock(self, connection: Connection, key: str) -> None:
        """Take an advisory lock on 64 bits of the key's hash; a collision costs a wait and nothing else."""
        number = int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:8], "big", signed=True)
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (number,))


def foreign_key_faults(connection: Connection) -> list[str]:
    """Name each SQLite row that refers to a row that is not there."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return [f"{table} row {rowid} refers to a {parent} that is not there" for table, rowid, parent, _ in broken]


BACKENDS: Mapping[str, Backend] = {"sqlite": SqliteBackend(), "postgresql": PostgresqlBackend()}


def _refuse_unusable(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StoreUnavailableError(f"{path} is a folder; name a file in it, such as {path / 'bank.db'}")
    blocker = next((parent for parent in path.parents if parent.exists()), None)
    if blocker is not None and not blocker.is_dir():
        raise StoreUnavailableError(
            f"{path}: {blocker} is a file, not a folder, so nothing can be kept below it; "
            f"choose another place with PROMPTBANK_HOME or --db"
        )
    if not create and not path.exists():
        raise StoreUnavailableError(f"{path}: there is no bank here; check the path, or train a task to start one")
