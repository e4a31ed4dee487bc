import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

import store as room
from store import SchemaError, Store, StoreUnavailableError, backends, open_store
from tests.postgres import Server, free_port
from tests.stores import SCOPE, filled, new_row


def test_what_was_written_is_there_after_reopening(fresh_url: str) -> None:
    with open_store(fresh_url) as first:
        rows = filled(first, 2)
    with open_store(fresh_url, create=False) as second:
        assert [second.rows.get(SCOPE, version) for version in (1, 2)] == rows
        assert second.url == fresh_url


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_path_and_its_urls_are_the_same_bank(sqlite_path: Path, form: str) -> None:
    with open_store(str(sqlite_path)) as store:
        filled(store, 1)
    with open_store(form.format(sqlite_path)) as store:
        assert store.rows.get(SCOPE, 1).version == 1


def test_the_folder_is_made(tmp_path: Path) -> None:
    open_store(str(tmp_path / "a" / "b c%20?" / "bank.db")).close()
    assert (tmp_path / "a" / "b c%20?" / "bank.db").is_file()


def test_a_home_below_a_regular_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreUnavailableError, match=r"file is a file, not a folder.*choose another place"):
        open_store(str(tmp_path / "file" / "home" / "bank.db"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_in_place_of_the_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="is a folder; name a file in it"):
        open_store(str(tmp_path))


def test_a_file_that_is_no_database_is_left_alone(sqlite_path: Path) -> None:
    sqlite_path.write_text("these are my notes, not a bank\n" * 100)
    with pytest.raises(StoreUnavailableError, match="not a SQLite database"):
        open_store(str(sqlite_path))
    assert sqlite_path.read_text() == "these are my notes, not a bank\n" * 100


def test_nothing_is_made_when_nothing_shall_be(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="no bank here"):
        open_store(str(tmp_path / "home" / "bank.db"), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_bank_that_is_being_opened_elsewhere_is_waited_for_and_then_told(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "OPEN_WAIT_SECONDS", 0.05)
    with FileLock(f"{sqlite_path}.lock"), pytest.raises(StoreUnavailableError, match="try again later"):
        open_store(str(sqlite_path))


def test_a_writer_that_never_ends_is_told(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "WAIT_SECONDS", 0.05)
    with open_store(str(sqlite_path)) as store:
        blocker = sqlite3.connect(sqlite_path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="held the database for too long"):
            store.rows.freeze(new_row())
        assert store.rows.list() == []  # readers do not wait
        blocker.close()


def test_a_bank_that_cannot_be_written_is_told(sqlite_path: Path) -> None:
    with open_store(str(sqlite_path)) as store:
        with store._database.engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailableError, match="cannot be written; check the permissions"):
            store.rows.freeze(new_row())


def test_sqlite_is_set_for_safety(sqlite_path: Path) -> None:
    with open_store(str(sqlite_path)) as store, store._database.read() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_insert_or_replace_does_not_get_around_the_triggers(sqlite_path: Path) -> None:
    with open_store(str(sqlite_path)) as store:
        row = filled(store, 1)[0]
        plain = sqlite3.connect(sqlite_path)
        columns = [name for _, name, *_ in plain.execute("PRAGMA table_info(prompt_row)")]
        for key in ("1", "NULL"):  # the same row_id, or a new one with the same version
            values = ", ".join({"row_id": key, "data": "zeroblob(24)"}.get(name, name) for name in columns)
            with pytest.raises(sqlite3.IntegrityError, match="REPLACE refused"):
                plain.execute(f"INSERT OR REPLACE INTO prompt_row SELECT {values} FROM prompt_row")
        plain.close()
        assert store.rows.get(SCOPE, 1) == row


def test_many_threads_open_fresh_banks_at_once(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number % 3}.db") for number in range(6)]

    def freeze(path: str) -> int:
        with open_store(path) as store:
            return store.rows.freeze(new_row()).version

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(freeze, paths)) == [1, 1, 1, 2, 2, 2]


def test_opening_never_migrates_postgresql(postgres_server: Server) -> None:
    url = postgres_server.empty()
    with pytest.raises(SchemaError, match=r"schema is empty.*promptbank db migrate --db URL"):
        open_store(url)
    assert room.schema_state(url).current is None
    room.migrate(url)
    open_store(url).close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_urls_are_taken_in_every_spelling(postgres_url: str, scheme: str) -> None:
    open_store(f"{scheme}://{postgres_url.split('://')[1]}").close()


def test_a_postgresql_table_cannot_be_truncated(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        filled(store, 1)
        with pytest.raises(room.InsertOnlyError), store._database.write("x") as connection:
            connection.exec_driver_sql("TRUNCATE prompt_row CASCADE")
        assert store.rows.get(SCOPE, 1).version == 1


def test_a_trigger_that_is_switched_off_or_hollowed_out_is_named(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        with store._database.write("x") as connection:
            connection.exec_driver_sql("ALTER TABLE card DISABLE TRIGGER card_no_update")
        assert store.check() == ["trigger card_no_update of table card is altered"]
        with store._database.write("x") as connection:
            connection.exec_driver_sql(
                "CREATE OR REPLACE FUNCTION promptbank_refuse() RETURNS trigger "
                "LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
            )
        assert "trigger prompt_row_no_delete of table prompt_row is altered" in store.check()


def test_a_server_that_is_not_there_is_told_without_the_password(postgres_server: Server) -> None:
    url = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/bank"
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        open_store(f"{postgres_server.base}/nowhere")


def test_repr_masks_the_password_and_url_does_not(postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", "postgres:hunter2@", 1)
    with open_store(url) as store:
        assert "hunter2" not in repr(store)
        assert store.url == url


def test_the_room_exports_what_it_lists() -> None:
    assert sorted(room.__all__) == sorted(set(room.__all__))
    assert all(hasattr(room, name) for name in room.__all__)
    assert isinstance(room.Store, type)
    assert Store is room.Store
