"""What differs between SQLite and PostgreSQL, behind one protocol; the repositories know neither.

| | SQLite | PostgreSQL |
|---|---|---|
| writers | one at a time: BEGIN IMMEDIATE | side by side; one per scope: transaction-level advisory lock |
| readers | WAL snapshot | REPEATABLE READ snapshot |
| schema | migrated at open, under a lock file | migrated only by `promptbank db migrate` |

A SQLite file that cannot be written, or is asked for with `mode=ro`, is read as it is, and nothing is made beside it.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from store.errors import StoreUnavailableError
from store.sqlite_file import can_be_written, connect_to_read, refuse_foreign, refuse_unusable

if TYPE_CHECKING:
    import sqlite3

WAIT_SECONDS = 30  # for another writer
OPEN_WAIT_SECONDS = 60  # for another process that is migrating the same file
CONNECT_SECONDS = 10
WRITES = "promptbank_writes"  # execution option that marks a writing transaction


class Backend(ABC):
    """One database engine; what is not overridden needs nothing done on it."""

    @abstractmethod
    def engine(self, url: URL, *, migrating: bool = False) -> Engine:
        """Make an engine; nothing is opened yet."""

    def find(self, _url: URL, *, create: bool) -> bool:  # noqa: ARG002 - nothing to create
        """Whether the database is there, so that its state can be asked.

        Raises:
            StoreUnavailableError: it cannot be there, or is not and may not be made.
        """
        return True

    def migrating(self, _url: URL) -> AbstractContextManager[None]:
        """Hold what must be held while a bank is made or migrated."""
        return nullcontext()

    @abstractmethod
    def not_migrated(self, url: URL) -> str | None:
        """Return what a user must do about an outdated schema; None where it is migrated when it is opened."""

    def reading(self, connection: Connection) -> Connection:
        """Make the connection's next transaction see one state of the bank from start to end."""
        return connection

    def writing(self, connection: Connection) -> Connection:
        """Make the connection's next transaction a writing one."""
        return connection

    def lock(self, _connection: Connection, _key: str) -> None:
        """Wait until no other transaction holds the key; released with the transaction."""
        return

    def file_identity(self, _url: URL) -> tuple[int, int] | None:
        """Return what tells the bank's file from another that was put in its place; None where there is no file."""
        return None

    def faults(self, _connection: Connection) -> list[str]:
        """Ask the engine itself whether its file is sound; one that guards its own files is not asked."""
        return []


@dataclass(frozen=True)
class SqliteBackend(Backend):
    """A file beside its -wal and -shm, and a .lock file that is held while the bank is made or migrated.

    A plain BEGIN in WAL mode reads one snapshot, and BEGIN IMMEDIATE locks the whole file.

    Attributes:
        creates: whether a file may be made.
        writes: whether a file may be written.
    """

    creates: bool = True
    writes: bool = True

    def engine(self, url: URL, *, migrating: bool = False) -> Engine:
        """Make an engine whose transactions are real: the driver's own guessing at BEGIN is switched off."""
        path, is_writable = _path(url), self._is_writable(_path(url))
        if is_writable:
            engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS, "isolation_level": None})
        else:
            engine = create_engine(url, creator=lambda: connect_to_read(path), poolclass=NullPool)

        @event.listens_for(engine, "connect")
        def prepare(connection: DBAPIConnection, _record: object) -> None:
            cursor = connection.cursor()
            try:
                refuse_foreign(cast("sqlite3.Cursor", cursor), path)
                # Batch mode drops and renames tables that others refer to; the migration checks the keys at its end.
                cursor.execute(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
                if is_writable:
                    cursor.execute("PRAGMA journal_mode = WAL")
                    cursor.execute("PRAGMA synchronous = FULL")
                cursor.close()
            except BaseException:
                connection.close()
                raise

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            immediate = connection.get_execution_options().get(WRITES, False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

        return engine

    def file_identity(self, url: URL) -> tuple[int, int] | None:
        """Return device and inode of the file; zeros where there is none."""
        try:
            found = _path(url).stat()
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _is_writable(self, path: Path) -> bool:
        return self.writes and (not path.exists() or can_be_written(path))

    def find(self, url: URL, *, create: bool) -> bool:
        """Whether the file is there and not empty."""
        path = _path(url)
        refuse_unusable(path, create=create and self.creates)
        return path.exists() and path.stat().st_size > 0

    @contextmanager
    def migrating(self, url: URL) -> Iterator[None]:
        """Make the folder and hold the lock file, so that two processes can open a fresh home at once."""
        path = _path(url)
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

    def not_migrated(self, url: URL) -> str | None:
        """Migrate what can be written."""
        if self._is_writable(_path(url)):
            return None
        return "it cannot be written here; copy it into a folder of yours and run `promptbank db migrate --db COPY`"

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

    options: ClassVar[Mapping[str, object]] = {"connect_timeout": CONNECT_SECONDS, "application_name": "promptbank"}

    def engine(self, url: URL, *, migrating: bool = False) -> Engine:  # noqa: ARG002 - both kinds of work suit one engine
        """Make an engine that notices a restarted server before it uses an old connection."""
        return create_engine(url, pool_pre_ping=True, connect_args={**self.options})

    def not_migrated(self, _url: URL) -> str | None:
        """Leave it to a person, since other programs may use the database at this moment."""
        return "run `promptbank db migrate --db URL` once, when no older promptbank uses this database"

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


def _path(url: URL) -> Path:
    return Path(url.database or "")


BACKENDS: Mapping[str, Backend] = {
    "sqlite": SqliteBackend(),
    "sqlite-existing": SqliteBackend(creates=False),
    "sqlite-read": SqliteBackend(creates=False, writes=False),
    "postgresql": PostgresqlBackend(),
}
