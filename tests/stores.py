"""Fixtures and makers for tests of the store; every test with `fresh_store` or `fresh_url` runs on both engines."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, create_engine, text
from sqlalchemy.pool import NullPool

from store import NewRow, Row, Scope, Store, migrate, open_store, triggers
from store.address import read_address
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
def postgres_template(postgres_server: Server) -> str:
    """The name of a migrated database to copy."""
    url = postgres_server.database()
    migrate(url)
    return url.rsplit("/", 1)[1]


@pytest.fixture(params=ENGINES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables: a SQLite file that is not there yet, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bank.db'}"
    return str(request.getfixturevalue("postgres_server").database())


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
        return f"sqlite:///{folder / 'bank.db'}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.database(request.getfixturevalue("postgres_template"))


def new_row(scope: Scope = SCOPE, *, fill: int = 0, shape: tuple[int, int] = (2, 3), **changes: Any) -> NewRow:
    """Make a valid row whose bytes all are `fill`."""
    virtual_tokens, hidden_size = shape
    data = changes.pop("data", bytes([fill]) * (virtual_tokens * hidden_size * 4))
    values: dict[str, Any] = {
        "scope": scope,
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
