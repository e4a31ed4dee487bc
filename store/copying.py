"""Copies a whole bank: a SQLite file while it is in use, or everything into an empty bank on either engine.

A copy is checked before it counts: each prompt row by its hashes, every table by a digest of all its values.
"""

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, func, insert, select, update

from store.address import Address, read_address
from store.bank import open_store
from store.border import mapped
from store.check import database_faults
from store.database import Database
from store.errors import SchemaError, StoreError, StoreUnavailableError
from store.migrate import migrate, schema_state
from store.rows import load_row
from store.schema import COPIED, prompt_row, revision
from store.sealing import seal

__all__ = ["back_up", "move_bank"]

CHUNK = 200  # records of one statement
LOCK = "promptbank move"


def back_up(url: str, path: Path) -> dict[str, int]:
    """Copy a bank into a new SQLite file, while others read and write it.

    SQLite's own backup copies the file page by page as it was at one moment (https://sqlite.org/backup.html). A bank on
    PostgreSQL is copied as by `move_bank`.

    Returns:
        The number of records in each table of the copy.

    Raises:
        StoreUnavailableError: the file is there already, or cannot be written.
        StoreError: the copy is not sound; then there is no file.
    """
    if path.exists() or path.is_symlink():
        raise StoreUnavailableError(f"{path} is there already, and a backup overwrites nothing; name another file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        address = read_address(url)
        if address.url.get_backend_name() == "sqlite":
            _copy_file(address, temporary)
            counts = _checked(temporary)
        else:
            counts = move_bank(url, str(temporary))
            _single_file(temporary)
        _synced(temporary)
        os.link(temporary, path)  # fails where another file came in the meantime
    except OSError as exc:
        raise StoreUnavailableError(f"{path} cannot be written ({exc.strerror}); name another file") from exc
    finally:
        for name in ("", "-wal", "-shm", ".lock"):
            Path(f"{temporary}{name}").unlink(missing_ok=True)
    return counts


def move_bank(url: str, target: str) -> dict[str, int]:
    """Copy everything in a bank into an empty one, in one transaction; the first bank stays as it is.

    Keys, times, seals and the revision are kept, so replicas and evaluations mean the same rows as before.

    Args:
        url: the bank.
        target: where it goes: an empty database (its tables are made), or a bank without records.

    Returns:
        The number of records in each table.

    Raises:
        StoreUnavailableError: one of them cannot be reached, or the target holds records.
        SchemaError: the target's tables are of another version, or another program's.
        StoreError: what arrived is not what was sent, or the bank was written meanwhile; nothing was moved.
    """
    _prepare(target)
    source, goal = read_address(url), read_address(target)
    if source.full == goal.full:
        raise StoreUnavailableError(f"{goal.shown} is the bank itself; name an empty database")
    open_store(url, create=False).close()
    with (
        closing(Database(source)) as old,
        closing(Database(goal)) as new,
        old.read() as reading,
        new.write(LOCK) as writing,
    ):
        _refuse_records(writing, goal.shown)
        for table in COPIED:
            _copy_table(reading, writing, table)
        _check_copy(reading, writing)
        with old.read() as later:
            if _state(later) != _state(reading):
                raise StoreError(
                    f"{source.shown} was written while it was copied, so nothing was moved; stop what writes to it "
                    "(trainings, imports, `keys`), and repeat the command"
                )
        return _counts(reading)


def _prepare(target: str) -> None:
    """Make the tables of the target where it has none."""
    address = read_address(target)
    if address.url.get_backend_name() == "sqlite" and not Path(address.url.database or "").exists():
        migrate(target)
    state = schema_state(target)
    if state.current is None:
        migrate(target)
    elif not state.ready:
        raise SchemaError(
            f"{address.shown}: the schema is {state.current}, but {state.head} is needed; "
            "run `promptbank db migrate --db URL`"
        )


def _refuse_records(connection: Connection, where: str) -> None:
    if held := {name: count for name, count in _counts(connection).items() if count and name != revision.name}:
        told = ", ".join(f"{count} in {name}" for name, count in held.items())
        raise StoreUnavailableError(f"{where} is not empty ({told}); name an empty database, nothing is merged")


def _copy_table(reading: Connection, writing: Connection, table: Table) -> None:
    if table is revision:  # one record, which every bank has
        writing.execute(update(revision).values(value=reading.execute(select(revision.c.value)).scalar_one()))
        return
    for records in _chunks(reading, table):
        writing.execute(insert(table), records)
    if writing.dialect.name == "postgresql":
        _advance_sequence(writing, table)


def _chunks(connection: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    """Yield all records of a table in the order of their keys, some at a time."""
    found = connection.execute(select(table).order_by(*table.primary_key).execution_options(yield_per=CHUNK))
    for part in found.partitions():
        yield [dict(record._mapping) for record in part]


def _advance_sequence(connection: Connection, table: Table) -> None:
    """Let PostgreSQL count on after the keys that were brought along."""
    if (key := table.autoincrement_column) is None:
        return
    connection.exec_driver_sql(
        f"SELECT setval(pg_get_serial_sequence('{table.name}', '{key.name}'), COALESCE(MAX({key.name}), 1), "  # noqa: S608 - names from the schema
        f"MAX({key.name}) IS NOT NULL) FROM {table.name}"
    )


def _check_copy(reading: Connection, writing: Connection) -> None:
    for row_id in writing.execute(select(prompt_row.c.row_id)).scalars().all():
        if load_row(writing, row_id) != load_row(reading, row_id):
            raise StoreError(f"row {row_id} did not arrive as it was sent; nothing was moved")
    for table in COPIED:
        if _digest(reading, table) != _digest(writing, table):
            raise StoreError(f"the table {table.name} did not arrive as it was sent; nothing was moved")


def _digest(connection: Connection, table: Table) -> str:
    digest = hashlib.sha256()
    for records in _chunks(connection, table):
        for record in records:
            digest.update(seal(record).encode())
    return digest.hexdigest()


def _counts(connection: Connection) -> dict[str, int]:
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in COPIED}


def _state(connection: Connection) -> tuple[object, ...]:
    return connection.execute(select(revision.c.value)).scalar_one(), *_counts(connection).values()


def _copy_file(address: Address, path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    address.backend.find(address.url, create=False)
    with closing(Database(address)) as database, database.read() as connection:
        plain = connection.connection.driver_connection
        assert isinstance(plain, sqlite3.Connection)  # noqa: S101 - the backend says so
        with mapped(str(path)), closing(sqlite3.connect(path)) as copy:
            plain.backup(copy)
    _single_file(path)


def _single_file(path: Path) -> None:
    """Leave no log beside a copy, so that it is one file."""
    with mapped(str(path)), closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")


def _checked(path: Path) -> dict[str, int]:
    with closing(Database(read_address(f"{path.absolute().as_uri()}?mode=ro"))) as copy, copy.read() as connection:
        faults = database_faults(connection, copy.backend)
        if faults:
            raise StoreError(f"the copy is not sound, so there is none: {'; '.join(faults[:5])}")
        return _counts(connection)


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
