"""A bank that release 0.1.0 wrote keeps all it holds, in both engines, and its rows stay as trustworthy as new ones.

`tests/fixtures/write_release_0_1_0.py` wrote the files with that release; `expected.json` says what they hold.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Column, MetaData, Text, create_engine, func, insert, inspect, select, update
from sqlalchemy.pool import NullPool

from store import InsertOnlyError, Scope, Store, TamperedRowError, migrate, open_store, schema_state
from store.address import read_address
from store.database import Database
from store.migrate import MIGRATION_LOCK, migrations_config
from store.schema import SEALS, metadata, prompt_row
from store.sealing import seal
from tests.postgres import Server
from tests.stores import ENGINES, behind_triggers, outside

RELEASE = Path(__file__).parents[1] / "fixtures/release_0_1_0"
EXPECTED: dict[str, Any] = json.loads((RELEASE / "expected.json").read_text(encoding="utf-8"))
FINGERPRINT = "191e2838ae6206a3e75f0c02710d2f47f94b9ba70dbbf2207ee1abcc97936c83"
MOOD = Scope("mood", "en", FINGERPRINT)


@pytest.fixture(params=ENGINES)
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The bank as the release left it."""
    path = Path(shutil.copy(RELEASE / "bank.db", tmp_path / "old.db"))
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    server: Server = request.getfixturevalue("postgres_server")
    return moved_to_postgresql(path, server.empty())


@pytest.fixture
def old_bank(old_url: str) -> Iterator[Store]:
    """The same, migrated."""
    migrate(old_url)
    with open_store(old_url) as store:
        yield store


def moved_to_postgresql(path: Path, url: str) -> str:
    """Copy every record of a SQLite file of schema 0002 into an empty PostgreSQL database."""
    with closing(Database(read_address(url), migrating=True)) as database, database.write(MIGRATION_LOCK) as connection:
        command.upgrade(migrations_config(connection), "0002")
    source, target = (create_engine(read_address(place).url, poolclass=NullPool) for place in (str(path), url))
    with source.connect() as old, target.begin() as new:
        new.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no trigger fires
        there = set(inspect(old).get_table_names())
        for table in (table for table in metadata.sorted_tables if table.name in there):
            names = {column["name"] for column in inspect(old).get_columns(table.name)}
            records = old.execute(select(*(c for c in table.columns if c.name in names))).mappings().all()
            new.execute(table.delete())
            if records:
                new.execute(insert(table), [dict(record) for record in records])
        new.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('prompt_row', 'row_id'), max(row_id)) FROM prompt_row"
        )
    return url


def refs(store: Store) -> list[str]:
    return [f"{i.scope.taskname}:{i.scope.lang}@{i.version}" for i in store.rows.list()]


def test_seal_1_is_what_the_release_sealed(old_url: str) -> None:
    wanted = select(*(prompt_row.c[name] for name in (*SEALS[1], "record_sha256")))
    with closing(Database(read_address(old_url))) as database, database.read() as connection:
        found = connection.execute(wanted.order_by(*(prompt_row.c[n] for n in ("taskname", "lang", "version"))))
        rows = [dict(row) for row in found.mappings()]
    assert [row["record_sha256"] for row in rows] == EXPECTED["seals"]
    assert [seal({name: row[name] for name in SEALS[1]}) for row in rows] == EXPECTED["seals"]
    assert schema_state(old_url).pending == ("0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")


def test_every_row_is_verified_and_names_its_kind_and_tensors(old_bank: Store) -> None:
    assert refs(old_bank) == [said["row"] for said in EXPECTED["rows"]]
    for info, said in zip(old_bank.rows.list(), EXPECTED["rows"], strict=True):
        row = old_bank.rows.get(info.scope, info.version)
        assert (row.sha256, row.created_at.isoformat()) == (said["sha256"], said["created_at"])
        assert (row.kind, info.kind) == ("rows.v1", "rows.v1")
        assert row.layout == (("virtual_tokens", "float32", tuple(said["shape"])),)
        assert list(info.aliases) == said["aliases"]
        assert [json.loads(e.metrics_json) for e in old_bank.evaluations.of(row.row_id)] == said["evaluations"]
    assert old_bank.check() == []


def test_everything_else_in_the_bank_is_there(old_bank: Store) -> None:
    for name, moves in EXPECTED["history"].items():
        found = old_bank.aliases.history(MOOD, name)
        assert [[m.kind, m.from_version, m.to_version, m.reason] for m in found] == moves
    assert [[c.taskname, c.lang, c.card_sha256] for c in old_bank.cards.list()] == EXPECTED["cards"]
    segments = old_bank.segments.recall("engine-1", ["k1", "k2"]).values()
    assert [list(astuple(segment)) for segment in segments] == EXPECTED["segments"]
    assert old_bank.overrides.list("en", "sv") == EXPECTED["overrides"]
    for run, (status, metrics) in EXPECTED["runs"].items():
        assert old_bank.runs.get(run).status == status
        assert old_bank.runs.metrics(run) == [tuple(metric) for metric in metrics]


def test_new_rows_are_sealed_with_their_kind_beside_old_ones(old_bank: Store) -> None:
    old = old_bank.rows.get(MOOD, 2)
    new = old_bank.rows.freeze(replace(old, seed=old.seed + 1))
    assert (new.version, old_bank.rows.import_row(old).version) == (4, 2)
    with old_bank._database.read() as connection:
        seals = connection.execute(select(prompt_row.c.seal_version, func.count()).group_by(prompt_row.c.seal_version))
        assert dict(map(tuple, seals)) == {1: len(EXPECTED["rows"]), 2: 1}
    assert old_bank.check() == []


def test_old_rows_stay_insert_only(old_bank: Store) -> None:
    with pytest.raises(InsertOnlyError), old_bank._database.write("x") as connection:
        connection.exec_driver_sql("UPDATE prompt_row SET kind = 'other'")
    with pytest.raises(InsertOnlyError), old_bank._database.write("x") as connection:
        connection.exec_driver_sql("DELETE FROM prompt_row")


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize(
    "change",
    [
        {"kind": "rows.v2"},
        {"layout": '[["virtual_tokens", "float32", [8, 5]]]'},
        {"layout": '[["other", "float32", [5, 8]]]'},
        {"layout": "no JSON"},
        {"seal_version": 3},
        {"policy_json": "{}"},
    ],
)
def test_a_changed_kind_or_layout_is_found_in_old_and_new_rows(
    old_bank: Store, version: int, change: dict[str, object]
) -> None:
    old = old_bank.rows.get(MOOD, 2)
    old_bank.rows.freeze(replace(old, seed=old.seed + 1))
    mine = (prompt_row.c.taskname == "mood", prompt_row.c.lang == "en", prompt_row.c.version == version)
    behind_triggers(old_bank.url, update(prompt_row).where(*mine).values(**change))
    with pytest.raises(TamperedRowError, match=rf"mood:en@{version} was changed after it was frozen"):
        old_bank.rows.get(MOOD, version)
    assert [fault for fault in old_bank.check() if f"mood:en@{version}" in fault] == old_bank.check() != []


def test_a_column_that_a_later_program_adds_breaks_no_seal(old_bank: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    old_bank.rows.freeze(replace(old_bank.rows.get(MOOD, 2), seed=7))
    later = prompt_row.to_metadata(MetaData())
    later.append_column(Column("note", Text))
    outside(old_bank.url, "ALTER TABLE prompt_row ADD COLUMN note TEXT")
    monkeypatch.setattr("store.rows.prompt_row", later)
    assert [old_bank.rows.get(MOOD, version).version for version in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert old_bank.check() == []
