"""Looks for what should be impossible: changed bytes, re-pointed aliases, missing versions or triggers.

Triggers stop honest mistakes, but the owner of the file can drop them; so what is there is compared with what was
frozen and logged.
"""

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy import Connection, RowMapping, select

from store import triggers
from store.aliases import move_of, undo_stack
from store.backends import Backend
from store.database import Database
from store.errors import NotFoundError, TamperedRowError
from store.migrate import state_of
from store.records import AliasMove, Scope
from store.rows import load_row
from store.schema import SCOPE, alias, alias_history, prompt_row
from store.scopes import scope_in


def store_faults(database: Database) -> list[str]:
    """Return every integrity fault as a sentence; empty when the bank is sound.

    All is read in one transaction, so that writers at work cause no false alarm. Rows are read one at a time.
    """
    with database.read() as connection:
        return database_faults(connection, database.backend)


def database_faults(connection: Connection, backend: Backend) -> list[str]:
    """Return the same as this transaction sees it."""
    outdated = list(_schema_faults(connection))
    if outdated:  # other tables cannot be asked the questions below
        return outdated
    return [
        *triggers.faults(connection),
        *backend.faults(connection),
        *_row_faults(connection),
        *_version_gaps(connection),
        *_alias_faults(connection),
    ]


def _schema_faults(connection: Connection) -> Iterator[str]:
    state = state_of(connection)
    if not state.ready:
        yield f"the schema is {state.current}, but this program needs {state.head}; see `promptbank db check --db URL`"


def _row_faults(connection: Connection) -> Iterator[str]:
    for row_id in list(connection.execute(select(prompt_row.c.row_id).order_by(prompt_row.c.row_id)).scalars()):
        try:
            load_row(connection, row_id)
        except (TamperedRowError, NotFoundError) as exc:
            yield str(exc)


def _version_gaps(connection: Connection) -> Iterator[str]:
    columns = [prompt_row.c[name] for name in (*SCOPE, "version")]
    found = connection.execute(select(*columns).order_by(*columns))
    for scope, rows in groupby(found, key=lambda row: Scope(*row[:3])):
        versions = [row[3] for row in rows]
        missing = sorted(set(range(1, max(versions) + 1)) - set(versions))
        if missing:
            yield f"{scope} lacks version {', '.join(map(str, missing))}, though later ones exist: a row was removed"


def _alias_faults(connection: Connection) -> Iterator[str]:
    pointed = {_key(row): row["version"] for row in connection.execute(select(alias)).mappings()}
    histories: dict[tuple[Scope, str], list[AliasMove]] = {}
    for row in connection.execute(select(alias_history).order_by(alias_history.c.move_id)).mappings():
        histories.setdefault(_key(row), []).append(move_of(row))
    found = connection.execute(select(*(prompt_row.c[name] for name in (*SCOPE, "version"))))
    rows = {(Scope(*row[:3]), row[3]) for row in found}
    for key in sorted(pointed.keys() | histories.keys()):
        scope, alias_name = key
        name = f"alias {alias_name!r} of {scope}"
        version = pointed.get(key)
        if version is not None and (scope, version) not in rows:
            yield f"{name} points at version {version}, which is not there"
        yield from _history_faults(name, version, histories.get(key, []))


def _history_faults(name: str, version: int | None, moves: list[AliasMove]) -> Iterator[str]:
    logged = moves[-1].to_version if moves else None
    if version != logged:
        yield f"{name} points at version {version}, but its history ends at {logged}: it was re-pointed behind our back"
    reached = [None, *(move.to_version for move in moves)]  # an alias points nowhere before its first move
    for before, move in zip(reached, moves, strict=False):
        if before != move.from_version:
            yield f"the history of {name} is broken: after {before} comes a move from {move.from_version}"
    stack = undo_stack(moves)
    if logged is not None and stack[-1:] != [logged]:
        yield f"the history of {name} is broken: its moves and rollbacks do not lead to version {logged}"


def _key(row: RowMapping) -> tuple[Scope, str]:
    return scope_in(row), row["name"]
