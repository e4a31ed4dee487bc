"""Fixtures and makers for tests of the store; every test with `fresh_store` or `fresh_url` runs on both engines."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, create_engine, insert, text
from sqlalchemy.pool import NullPool

from store import NewRow, Row, Scope, Store, migrate, open_store, triggers
from store.address import read_address
from store.database import Database
from store.migrate import state_of
from store.schema import SEALS, metadata, prompt_row
from store.sealing import seal
from tests.postgres import NoPostgresqlError, Server, running_server

ROOT = Path(__file__).parents[1]
ENGINES = ("sqlite", "postgresql")
SCOPE = Scope("sentiment-task", "en", "f" * 64)
OTHER = Scope("sentiment-task", "sv", "f" * 64)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A running PostgreSQL, shared by the session."""
    try:
        with running_server() as server:
            yield server
    except NoPostgresqlError as exc:
        pytest.skip(str(exc))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy; migrating one for each test took 70 ms."""
    path = tmp_path_factory.mktemp("template") / "bank.db"
    migrate(str(path))
    return path


@pytest.fixture
def postgres_url(postgres_server: Server) -> str:
    """The PostgreSQL database, migrated and without rows."""
    return emptied(postgres_server)


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables: a SQLite file that is not there yet, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bank.db'}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.empty()


@pytest.fixture(params=ENGINES)
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that `open_store` takes as it is, without rows."""
    return bank_url(request, tmp_path, request.param)


@pytest.fixture
def fresh_store(fresh_url: str) -> Iterator[Store]:
    """An open bank without rows."""
    with open_store(fresh_url) as store:
        yield store


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """A path for what only SQLite does; the file is not there yet."""
    return tmp_path / "bank.db"


def bank_url(request: pytest.FixtureRequest, folder: Path, engine: str) -> str:
    """Return the URL of a new bank without rows."""
    if engine == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        return f"sqlite:///{shutil.copy(template, folder / 'bank.db')}"
    return emptied(request.getfixturevalue("postgres_server"))


def emptied(server: Server) -> str:
    """Return the URL of the PostgreSQL database after deleting all rows, or after migrating anew if it was altered."""
    with closing(Database(read_address(server.url))) as database, database.read() as connection:
        sound = state_of(connection).ready and not triggers.faults(connection)
    if not sound:
        migrate(server.empty())
        return server.url
    keys = [(table.name, column.name) for table in metadata.tables.values() for column in table.primary_key]
    server.execute(
        "SET LOCAL session_replication_role = replica;"  # no trigger fires
        + "".join(f"DELETE FROM {table};" for table in metadata.tables)
        + "".join(f"SELECT setval(pg_get_serial_sequence('{table}', '{key}'), 1, false);" for table, key in keys)
        + "INSERT INTO revision (revision_id, value) VALUES (1, 0)"
    )
    return server.url


def new_row(scope: Scope = SCOPE, *, fill: int = 0, shape: tuple[int, int] = (2, 3), **changes: Any) -> NewRow:
    """Make a valid row whose bytes all are `fill`."""
    virtual_tokens, hidden_size = shape
    data = changes.pop("data", bytes([fill]) * (virtual_tokens * hidden_size * 4))
    values: dict[str, Any] = {
        "scope": scope,
        "kind": "rows.v1",
        "layout": (("virtual_tokens", "float32", shape),),
        "data": data,
        "virtual_tokens": virtual_tokens,
        "hidden_size": hidden_size,
        "sha256": hashlib.sha256(data).hexdigest(),
        "tokenizer_sha256": "a" * 64,
        "backbone_name": "tiny-gpt2",
        "card_json": json.dumps({"taskname": scope.taskname, "lang": scope.lang}),
        "template_sha256": "b" * 64,
        "policy_json": '{"bos": true, "eos": true}',
        "training_json": '{"epochs": 8}',
        "seed": 17,
        "data_sha256": "c" * 64,
        "parent_version": None,
        "packages_json": '{"torch": "2.13.0"}',
        "probes_json": '[{"fields": {"sentence": "Vinsten ökade 🙂"}}]',
        "probe_logits": bytes(range(12)),
        "probe_shape": (1, 3),
    }
    return NewRow(**(values | changes))


def row_before_kinds(new: NewRow, version: int) -> Executable:
    """Return what inserts a row as a program before migration 0003 did, with neither kind nor layout."""
    rows, columns = new.probe_shape
    own = {"version": version, "probe_rows": rows, "probe_columns": columns} | asdict(new.scope)
    values = own | {name: getattr(new, name) for name in SEALS[1] if name not in own}
    return insert(prompt_row).values(**values, record_sha256=seal(values), created_at=datetime.now(UTC))


def content(row: NewRow) -> dict[str, object]:
    """Return what a row says, without what a bank adds."""
    return {name: getattr(row, name) for name in NewRow.__dataclass_fields__}


def filled(store: Store, count: int = 3, scope: Scope = SCOPE) -> list[Row]:
    """Freeze rows 1 to `count`, each with other bytes."""
    return [store.rows.freeze(new_row(scope, fill=number)) for number in range(1, count + 1)]


def outside(url: str, *statements: str | Executable) -> None:
    """Run statements past the store, with plain connections that enforce nothing of their own."""
    engine = create_engine(read_address(url).url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement) if isinstance(statement, str) else statement)


def asked(url: str, query: Executable) -> Any:
    """Return the one value that a query finds, past the store."""
    with create_engine(read_address(url).url, poolclass=NullPool).connect() as connection:
        return connection.execute(query).scalar_one()


def behind_triggers(url: str, *statements: str | Executable) -> None:
    """Do what an owner of the database can: drop the triggers, run statements and put the triggers back."""
    engine = create_engine(read_address(url).url, poolclass=NullPool)
    dialect = engine.dialect.name
    with engine.begin() as connection:
        if dialect == "postgresql":
            connection.exec_driver_sql("SET session_replication_role = replica")  # foreign keys too
        for name in triggers.expected(dialect):
            on = f" ON {name.rsplit('_no_', 1)[0]}" if dialect == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")
        for statement in statements:
            connection.execute(text(statement) if isinstance(statement, str) else statement)
        triggers.install(connection)


def start_script(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a fresh Python process in the repository's root; talk to it through stdin and stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
