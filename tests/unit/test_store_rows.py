import hashlib
import signal
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unicodedata import normalize

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import DatabaseError, IntegrityError

from store import (
    DiskFullError,
    InsertOnlyError,
    InvalidRowError,
    Scope,
    Store,
    UnknownAliasError,
    UnknownRowError,
    UnknownVersionError,
    migrate,
    open_store,
)
from store.schema import prompt_row
from tests.stores import OTHER, SCOPE, asked, behind_triggers, content, filled, new_row, outside, start_script

FREEZE_FIVE = """
import sys
from store import open_store
from tests.stores import new_row
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    for number in range(5):
        store.rows.freeze(new_row(fill=number))
"""

FREEZE_AND_HANG = """
import sys, time
from sqlalchemy import event
from store import open_store
from tests.stores import new_row
store = open_store(sys.argv[1])
@event.listens_for(store._database.engine, "after_cursor_execute")
def hang(connection, cursor, statement, *rest):
    if statement.startswith(sys.argv[2]):
        print("inside", flush=True)
        time.sleep(600)
store.rows.freeze(new_row(fill=9))
"""


def versions(store: Store, scope: Scope = SCOPE) -> list[int]:
    return [info.version for info in store.rows.versions(scope)]


def test_versions_count_from_one_in_each_scope(fresh_store: Store) -> None:
    assert [fresh_store.rows.freeze(new_row(s)).version for s in (SCOPE, SCOPE, OTHER, SCOPE)] == [1, 2, 1, 3]


def test_a_frozen_row_holds_all_that_was_given(fresh_store: Store) -> None:
    matrix = struct.pack("<6f", 1.5, -0.0, float("inf"), 1e-40, 3e38, -2.0)
    new = new_row(
        data=matrix, parent_version=4, seed=-(2**63), probe_logits=struct.pack("<2f", 0.25, 7.0), probe_shape=(2, 1)
    )
    before = datetime.now(UTC)
    row = fresh_store.rows.freeze(new)
    assert content(row) == content(new)
    assert before <= row.created_at <= datetime.now(UTC)
    assert row.created_at.utcoffset() == timedelta(0)
    assert fresh_store.rows.get(SCOPE, 1) == row


def test_the_column_holds_exactly_the_bytes(fresh_store: Store) -> None:
    fresh_store.rows.freeze(new_row(data=bytes(range(24))))
    assert asked(fresh_store.url, select(prompt_row.c.data)) == bytes(range(24))


def test_freezing_moves_no_alias_and_changes_no_other_row(fresh_store: Store) -> None:
    first = fresh_store.rows.freeze(new_row(fill=1))
    fresh_store.aliases.move(SCOPE, 1, reason="first")
    fresh_store.rows.freeze(new_row(fill=2))
    fresh_store.rows.freeze(new_row(OTHER, fill=3))
    assert fresh_store.rows.get(SCOPE) == first


def test_all_faults_of_a_row_are_told_at_once_and_nothing_is_written(fresh_store: Store) -> None:
    bad = new_row(
        Scope("", "e\0n", "f"),
        data=b"123",
        sha256="0" * 64,
        card_json="{",
        seed=2**63,
        parent_version=0,
        probe_shape=(1, 1),
        backbone_name="half \ud83d",
    )
    with pytest.raises(InvalidRowError) as caught:
        fresh_store.rows.freeze(bad)
    assert len(caught.value.faults) == 9
    told = str(caught.value)
    for part in ("data has 3 bytes", "shape (2, 3) has 24", hashlib.sha256(b"123").hexdigest(), "taskname is empty"):
        assert part in told
    for part in (
        "lang holds NUL",
        "backbone_name holds",
        "card_json is not JSON",
        "seed",
        "parent_version 0",
        "(1, 1)",
    ):
        assert part in told
    assert fresh_store.rows.list() == []


def test_a_shape_of_nothing_is_refused(fresh_store: Store) -> None:
    with pytest.raises(InvalidRowError, match=r"shape \(0, 3\) must be positive"):
        fresh_store.rows.freeze(new_row(shape=(0, 3)))


def test_what_is_not_there_is_named_with_what_is(fresh_store: Store) -> None:
    with pytest.raises(UnknownRowError, match="bank is empty"):
        fresh_store.rows.get(SCOPE)
    filled(fresh_store, 2)
    with pytest.raises(UnknownVersionError, match=r"no version 3; there are 1, 2"):
        fresh_store.rows.get(SCOPE, 3)
    with pytest.raises(UnknownAliasError, match=r"'live'.*never set.*1, 2"):
        fresh_store.rows.get(SCOPE)
    with pytest.raises(UnknownRowError, match="did you mean sentiment-task"):
        fresh_store.rows.get(replace(SCOPE, taskname="sentment-task"), 1)
    with pytest.raises(UnknownRowError, match="frozen in en"):
        fresh_store.rows.get(OTHER, 1)
    with pytest.raises(UnknownRowError, match="other backbones"):
        fresh_store.rows.get(replace(SCOPE, fingerprint="e" * 64), 1)
    with pytest.raises(UnknownRowError, match="known tasks: sentiment-task"):
        fresh_store.rows.get(replace(SCOPE, taskname="weather"), 1)


@pytest.mark.parametrize("version", [0, -1, 2**31, 10**30])
def test_a_version_out_of_range_is_unknown(fresh_store: Store, version: int) -> None:
    filled(fresh_store, 1)
    with pytest.raises(UnknownVersionError):
        fresh_store.rows.get(SCOPE, version)


@pytest.mark.parametrize("text", ["\0", "a\ud800", "'; DROP TABLE prompt_row; --", "\u202eelif"])
def test_any_text_may_be_asked_for(fresh_store: Store, text: str) -> None:
    filled(fresh_store, 1)
    strange = replace(SCOPE, taskname=text)
    for version in (1, None):
        with pytest.raises(UnknownRowError):
            fresh_store.rows.get(strange, version)
    with pytest.raises(UnknownAliasError):
        fresh_store.rows.get(SCOPE, alias=text)
    assert fresh_store.rows.list(taskname=text) == fresh_store.rows.versions(strange) == []
    assert versions(fresh_store) == [1]


def test_a_list_filters_sorts_and_shows_aliases(fresh_store: Store) -> None:
    filled(fresh_store, 2)
    filled(fresh_store, 1, OTHER)
    fresh_store.rows.freeze(new_row(Scope("intent_and_slot", "en", "e" * 64), shape=(1, 4)))
    fresh_store.aliases.move(SCOPE, 2, reason="r")
    fresh_store.aliases.move(SCOPE, 2, "best", reason="r")
    fresh_store.aliases.move(OTHER, 1, reason="r")
    found = fresh_store.rows.list()
    assert [(i.scope.taskname, i.scope.lang, i.version, i.aliases) for i in found] == [
        ("intent_and_slot", "en", 1, ()),
        ("sentiment-task", "en", 1, ()),
        ("sentiment-task", "en", 2, ("best", "live")),
        ("sentiment-task", "sv", 1, ("live",)),
    ]
    assert (found[0].virtual_tokens, found[0].hidden_size, found[0].size) == (1, 4, 16)
    assert [i.scope for i in fresh_store.rows.list(lang="sv")] == [OTHER]
    assert fresh_store.rows.list(taskname="intent_and_slot", fingerprint="e" * 64) == found[:1]
    assert fresh_store.rows.versions(SCOPE) == found[1:3]


def test_importing_takes_the_next_version_once(fresh_store: Store, tmp_path) -> None:
    with open_store(str(tmp_path / "elsewhere.db")) as elsewhere:
        filled(elsewhere, 4)
        foreign = elsewhere.rows.get(SCOPE, 4)
    filled(fresh_store, 1)
    here = fresh_store.rows.import_row(foreign)
    revision = fresh_store.revision()
    assert (here.version, here.created_at, content(here)) == (2, foreign.created_at, content(foreign))
    assert fresh_store.rows.import_row(foreign) == fresh_store.rows.import_row(replace(foreign, version=9)) == here
    assert (versions(fresh_store), fresh_store.revision()) == ([1, 2], revision)


def test_importing_other_settings_is_another_version_and_broken_bytes_none(fresh_store: Store) -> None:
    row = fresh_store.rows.freeze(new_row())
    assert fresh_store.rows.import_row(replace(row, training_json='{"epochs": 9}')).version == 2
    with pytest.raises(InvalidRowError, match="sha256"):
        fresh_store.rows.import_row(replace(row, data=b"\x01" + row.data[1:]))
    assert versions(fresh_store) == [1, 2]


def test_eight_threads_freeze_versions_without_gap(fresh_store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda number: fresh_store.rows.freeze(new_row(fill=number)), range(24)))
    assert sorted(row.version for row in rows) == versions(fresh_store) == list(range(1, 25))
    assert all(fresh_store.rows.get(SCOPE, row.version) == row for row in rows)
    assert fresh_store.revision() == 24


def test_two_processes_open_a_bank_at_once_and_freeze_without_gap(empty_url: str) -> None:
    if "postgresql" in empty_url:  # SQLite is migrated by whichever process is first
        migrate(empty_url)
    processes = [start_script(FREEZE_FIVE, empty_url) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    with open_store(empty_url) as store:
        assert versions(store) == list(range(1, 11))
        assert store.check() == []


@pytest.mark.parametrize("statement", ["INSERT INTO prompt_row", "UPDATE revision"])
def test_a_process_killed_inside_freeze_leaves_nothing_half_written(fresh_store: Store, statement: str) -> None:
    first = fresh_store.rows.freeze(new_row(fill=1))
    process = start_script(FREEZE_AND_HANG, fresh_store.url, statement)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with open_store(fresh_store.url) as store:
        assert (versions(store), store.revision(), store.check()) == ([1], 1, [])
        assert store.rows.get(SCOPE, 1) == first
        assert store.rows.freeze(new_row(fill=2)).version == 2


def test_a_full_disk_refuses_the_row_whole_and_the_bank_stays_readable(sqlite_path, full_disk) -> None:
    with open_store(str(sqlite_path)) as store:
        first = store.rows.freeze(new_row(fill=1))
        store.aliases.move(SCOPE, 1, reason="first")
    full_disk()
    with open_store(str(sqlite_path)) as store:
        with pytest.raises(DiskFullError, match=r"nothing was written.*Free some space"):
            store.rows.freeze(new_row(shape=(64, 640)))
        assert (versions(store), store.revision(), store.check()) == ([1], 2, [])
        assert store.rows.get(SCOPE) == first


def test_a_disk_full_while_the_tables_are_made_leaves_a_file_that_opens_later(sqlite_path, full_disk) -> None:
    release = full_disk(pages=3)
    with pytest.raises(DiskFullError):
        open_store(str(sqlite_path))
    release()
    with open_store(str(sqlite_path)) as store:
        assert store.check() == []


@pytest.fixture
def full_disk():
    """Return a function that keeps every connection made from then on from growing the file."""
    listeners = []

    def fill(pages: int = 1):
        def limit(connection, _record) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite rounds up to what the file has

        event.listen(Engine, "connect", limit)
        listeners.append(limit)
        return lambda: event.remove(Engine, "connect", listeners.pop())

    yield fill
    for listener in listeners:
        event.remove(Engine, "connect", listener)


def test_an_update_from_outside_the_store_is_refused_too(fresh_store: Store) -> None:
    filled(fresh_store, 1)
    with pytest.raises(DatabaseError, match="keeps what was written"):
        outside(fresh_store.url, "UPDATE prompt_row SET seed = 5")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prompt_row SET seed = 18",
        "UPDATE prompt_row SET version = version + 100",
        "DELETE FROM prompt_row",
    ],
)
def test_a_row_is_neither_updated_nor_deleted(fresh_store: Store, statement: str) -> None:
    row = fresh_store.rows.freeze(new_row())
    with (
        pytest.raises(InsertOnlyError, match="prompt_row keeps what was written"),
        fresh_store._database.write("x") as c,
    ):
        c.exec_driver_sql(statement)
    assert fresh_store.rows.get(SCOPE, 1) == row


def test_only_rows_that_match_their_shape_pass_the_database_itself(fresh_store: Store) -> None:
    filled(fresh_store, 1)
    with pytest.raises(IntegrityError, match=r"ck_prompt_row_shape"):
        behind_triggers(fresh_store.url, "UPDATE prompt_row SET virtual_tokens = 5")


def test_a_near_name_is_found_however_its_letters_are_composed(fresh_store: Store) -> None:
    stored = replace(SCOPE, taskname=normalize("NFC", "känslä"))
    fresh_store.rows.freeze(new_row(stored))
    with pytest.raises(UnknownRowError, match=rf"did you mean {stored.taskname}\?"):
        fresh_store.rows.get(replace(SCOPE, taskname=normalize("NFD", "känsl")), 1)
