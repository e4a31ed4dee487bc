"""Backups while others write, and whole banks from one engine to the other and back."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from store import (
    NewEvaluation,
    SchemaError,
    StoreError,
    StoreUnavailableError,
    back_up,
    copying,
    move_bank,
    open_store,
)
from store.address import read_address
from store.schema import COPIED
from tests.conftest import Promptbank
from tests.postgres import Server
from tests.stores import OTHER, SCOPE, behind_triggers, content, emptied, filled, outside


def written(url: str) -> None:
    """Write something of every kind."""
    with open_store(url) as store:
        for row in filled(store, 3) + filled(store, 2, OTHER):
            evaluation = NewEvaluation(
                data_sha256="d" * 64, split="dev", metrics_json="{}", dtype="float32", details_json="{}"
            )
            store.evaluations.add(row.row_id, evaluation)
        for version in (1, 3):
            store.aliases.move(SCOPE, version, reason="a test")
        store.aliases.rollback(SCOPE, "live")
        store.aliases.move(OTHER, 2, "canary", reason="ä 🙂")
        store.cards.add("sentiment-task", "sv", '{"a": 1}', "e" * 64)
        store.defaults.choose("sentiment-task", "sv", reason="a test")
        store.keys.add("web", "f" * 64, ("infer",))
        store.quotas.use("web of a minute", 3, 10, datetime.now(UTC), timedelta(days=1))
        store.runs.start("r1", "train", "{}", "c" * 64)
        store.runs.record("r1", [(1, {"loss": float("nan"), "score": 0.1})])


def everything(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All values of all tables, past the store, in the order of the keys."""
    engine = create_engine(read_address(url).url, poolclass=NullPool)
    with engine.connect() as connection:
        return {
            table.name: [tuple(r) for r in connection.execute(select(table).order_by(*table.primary_key))]
            for table in COPIED
        }


@pytest.fixture
def sqlite_url(sqlite_path: Path) -> str:
    url = f"sqlite:///{sqlite_path}"
    written(url)
    return url


# Backups


def test_a_backup_has_every_value_and_is_a_bank_of_one_file(sqlite_url: str, tmp_path: Path) -> None:
    before = everything(sqlite_url)
    counts = back_up(sqlite_url, tmp_path / "copy.db")
    assert counts == {name: len(records) for name, records in before.items()}
    assert [path.name for path in tmp_path.glob("*copy.db*")] == ["copy.db"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert everything(str(tmp_path / "copy.db")) == before
    with open_store(str(tmp_path / "copy.db")) as copy:
        assert copy.check() == []
        assert copy.aliases.get(SCOPE, "live") == 1
        filled(copy, 1)  # goes on where the bank was


def test_a_backup_of_postgresql_is_a_sqlite_bank(postgres_url: str, tmp_path: Path) -> None:
    written(postgres_url)
    back_up(postgres_url, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["copy.db"]
    assert everything(str(tmp_path / "copy.db")) == everything(postgres_url)


def test_a_backup_beside_writers_is_whole_each_time(sqlite_url: str, tmp_path: Path) -> None:
    stop, failed = threading.Event(), []

    def write() -> None:
        try:
            with open_store(sqlite_url) as store:
                while not stop.is_set():
                    filled(store, 2)
        except Exception as exc:
            failed.append(exc)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sizes = [back_up(sqlite_url, tmp_path / f"copy{n}.db")["prompt_row"] for n in range(6)]
    finally:
        stop.set()
        writer.join()
    assert failed == []
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    for n in range(6):
        with open_store(str(tmp_path / f"copy{n}.db")) as copy:
            assert copy.check() == []


def test_a_backup_overwrites_nothing_and_leaves_nothing_behind(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    for name in ("copy.db", "link.db"):
        with pytest.raises(StoreUnavailableError, match="is there already, and a backup overwrites nothing"):
            back_up(sqlite_url, tmp_path / name)
    with pytest.raises(StoreUnavailableError, match=r"cannot be written \(No such file"):
        back_up(sqlite_url, tmp_path / "missing" / "copy.db")
    with pytest.raises(StoreUnavailableError, match="no bank here"):
        back_up(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "new.db")
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert not (tmp_path / "other.db").exists()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".db", ".lock", ".db-wal", ".db-shm"}


def test_a_damaged_bank_gives_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    behind_triggers(sqlite_url, "UPDATE prompt_row SET card_json = '{}' WHERE row_id = 2")
    with pytest.raises(StoreError, match="the copy is not sound, so there is none"):
        back_up(sqlite_url, tmp_path / "copy.db")
    assert not list(tmp_path.glob("*copy*"))


def test_a_bank_that_can_only_be_read_is_backed_up(sqlite_url: str, tmp_path: Path) -> None:
    back_up(f"file:{sqlite_url.removeprefix('sqlite:///')}?mode=ro", tmp_path / "copy.db")
    assert everything(str(tmp_path / "copy.db")) == everything(sqlite_url)


# Moves


def test_a_bank_goes_to_postgresql_and_back_with_every_value(
    sqlite_url: str, postgres_server: Server, tmp_path: Path
) -> None:
    before, there = everything(sqlite_url), postgres_server.empty()
    assert move_bank(sqlite_url, there) == {name: len(records) for name, records in before.items()}
    assert everything(there) == before
    with open_store(there) as new, open_store(sqlite_url) as old:
        assert new.check() == []
        assert new.revision() == old.revision()
        assert content(filled(new, 1, OTHER)[0]) == content(filled(old, 1, OTHER)[0])
        new.aliases.move(SCOPE, 2, reason="later")
        old.aliases.move(SCOPE, 2, reason="later")
    back = f"sqlite:///{tmp_path / 'back.db'}"
    move_bank(there, back)
    assert everything(back) == everything(there)
    keys = {name: [record[0] for record in records] for name, records in everything(back).items()}
    assert keys == {name: [record[0] for record in records] for name, records in everything(sqlite_url).items()}


def test_quotas_are_counted_anew_where_a_bank_was_moved(sqlite_url: str, tmp_path: Path) -> None:
    move_bank(sqlite_url, str(tmp_path / "new.db"))
    with open_store(sqlite_url) as old, open_store(str(tmp_path / "new.db")) as new:
        assert [one.quotas.used(["web of a minute"]) for one in (old, new)] == [[3], [0]]


def test_a_bank_that_is_migrated_and_empty_is_taken(sqlite_url: str, postgres_url: str) -> None:
    move_bank(sqlite_url, postgres_url)
    assert everything(postgres_url) == everything(sqlite_url)


def test_a_bank_without_records_is_moved_too(tmp_path: Path) -> None:
    open_store(str(tmp_path / "a.db")).close()
    assert set(move_bank(str(tmp_path / "a.db"), str(tmp_path / "b.db")).values()) == {0, 1}


def test_nothing_is_merged_into_a_bank_that_holds_something(sqlite_url: str, postgres_server: Server) -> None:
    there = emptied(postgres_server)
    with open_store(there) as store:
        store.keys.add("web", "f" * 64, ("infer",))
    before = everything(there)
    with pytest.raises(StoreUnavailableError, match=r"is not empty \(1 in api_key\); name an empty database"):
        move_bank(sqlite_url, there)
    assert everything(there) == before
    with pytest.raises(StoreUnavailableError, match="is the bank itself"):
        move_bank(sqlite_url, sqlite_url)


def test_tables_of_another_program_are_refused(sqlite_url: str, postgres_server: Server, tmp_path: Path) -> None:
    there = postgres_server.empty()
    outside(there, "CREATE TABLE card (name TEXT)")
    with pytest.raises(SchemaError, match="already has tables named card"):
        move_bank(sqlite_url, there)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(SchemaError, match="another program"):
        move_bank(sqlite_url, str(tmp_path / "other.db"))


def damage(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = copying._copy_table

    def copy(reading, writing, table):  # type: ignore[no-untyped-def]
        whole(reading, writing, table)
        if table.name == "run_metric":
            writing.exec_driver_sql("UPDATE run_metric SET value = 0.2 WHERE value IS NOT NULL")

    monkeypatch.setattr(copying, "_copy_table", copy)


def busy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = copying._check_copy

    def check(reading, writing):  # type: ignore[no-untyped-def]
        whole(reading, writing)
        with open_store(url) as store:
            filled(store, 1)

    monkeypatch.setattr(copying, "_check_copy", check)


def killed(_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_reading: object, _writing: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "_check_copy", stop)


@pytest.mark.parametrize(
    ("trouble", "says"),
    [(damage, "table run_metric did not arrive"), (busy, "was written while it was copied"), (killed, "")],
)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_move_that_fails_leaves_nothing_and_can_be_repeated(
    sqlite_url: str,
    engine: str,
    trouble: Callable[[str, pytest.MonkeyPatch], None],
    says: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    there = str(tmp_path / "new.db") if engine == "sqlite" else request.getfixturevalue("postgres_server").empty()
    with pytest.MonkeyPatch.context() as patch:
        trouble(sqlite_url, patch)
        with pytest.raises((StoreError, KeyboardInterrupt), match=says or None):
            move_bank(sqlite_url, there)
    assert {len(records) for name, records in everything(there).items() if name != "revision"} == {0}
    move_bank(sqlite_url, there)
    assert everything(there) == everything(sqlite_url)


def test_the_command_line_backs_up_restores_and_moves(learnt: Promptbank, tmp_path: Path, home: Path) -> None:
    told = learnt("bank", "backup", "--to", "copy.db", "--json")
    assert '"prompt_row": 1' in told.stdout
    answered = learnt("predict", "--data", "data.jsonl", "--json").stdout
    assert learnt("predict", "--data", "data.jsonl", "--json", "--db", "copy.db").stdout == answered
    for name in ("bank.db", "bank.db-wal", "bank.db-shm"):
        (home / name).unlink(missing_ok=True)
    os.replace("copy.db", home / "bank.db")  # as docs/operate.md restores it
    assert learnt("predict", "--data", "data.jsonl", "--json").stdout == answered
    told = learnt("bank", "move", "--to", "moved.db")
    assert (told.exit_code, "1 in prompt_row" in told.stderr) == (0, True)
    assert learnt("bank", "verify", "--db", "moved.db", "--logits").exit_code == 0
    told = learnt("bank", "move", "--to", "postgresql://me:secret@127.0.0.1:1/x")
    assert (told.exit_code, "secret" in told.stderr) == (1, False)
