"""Brings a database's schema to the one this program needs, and says how far it is.

Alembic runs programmatically from the installed package; a migration, its triggers and its version number are one
transaction on both engines. Alembic keeps its state in module globals, hence the lock. It is imported only when there
is something to migrate, since that takes a quarter of a second.
"""

import threading
from contextlib import closing
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from store.address import Address, read_address
from store.backends import foreign_key_faults
from store.border import mapped
from store.database import Database
from store.errors import SchemaError
from store.records import SchemaState
from store.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = "promptbank schema"
_alembic_globals = threading.Lock()


def migrate(url: str) -> tuple[str | None, str]:
    """Apply every pending migration.

    Args:
        url: a path or URL as for `open_store`.

    Returns:
        The revision before (None for an empty database) and the one after; equal when there was nothing to do.

    Raises:
        SchemaError: the database is newer than this program, or its tables are somebody else's.
        StoreError: it cannot be opened, reached or written.
    """
    address = read_address(url)
    with mapped(address.shown):
        address.backend.find(address.url, create=True)
        with address.backend.migrating(address.url):
            return upgrade(address)


def schema_state(url: str) -> SchemaState:
    """Say which schema a database has, without migrating it.

    Args:
        url: a path or URL as for `open_store`; a SQLite file that does not exist is an error and is not made.

    Raises:
        StoreError: it cannot be opened or reached.
    """
    address = read_address(url)
    with mapped(address.shown):
        address.backend.find(address.url, create=False)
        with closing(Database(address)) as database, database.read() as connection:
            return state_of(connection)


def state_of(connection: Connection) -> SchemaState:
    """Return the schema state as this transaction sees it."""
    revisions = _revisions()
    is_there = inspect(connection).has_table("alembic_version")
    current = connection.scalar(text("SELECT version_num FROM alembic_version")) if is_there else None
    known = [None, *revisions]
    pending = revisions[known.index(current) :] if current in known else ()
    return SchemaState(current, revisions[-1], pending)


def upgrade(address: Address) -> tuple[str | None, str]:
    """Migrate to the newest revision; the caller holds what `Backend.migrating` gives."""
    with closing(Database(address, migrating=True)) as database, database.write(MIGRATION_LOCK) as connection:
        state = state_of(connection)
        refuse_newer(state, address.shown)
        if state.ready:
            return state.current, state.head
        _refuse_foreign_tables(connection, state, address.shown)
        with _alembic_globals:
            _run_migrations(connection)
        _refuse_broken_keys(connection)
    return state.current, state.head


def refuse_newer(state: SchemaState, where: str) -> None:
    """Raise SchemaError if the database was written by a newer program."""
    if state.newer:
        raise SchemaError(
            f"{where}: its schema {state.current} is newer than {state.head}, the newest that this program knows; "
            f"install the promptbank that wrote it, or a later one"
        )


def migrations_config(connection: Connection) -> "Config":
    """Return Alembic's settings: scripts from the package, work on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _run_migrations(connection: Connection) -> None:
    from alembic import command

    command.upgrade(migrations_config(connection), "head")


@cache
def _revisions() -> tuple[str, ...]:
    """Return the revisions that this program knows, oldest first, by the names of their files."""
    names = (path.name for path in files("store.migrations.versions").iterdir())
    return tuple(sorted(name.partition("_")[0] for name in names if name[:1].isdecimal()))


def _refuse_foreign_tables(connection: Connection, state: SchemaState, where: str) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if state.current is None and taken:
        raise SchemaError(
            f"{where}: it already has tables named {', '.join(taken)}, but no promptbank made them; "
            f"choose an empty database"
        )


def _refuse_broken_keys(connection: Connection) -> None:
    faults = foreign_key_faults(connection) if connection.dialect.name == "sqlite" else []
    if faults:
        raise SchemaError(f"the migration was undone, since it would break the bank: {'; '.join(faults)}")
