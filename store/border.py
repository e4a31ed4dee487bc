"""Turns whatever the database layer raises into the store's own errors, so that no SQLAlchemy exception leaves.

SQLite errors are told apart by their primary result code (https://sqlite.org/rescode.html), PostgreSQL ones by SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html). Statements and parameters stay out of the messages:
a parameter may be a whole row.
"""

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from store.errors import (
    DiskFullError,
    InsertOnlyError,
    InvalidRecordError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
)

FULL = "the disk or the database's size limit is full; nothing was written. Free some space and repeat the command"
LOCKED = "another process held the database for too long; repeat the command when it is done"
READ_ONLY = "the database cannot be written; check the permissions of the file and of its folder"
DAMAGED = "the file is damaged or is not a SQLite database; restore a copy, or choose another path"
OLD = "its tables do not fit this program; run `promptbank db check --db URL`, then `promptbank db migrate --db URL`"
REACH = "the database cannot be reached; check the address, the user and that the server runs"
INSERT_ONLY = "what is in the bank stays as it was written; add a new version instead"
ROOM = "the server has no memory or no connections left; try again later"

SQLITE: Mapping[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_FULL: (DiskFullError, FULL),
    sqlite3.SQLITE_BUSY: (StoreUnavailableError, LOCKED),
    sqlite3.SQLITE_LOCKED: (StoreUnavailableError, LOCKED),
    sqlite3.SQLITE_READONLY: (StoreUnavailableError, READ_ONLY),
    sqlite3.SQLITE_PERM: (StoreUnavailableError, READ_ONLY),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, "the disk reported an error; check the disk"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, "the file cannot be opened; check the path and its permissions"),
    sqlite3.SQLITE_CORRUPT: (StoreUnavailableError, DAMAGED),
    sqlite3.SQLITE_NOTADB: (StoreUnavailableError, DAMAGED),
}
# Looked up by the whole SQLSTATE first, then by its two-character class.
POSTGRESQL: Mapping[str, tuple[type[StoreError], str]] = {
    "53100": (DiskFullError, FULL),
    "PB001": (InsertOnlyError, INSERT_ONLY),
    "42P01": (SchemaError, OLD),
    "42703": (SchemaError, OLD),
    "42501": (StoreUnavailableError, "this user may not do that; ask for the rights on the database"),
    "25006": (StoreUnavailableError, READ_ONLY),
    "55P03": (StoreUnavailableError, LOCKED),
    "40": (StoreUnavailableError, LOCKED),
    "08": (StoreUnavailableError, REACH),
    "28": (StoreUnavailableError, REACH),
    "3D": (StoreUnavailableError, "there is no such database on the server; create it first"),
    "53": (StoreUnavailableError, ROOM),
    "57": (StoreUnavailableError, REACH),
}
OS_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Run a block and turn database errors into store errors.

    Args:
        where: the database as a person may read it, without a password.

    Raises:
        StoreError: whichever class fits, from the original error.
    """
    try:
        yield
    except UnicodeEncodeError as exc:
        fault = f"it holds {exc.object[exc.start : exc.start + 1]!r}, which UTF-8 cannot encode; remove it"
        raise InvalidRecordError("the text", [fault]) from exc
    except (SQLAlchemyError, sqlite3.Error) as exc:
        raise store_error(exc, where) from exc
    except OSError as exc:
        raise os_store_error(exc, where) from exc


def store_error(exc: SQLAlchemyError | sqlite3.Error, where: str) -> StoreError:
    """Return the store's error for one of the database layer's."""
    cause: BaseException = getattr(exc, "orig", None) or exc
    said = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    kind, advice = _classify(exc, cause)
    return kind(f"{where}: {advice} ({said})")


def os_store_error(exc: OSError, where: str) -> StoreError:
    """Return the store's error for a failed file operation."""
    if exc.errno in OS_FULL:
        return DiskFullError(f"{where}: {FULL} ({exc})")
    return StoreUnavailableError(f"{where}: the file or its folder cannot be used; choose another path ({exc})")


def _classify(exc: BaseException, cause: BaseException) -> tuple[type[StoreError], str]:
    state = getattr(cause, "sqlstate", None)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return _classify_sqlite(code, str(cause))
    if state is not None:
        return POSTGRESQL.get(state) or POSTGRESQL.get(state[:2]) or (StoreError, "the database refused the operation")
    if isinstance(exc, (OperationalError, InterfaceError, PoolTimeoutError)):
        return StoreUnavailableError, REACH
    return StoreError, "the database refused the operation"


def _classify_sqlite(code: int, said: str) -> tuple[type[StoreError], str]:
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return InsertOnlyError, INSERT_ONLY
    if code == sqlite3.SQLITE_ERROR and said.startswith(("no such table", "no such column")):
        return SchemaError, OLD
    return SQLITE.get(code & 0xFF, (StoreError, "the database refused the operation"))  # low byte: the primary code
