"""What a file must be to become or to be a SQLite bank, and how one is read that cannot be written."""

import os
import sqlite3
from pathlib import Path

from store.errors import SchemaError, StoreUnavailableError

APPLICATION_ID = 0x70626E6B
"""Marks our files, in SQLite's header ("pbnk"); written at each migration."""
OUR_TABLES = {"alembic_version", "prompt_row", "alias", "alias_history", "revision"}
"""By which a bank is known that was written before there was a mark."""


def refuse_unusable(path: Path, *, create: bool) -> None:
    """Refuse a place where no bank can be.

    Raises:
        StoreUnavailableError: a folder, a device, a place below a file, or, without ``create``, nothing at all.
    """
    if path.is_dir():
        raise StoreUnavailableError(f"{path} is a folder; name a file in it, such as {path / 'bank.db'}")
    if path.exists() and not path.is_file():
        raise StoreUnavailableError(f"{path} is a device or a pipe, which cannot hold a bank; name a file")
    blocker = next((parent for parent in path.parents if parent.exists()), None)
    if blocker is not None and not blocker.is_dir():
        raise StoreUnavailableError(
            f"{path}: {blocker} is a file, not a folder, so nothing can be kept below it; "
            f"choose another place with PROMPTBANK_HOME or --db"
        )
    if not create and not path.exists():
        raise StoreUnavailableError(f"{path}: there is no bank here; check the path, or train a task to start one")


def can_be_written(path: Path) -> bool:
    """Whether SQLite can write a file that is there: it needs its folder too, for the log beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file to be read, leaving nothing beside it.

    SQLite cannot read a file in WAL mode without a log beside it, unless it is told that nobody writes. When there is
    no log nobody does, so this is decided anew for each transaction.
    """
    is_open_elsewhere = Path(f"{path}-wal").exists()
    option = "mode=ro" if is_open_elsewhere else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.as_uri()}?{option}", uri=True, isolation_level=None, check_same_thread=False)


def refuse_foreign(cursor: sqlite3.Cursor, path: Path) -> None:
    """Refuse another program's database before anything in it is touched.

    Raises:
        SchemaError: it has another program's mark, or no mark and tables that no bank has.
    """
    mark = cursor.execute("PRAGMA application_id").fetchone()[0]
    found = cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'"
    )
    tables = {name for (name,) in found}
    if mark == APPLICATION_ID or (mark == 0 and (not tables or tables >= OUR_TABLES)):
        return
    told = f"it already has tables named {', '.join(sorted(tables)[:5])}" if tables else f"its mark is {mark:#x}"
    raise SchemaError(
        f"{path} is a SQLite database of another program ({told}), and no promptbank made it; it was left as it is: "
        f"choose an empty database, or a path where no file is"
    )
