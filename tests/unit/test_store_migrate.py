import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, create_engine, inspect

from store import (
    InsertOnlyError,
    SchemaError,
    SchemaState,
    StoreError,
    StoreUnavailableError,
    migrate,
    open_store,
    schema_state,
    triggers,
)
from store.address import read_address
from store.database import Database
from store.migrate import MIGRATION_LOCK, migrations_config
from store.schema import metadata
from tests.stores import ROOT, SCOPE, filled, outside

REVISIONS = tuple(f"{number:04}" for number in range(1, 11))
NEWEST = REVISIONS[-1]

REBUILD = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{NEWEST}", None, None
def upgrade():
    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "auto"
    with op.batch_alter_table("prompt_row", recreate=recreate) as batch:
        batch.add_column(sa.Column("note", sa.Text()))
"""


def migrating(url: str) -> Database:
    return Database(read_address(url), migrating=True)


def test_migrating_goes_from_nothing_to_the_newest_and_then_does_nothing(empty_url: str) -> None:
    assert migrate(empty_url) == (None, NEWEST)
    assert migrate(empty_url) == (NEWEST, NEWEST)
    with open_store(empty_url) as store:
        assert (store.revision(), store.check()) == (0, [])


def test_the_state_names_what_is_pending_and_makes_nothing(empty_url: str) -> None:
    outside(empty_url, "SELECT 1")  # makes the SQLite file
    assert schema_state(empty_url) == SchemaState(None, NEWEST, REVISIONS)
    assert not schema_state(empty_url).ready
    migrate(empty_url)
    assert schema_state(empty_url) == SchemaState(NEWEST, NEWEST, ())
    assert schema_state(empty_url).ready


def test_the_names_of_the_migrations_files_are_their_revisions_in_order(empty_url: str) -> None:
    outside(empty_url, "SELECT 1")
    with closing(migrating(empty_url)) as database, database.write(MIGRATION_LOCK) as connection:
        scripts = list(ScriptDirectory.from_config(migrations_config(connection)).walk_revisions())[::-1]
    revisions = tuple(script.revision for script in scripts)
    assert schema_state(empty_url).pending == revisions
    assert [script.down_revision for script in scripts] == [None, *revisions[:-1]]


def test_opening_a_bank_that_is_up_to_date_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        f"import store, sys; store.open_store({str(tmp_path / 'bank.db')!r}).close(); print('alembic' in sys.modules)"
    )
    said = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True) for _ in range(2)]
    assert [done.stdout.strip() for done in said] == ["True", "False"]


def test_the_state_of_a_file_that_is_not_there_is_an_error_and_makes_none(sqlite_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="no bank here"):
        schema_state(str(sqlite_path))
    assert list(sqlite_path.parent.iterdir()) == []


def test_migrations_reach_the_schema_exactly(fresh_url: str) -> None:
    open_store(fresh_url).close()
    with closing(migrating(fresh_url)) as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_reach_the_same_checks_and_keys_as_the_schema(sqlite_path: Path) -> None:
    open_store(str(sqlite_path)).close()
    direct = create_engine(f"sqlite:///{sqlite_path}.direct")
    metadata.create_all(direct)
    migrated = create_engine(f"sqlite:///{sqlite_path}")
    for engine in (direct, migrated):
        engine.dispose()
    for table in metadata.tables:
        for ask in ("get_check_constraints", "get_foreign_keys", "get_unique_constraints", "get_pk_constraint"):
            assert getattr(inspect(migrated), ask)(table) == getattr(inspect(direct), ask)(table), (table, ask)
    direct.dispose()
    migrated.dispose()


def test_every_trigger_is_there_after_migrating(fresh_url: str) -> None:
    open_store(fresh_url).close()
    with closing(migrating(fresh_url)) as database, database.read() as connection:
        assert triggers.faults(connection) == []
        names = set(triggers.expected(connection.dialect.name))
    for table in ("prompt_row", "evaluation", "alias_history", "card"):
        assert {f"{table}_no_update", f"{table}_no_delete"} <= names


def later_program(url: str, folder: Path) -> None:
    """Migrate as a later promptbank would, whose newest migration rebuilds `prompt_row`."""
    (folder / "9999_rebuild.py").write_text(REBUILD)
    with closing(migrating(url)) as database:
        upgrade_with(database, folder)


def upgrade_with(database: Database, folder: Path) -> None:
    """Apply the program's own migrations and those in a folder, in one transaction as `migrate` does."""
    with database.write(MIGRATION_LOCK) as connection:
        config = migrations_config(connection)
        config.set_main_option("version_locations", f"{ROOT / 'store/migrations/versions'}:{folder}")
        command.upgrade(config, "head")


def test_triggers_and_rows_survive_a_migration_that_rebuilds_the_table(fresh_url: str, tmp_path: Path) -> None:
    with open_store(fresh_url) as store:
        rows = filled(store, 2)
        store.aliases.move(SCOPE, 2, reason="r")
    later_program(fresh_url, tmp_path)
    with closing(Database(read_address(fresh_url))) as database:
        with database.read() as connection:
            assert "note" in {column["name"] for column in inspect(connection).get_columns("prompt_row")}
            assert triggers.faults(connection) == []
            assert database.backend.faults(connection) == []
            assert len(rows) == connection.exec_driver_sql("SELECT count(*) FROM prompt_row").scalar_one()
        with pytest.raises(InsertOnlyError), database.write("x") as connection:
            connection.exec_driver_sql("DELETE FROM prompt_row")


def test_check_names_the_triggers_that_a_careless_rebuild_lost(sqlite_path: Path) -> None:
    with open_store(str(sqlite_path)) as store:
        filled(store, 1)
    with closing(migrating(str(sqlite_path))) as database, database.write("x") as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("card", recreate="always") as batch:
            batch.add_column(Column("extra", Integer))
    with open_store(str(sqlite_path)) as store:
        assert sorted(store.check()) == [
            f"trigger card_no_{event} of table card is missing" for event in ("delete", "replace", "update")
        ]


def test_a_bank_newer_than_the_program_is_refused_unchanged(fresh_url: str, tmp_path: Path) -> None:
    open_store(fresh_url).close()
    later_program(fresh_url, tmp_path)
    state = schema_state(fresh_url)
    assert (state.current, state.newer, state.pending) == ("9999", True, ())
    for act in (open_store, migrate):
        with pytest.raises(SchemaError, match=rf"schema 9999 is newer than {NEWEST}.*install"):
            act(fresh_url)


def test_check_tells_that_the_schema_moved_on_while_the_bank_was_open(fresh_url: str, tmp_path: Path) -> None:
    with open_store(fresh_url) as store:
        store._database.close()  # a rebuild needs the pooled connections' locks
        later_program(fresh_url, tmp_path)
        assert store.check() == [
            f"the schema is 9999, but this program needs {NEWEST}; see `promptbank db check --db URL`"
        ]


def test_tables_of_somebody_else_are_left_alone(empty_url: str) -> None:
    outside(empty_url, "CREATE TABLE run (mine INTEGER)", "INSERT INTO run VALUES (7)")
    with pytest.raises(SchemaError, match=r"already has tables named run.*choose an empty database"):
        migrate(empty_url)
    outside(empty_url, "UPDATE run SET mine = mine + 1")


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty_url: str, tmp_path: Path) -> None:
    (tmp_path / "9999_broken.py").write_text(
        REBUILD.replace('batch_alter_table("prompt_row"', 'batch_alter_table("nothing"')
    )
    with closing(migrating(empty_url)) as database:
        with pytest.raises(StoreError, match="nothing"):
            upgrade_with(database, tmp_path)
        with database.read() as connection:
            assert inspect(connection).get_table_names() == []
    assert migrate(empty_url) == (None, NEWEST)
