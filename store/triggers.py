"""The triggers that keep the bank insert-only, in one place for both engines.

A repository that offers no update is a promise; a trigger is a lock that also holds for `sqlite3 bank.db` and `psql`.
SQLite drops a table's triggers when Alembic's batch mode rebuilds it, so `migrations/env.py` calls `install` at the end
of every migration, in the same transaction, and `faults` names any trigger that is missing or altered.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect

from store.schema import SCOPE

# Table -> the keys by which `INSERT OR REPLACE` could overwrite a row: SQLite fires no delete trigger there.
INSERT_ONLY: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "prompt_row": (("row_id",), (*SCOPE, "version")),
    "evaluation": (("evaluation_id",),),
    "alias_history": (("move_id",),),
    "card": (("card_id",),),
    "default_language": (("default_id",),),
}
# An alias is retired and a key revoked, not removed; the revision only grows.
NEVER_DELETED = ("alias", "api_key", "revision")

POSTGRESQL_FUNCTION = "promptbank_refuse"
POSTGRESQL_BODY = """
BEGIN
    RAISE EXCEPTION USING
        MESSAGE = TG_TABLE_NAME || ' keeps what was written: ' || TG_OP || ' refused',
        ERRCODE = 'PB001';
END
"""


def expected(dialect: str) -> dict[str, str]:
    """Return trigger name -> its CREATE statement, as the engine reports it back.

    Args:
        dialect: "sqlite" or "postgresql".
    """
    return _STATEMENTS[dialect]()


def install(connection: Connection) -> None:
    """Create every trigger anew whose table exists, inside the caller's transaction."""
    dialect = connection.dialect.name
    tables = set(inspect(connection).get_table_names())
    if dialect == "postgresql":
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {POSTGRESQL_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$refuse${POSTGRESQL_BODY}$refuse$"
        )
    for name, statement in expected(dialect).items():
        table = _table_of(name)
        if table in tables:
            connection.exec_driver_sql(_DROPS[dialect].format(name=name, table=table))
            connection.exec_driver_sql(statement)


def faults(connection: Connection) -> list[str]:
    """Name each trigger that is missing, switched off or not the one that was installed."""
    dialect = connection.dialect.name
    found = _FOUND[dialect](connection)
    return [
        f"trigger {name} of table {_table_of(name)} is {'altered' if name in found else 'missing'}"
        for name, statement in expected(dialect).items()
        if found.get(name) != statement
    ]


def _table_of(trigger: str) -> str:
    return trigger.rsplit("_no_", 1)[0]


def _sqlite_statements() -> dict[str, str]:
    statements = {f"{table}_no_delete": _sqlite(table, "delete") for table in (*INSERT_ONLY, *NEVER_DELETED)}
    statements |= {f"{table}_no_update": _sqlite(table, "update") for table in INSERT_ONLY}
    return statements | {f"{table}_no_replace": _sqlite_replace(table, keys) for table, keys in INSERT_ONLY.items()}


def _sqlite(table: str, event: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} keeps what was written: {event.upper()} refused'); END"
    )


def _sqlite_replace(table: str, keys: tuple[tuple[str, ...], ...]) -> str:
    same = " OR ".join("(" + " AND ".join(f"{column} = NEW.{column}" for column in key) + ")" for key in keys)
    return (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "  # noqa: S608 - names from this file only
        f"BEGIN SELECT RAISE(ABORT, '{table} keeps what was written: REPLACE refused'); END"
    )


def _postgresql_statements() -> dict[str, str]:
    statements = {f"{table}_no_{e}": _postgresql(table, e) for table in INSERT_ONLY for e in _POSTGRESQL_LEVELS}
    return statements | {f"{t}_no_{e}": _postgresql(t, e) for t in NEVER_DELETED for e in ("delete", "truncate")}


def _postgresql(table: str, event: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
        f"FOR EACH {_POSTGRESQL_LEVELS[event]} EXECUTE FUNCTION {POSTGRESQL_FUNCTION}()"
    )


def _sqlite_found(connection: Connection) -> dict[str, str]:
    found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {str(row.name): str(row.sql) for row in found}


def _postgresql_found(connection: Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql(
        "SELECT t.tgname, pg_get_triggerdef(t.oid, true), t.tgenabled::text, p.prosrc FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
    )
    return {
        name: statement if enabled in {"O", "A"} and body == POSTGRESQL_BODY else "switched off or hollowed out"
        for name, statement, enabled, body in rows
    }


_POSTGRESQL_LEVELS: Mapping[str, str] = {"update": "ROW", "delete": "ROW", "truncate": "STATEMENT"}
_STATEMENTS: Mapping[str, Callable[[], dict[str, str]]] = {
    "sqlite": _sqlite_statements,
    "postgresql": _postgresql_statements,
}
_FOUND: Mapping[str, Callable[[Connection], dict[str, str]]] = {
    "sqlite": _sqlite_found,
    "postgresql": _postgresql_found,
}
_DROPS: Mapping[str, str] = {
    "sqlite": "DROP TRIGGER IF EXISTS {name}",
    "postgresql": "DROP TRIGGER IF EXISTS {name} ON {table}",
}
