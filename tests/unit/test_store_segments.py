from __future__ import annotations

import math
import random
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import insert, inspect, select

from store import InvalidRecordError, SchemaError, Store, StoredSegment, migrate, open_store, schema_state
from store.address import read_address
from store.database import Database
from store.migrate import MIGRATION_LOCK, migrations_config
from store.schema import SEALS, alias, alias_history, prompt_row
from tests.stores import SCOPE, new_row, outside, row_before_kinds, start_script

ENGINE = "marian:" + "e" * 64
BATCH = 40  # segments in a batch of the child processes below

TWO_AT_ONCE = """
import sys
from store import open_store
from tests.unit.test_store_segments import ENGINE, batch
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    print(sum(store.segments.remember(ENGINE, batch(number, by=sys.argv[2])) for number in range(10)), flush=True)
"""

WRITE_UNTIL_KILLED = """
import itertools, sys
from store import open_store
from tests.unit.test_store_segments import ENGINE, batch
store = open_store(sys.argv[1])
for number in itertools.count():
    store.segments.remember(ENGINE, batch(number))
    print(number, flush=True)
"""

HANG_IN_THE_THIRD = """
import sys, time
from sqlalchemy import event
from store import open_store
from tests.unit.test_store_segments import ENGINE, batch
store = open_store(sys.argv[1])
for number in range(2):
    store.segments.remember(ENGINE, batch(number))
@event.listens_for(store._database.engine, "after_cursor_execute")
def hang(connection, cursor, statement, *rest):
    if statement.startswith("INSERT INTO segment"):
        print("inside", flush=True)
        time.sleep(600)
store.segments.remember(ENGINE, batch(2))
"""


def segment(key: str, target: str = "Vinsten ökade 🙂", score: float | None = -0.25) -> StoredSegment:
    return StoredSegment(key, "en", "sv", f"text of {key}", target, score)


def batch(number: int, by: str = "") -> list[StoredSegment]:
    """The segments of one batch, said by one process."""
    return [segment(f"{number}-{place}", target=f"{by} {number}-{place}") for place in range(BATCH)]


def keys(rows: Sequence[StoredSegment]) -> list[str]:
    return [row.key for row in rows]


def wholes(store: Store, number: int) -> int:
    """How many segments of a batch are known; none may be torn."""
    found = store.segments.recall(ENGINE, keys(batch(number)))
    assert found == {row.key: row for row in batch(number) if row.key in found}
    return len(found)


def test_what_is_remembered_comes_back_the_same_for_its_engine_alone(fresh_store: Store) -> None:
    rows = [
        segment("a"),
        segment("b", target="", score=None),
        segment("c", target="'; DROP TABLE segment; -- %s :x\n\t\"", score=-math.inf),
        segment("d", target="e\u0301 \u202e \U0001f1f8\U0001f1ea", score=-1e-300),
    ]
    assert fresh_store.segments.remember(ENGINE, rows) == 4
    assert fresh_store.segments.recall(ENGINE, ["d", "nobody", "a", "d", "c", "b"]) == {r.key: r for r in rows}
    assert list(fresh_store.segments.recall(ENGINE, ["d", "nobody", "a", "d"])) == ["d", "a"]
    assert fresh_store.segments.recall("another", ["a", "b"]) == {}
    assert fresh_store.segments.recall(ENGINE, []) == {}
    assert (fresh_store.revision(), fresh_store.check()) == (0, [])


@pytest.mark.parametrize("count", [499, 500, 501, 1201])
def test_any_number_of_keys_can_be_asked_for_at_once(fresh_store: Store, count: int) -> None:
    rows = [segment(f"key {number}", target=str(number)) for number in range(count)]
    assert fresh_store.segments.remember(ENGINE, rows) == count
    asked = [f"key {number}" for number in range(-3, count + 3)]
    assert fresh_store.segments.recall(ENGINE, asked * 2) == {row.key: row for row in rows}


def test_the_translation_that_came_first_stays(fresh_store: Store) -> None:
    first = [segment("a", "ett"), segment("a", "två"), segment("b", "tre")]
    assert fresh_store.segments.remember(ENGINE, first) == 2
    assert fresh_store.segments.remember(ENGINE, [segment("a", "ett"), segment("b", "fyra"), segment("c", "fem")]) == 1
    assert fresh_store.segments.remember(ENGINE, first) == 0
    found = fresh_store.segments.recall(ENGINE, ["a", "b", "c"])
    assert {key: row.target_text for key, row in found.items()} == {"a": "ett", "b": "tre", "c": "fem"}


def test_batches_in_any_order_give_what_a_dict_of_first_words_gives(fresh_store: Store) -> None:
    chance, expected = random.Random(17), dict[tuple[str, str], StoredSegment]()
    for step in range(30):
        engine = chance.choice(["e1", "e2"])
        rows = [segment(str(chance.randrange(40)), target=f"{step}") for _ in range(chance.randrange(8))]
        before = len(expected)
        for row in rows:
            expected.setdefault((engine, row.key), row)
        assert fresh_store.segments.remember(engine, rows) == len(expected) - before
    for engine in ("e1", "e2"):
        found = fresh_store.segments.recall(engine, [str(number) for number in range(40)])
        assert found == {key: row for (of, key), row in expected.items() if of == engine}
        assert count(fresh_store, engine) == len(found)
    assert count(fresh_store) == len(expected)


@pytest.mark.parametrize("change", [{"source_text": "another"}, {"src": "de"}, {"tgt": "fi"}])
def test_a_key_that_stands_for_two_texts_is_refused_whole(fresh_store: Store, change: dict[str, str]) -> None:
    other = StoredSegment(**(vars(segment("a")) | change))
    fresh_store.segments.remember(ENGINE, [segment("a")])
    for rows in ([segment("b"), other], [segment("b"), StoredSegment(**(vars(segment("b")) | change))]):
        with pytest.raises(InvalidRecordError, match=r"this key stands for 'text of .' \(en-sv\) already"):
            fresh_store.segments.remember(ENGINE, rows)
    assert fresh_store.segments.recall(ENGINE, ["a", "b"]) == {"a": segment("a")}


def test_what_cannot_be_stored_is_refused_with_every_fault(fresh_store: Store) -> None:
    rows = [
        segment("fine"),
        StoredSegment("", "", "sv", "x", "y"),
        segment("nul", target="a\0b"),
        segment("half", target="\ud800"),
        segment("nan", score=math.nan),
    ]
    with pytest.raises(InvalidRecordError, match=r"target_text of segment 'nul'.*'half'.*'nan' is NaN") as caught:
        fresh_store.segments.remember("", rows)
    assert len(caught.value.faults) == 6
    assert count(fresh_store) == 0


def test_names_that_no_bank_can_hold_are_simply_not_known(fresh_store: Store) -> None:
    fresh_store.segments.remember(ENGINE, [segment("a")])
    assert fresh_store.segments.recall("half \ud800", ["a"]) == {}
    assert fresh_store.segments.recall(ENGINE, ["\0", "a", "\udfff"]) == {"a": segment("a")}


def test_engines_are_listed_with_what_is_kept_of_them(fresh_store: Store) -> None:
    assert (fresh_store.segments.engines(), count(fresh_store)) == ([], 0)
    fresh_store.segments.remember("e2", [segment("a"), segment("b")])
    between = datetime.now(UTC)
    fresh_store.segments.remember("e1", [StoredSegment("a", "en", "fi", "x", "y"), segment("b")])
    fresh_store.segments.remember("e2", [segment("b"), segment("c")])
    fresh_store.segments.remember("e0", [])
    e1_fi, e1_sv, e2 = fresh_store.segments.engines()
    assert [(e.engine_id, e.langpair, e.segments) for e in (e1_fi, e1_sv, e2)] == [
        ("e1", "en-fi", 1),
        ("e1", "en-sv", 1),
        ("e2", "en-sv", 3),
    ]
    assert between <= e1_fi.last_at == e1_sv.last_at < e2.last_at <= datetime.now(UTC)
    assert (count(fresh_store), count(fresh_store, "e2"), count(fresh_store, "e0")) == (
        5,
        3,
        0,
    )


def test_eight_threads_remember_the_same_segments_once(fresh_store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda by: fresh_store.segments.remember(ENGINE, batch(0, by=str(by))), range(8)))
    assert sorted(new) == [0] * 7 + [BATCH]
    winner = str(new.index(BATCH))
    assert fresh_store.segments.recall(ENGINE, keys(batch(0))) == {row.key: row for row in batch(0, by=winner)}


@pytest.mark.new_process
def test_two_processes_remember_the_same_segments_at_once(fresh_url: str) -> None:
    processes = [start_script(TWO_AT_ONCE, fresh_url, by) for by in "AB"]
    assert [line_of(process) for process in processes] == ["ready\n"] * 2
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    new = [int(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(new) == 10 * BATCH
    with open_store(fresh_url) as store:
        assert count(store) == 10 * BATCH
        for number in range(10):
            found = store.segments.recall(ENGINE, keys(batch(number)))
            assert found in [{row.key: row for row in batch(number, by=by)} for by in "AB"]


@pytest.mark.new_process
def test_a_process_killed_inside_a_batch_loses_that_batch_and_no_other(fresh_url: str) -> None:
    process = start_script(HANG_IN_THE_THIRD, fresh_url)
    assert line_of(process) == "inside\n"
    killed(process)
    with open_store(fresh_url) as store:
        assert [wholes(store, number) for number in range(3)] == [BATCH, BATCH, 0]
        assert store.segments.remember(ENGINE, [row for n in range(3) for row in batch(n)]) == BATCH
        assert store.check() == []


@pytest.mark.new_process
@pytest.mark.parametrize("told", [1, 4])
def test_a_process_killed_at_any_moment_leaves_whole_batches_only(fresh_url: str, told: int) -> None:
    process = start_script(WRITE_UNTIL_KILLED, fresh_url)
    assert [line_of(process) for _ in range(told)] == [f"{number}\n" for number in range(told)]
    late = killed(process)
    known = told + len(late.splitlines())  # batches of which the process said that they are kept
    with open_store(fresh_url) as store:
        store.segments.remember(ENGINE, [segment("after")])  # waits for what a server still does for the dead
        sizes = [wholes(store, number) for number in range(known + 2)]
        assert sizes[:known] == [BATCH] * known
        assert sizes[known:] in ([0, 0], [BATCH, 0])  # it may have died between the commit and saying so
        assert count(store) == sum(sizes) + 1


def count(store: Store, engine_id: str | None = None) -> int:
    """How many translations are kept, of one engine or of all."""
    return sum(engine.segments for engine in store.segments.engines() if engine_id in (None, engine.engine_id))


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def killed(process: subprocess.Popen[str]) -> str:
    """Kill a process and return what it still said."""
    process.send_signal(signal.SIGKILL)
    said = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL
    return said


@pytest.fixture
def old_url(empty_url: str) -> str:
    """A bank as the first promptbank made it, in use."""
    with closing(Database(read_address(empty_url), migrating=True)) as database:
        with database.write(MIGRATION_LOCK) as connection:
            command.upgrade(migrations_config(connection), "0001")
        with database.read() as connection:
            assert not {"segment", "override"} & set(inspect(connection).get_table_names())
    outside(empty_url, *(row_before_kinds(new_row(fill=version), version) for version in (1, 2)))
    live = asdict(SCOPE) | {"name": "live"}  # aliases had no shares
    move = {"kind": "move", "to_version": 1, "reason": "r", "moved_at": datetime.now(UTC)}
    outside(empty_url, insert(alias).values(**live, version=1), insert(alias_history).values(**live, **move))
    with old_store(empty_url) as store:
        store.cards.add("mood", "en", '{"a": 1}', "s1")
        store.runs.start("r1", "train", "{}", "d")
        store.runs.record("r1", [(1, {"loss": 2.5})])
    return empty_url


def old_store(url: str) -> Store:
    """Open a bank as it is, without `open_store`'s look at its schema."""
    return Store(Database(read_address(url)))


def said_of(store: Store) -> tuple[object, ...]:
    columns = (prompt_row.c[name] for name in (*SEALS[1], "row_id", "record_sha256", "created_at"))
    with store._database.read() as connection:
        rows = connection.execute(select(*columns).order_by(prompt_row.c.row_id)).all()
    run = (store.runs.get("r1"), store.runs.metrics("r1"))
    return rows, store.aliases.history(SCOPE), store.cards.list(), run, store.revision()


def test_a_bank_of_the_first_schema_keeps_all_it_holds_and_takes_segments(old_url: str) -> None:
    with old_store(old_url) as store:
        before = said_of(store)
    assert schema_state(old_url).pending[:1] == ("0002",)
    assert migrate(old_url)[0] == "0001"
    with open_store(old_url) as store:
        assert said_of(store) == before
        assert [store.rows.get(SCOPE, version).data for version in (1, 2)] == [bytes([1]) * 24, bytes([2]) * 24]
        assert store.check() == []
        assert store.segments.remember(ENGINE, [segment("a")]) == 1
        assert store.overrides.apply("en", "sv", {"h": "{}"}) == 1


def test_a_bank_of_the_first_schema_says_what_to_do(old_url: str) -> None:
    with old_store(old_url) as store:
        for ask in (
            lambda: store.segments.recall(ENGINE, ["a"]),
            lambda: store.segments.remember(ENGINE, [segment("a")]),
            store.segments.engines,
            lambda: store.overrides.list("en", "sv"),
            lambda: store.overrides.apply("en", "sv", {"h": "{}"}),
        ):
            with pytest.raises(SchemaError, match="run `promptbank db check --db URL`, then `promptbank db migrate"):
                ask()
    if "postgresql" not in old_url:  # a SQLite file is migrated when it is opened
        open_store(old_url).close()
        assert schema_state(old_url).ready
        return
    with pytest.raises(SchemaError, match=r"the schema is 0001, but \d+ is needed; run `promptbank db migrate"):
        open_store(old_url)


def test_a_message_names_so_many_faults_and_the_error_has_all() -> None:
    error = InvalidRecordError("a batch", [f"fault {n}" for n in range(30)])
    assert len(error.faults) == 30
    assert "fault 19" in str(error)
    assert "fault 20" not in str(error)
    assert str(error).endswith("; and 10 more")
