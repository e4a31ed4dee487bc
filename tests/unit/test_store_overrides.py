from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from store import InvalidRecordError, Store, open_store
from store.schema import override
from tests.stores import start_script

HANG_INSIDE = """
import sys, time
from sqlalchemy import event
from store import open_store
store = open_store(sys.argv[1])
@event.listens_for(store._database.engine, "after_cursor_execute")
def hang(connection, cursor, statement, *rest):
    if statement.startswith(sys.argv[2]):
        print("inside", flush=True)
        time.sleep(600)
store.overrides.apply("en", "sv", {"a": '"later"', "b": '"later"', "c": '"later"'})
"""


def times(store: Store, key: str) -> tuple[datetime, datetime]:
    wanted = select(override.c.created_at, override.c.updated_at).where(override.c.source_sha256 == key)
    with store._database.read() as connection:
        created, updated = connection.execute(wanted).one()
    return created, updated


def test_the_latest_decision_of_a_source_counts(fresh_store: Store) -> None:
    assert fresh_store.overrides.apply("en", "sv", {"b": '{"text": "Två"}', "a": '{"drop": true}'}) == 2
    assert fresh_store.overrides.apply("en", "sv", {"a": '{"drop": false}', "c": "null"}) == 2
    assert list(fresh_store.overrides.list("en", "sv").items()) == [
        ("a", '{"drop": false}'),
        ("b", '{"text": "Två"}'),
        ("c", "null"),
    ]
    assert (fresh_store.revision(), fresh_store.check()) == (0, [])


def test_decisions_are_kept_letter_by_letter_after_reopening(fresh_url: str) -> None:
    said = '{ "text" : "Det \\u00e4r 🙂", "note":"\'; DROP TABLE override; -- %s :x" }\n'
    with open_store(fresh_url) as first:
        first.overrides.apply("en", "sv", {"f" * 64: said})
    with open_store(fresh_url) as second:
        assert second.overrides.list("en", "sv") == {"f" * 64: said}


def test_each_language_pair_has_its_own_decisions(fresh_store: Store) -> None:
    pairs = [("en", "sv"), ("sv", "en"), ("en", "fi"), ("de", "sv")]
    for src, tgt in pairs:
        assert fresh_store.overrides.apply(src, tgt, {"a": json.dumps(f"{src}-{tgt}")}) == 1
    assert [fresh_store.overrides.list(src, tgt) for src, tgt in pairs] == [
        {"a": json.dumps(f"{src}-{tgt}")} for src, tgt in pairs
    ]
    assert fresh_store.overrides.list("fi", "en") == fresh_store.overrides.list("e\0", "\ud800") == {}


def test_the_same_decision_again_changes_nothing_and_another_only_its_own_time(fresh_store: Store) -> None:
    before = datetime.now(UTC)
    fresh_store.overrides.apply("en", "sv", {"a": "1", "b": "1"})
    first_a, first_b = times(fresh_store, "a"), times(fresh_store, "b")
    assert before <= first_a[0] == first_a[1] <= datetime.now(UTC)
    assert fresh_store.overrides.apply("en", "sv", {"a": "1", "b": "1"}) == 0
    assert fresh_store.overrides.apply("en", "sv", {}) == 0
    assert fresh_store.overrides.apply("en", "sv", {"a": "1", "b": "2"}) == 1
    assert times(fresh_store, "a") == first_a
    assert times(fresh_store, "b")[0] == first_b[0]
    assert first_b[1] < times(fresh_store, "b")[1] <= datetime.now(UTC)


def test_thousands_of_decisions_are_one_transaction(fresh_store: Store) -> None:
    decisions = {f"{number:064x}": str(number) for number in range(1500)}
    assert fresh_store.overrides.apply("en", "sv", decisions) == 1500
    later = {key: f"-{said}" for key, said in list(decisions.items())[1:1200]}
    assert fresh_store.overrides.apply("en", "sv", decisions | later) == 1199
    assert fresh_store.overrides.list("en", "sv") == decisions | later


def test_what_cannot_be_stored_is_refused_with_every_fault_and_nothing_is_applied(fresh_store: Store) -> None:
    with pytest.raises(InvalidRecordError, match=r"decision for source 'a' is not JSON") as caught:
        fresh_store.overrides.apply("", "s\0", {"fine": "{}", "a": "{", "": "{}", "h\ud800": '"\ud800"'})
    assert len(caught.value.faults) == 6
    with pytest.raises(InvalidRecordError, match="source 'a' is not JSON"):
        fresh_store.overrides.apply("en", "sv", {"fine": "{}", "a": "{"})
    assert fresh_store.overrides.list("en", "sv") == {}


def test_of_eight_threads_that_decide_at_once_one_has_the_last_word_on_all(fresh_store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        changed = list(
            pool.map(lambda by: fresh_store.overrides.apply("en", "sv", {str(n): str(by) for n in range(50)}), range(8))
        )
    assert changed == [50] * 8
    found = fresh_store.overrides.list("en", "sv")
    assert len(found) == 50
    assert len(set(found.values())) == 1


@pytest.mark.new_process
@pytest.mark.parametrize("statement", ["INSERT INTO override", "UPDATE override"])
def test_a_process_killed_inside_apply_leaves_what_was_decided_before(fresh_store: Store, statement: str) -> None:
    fresh_store.overrides.apply("en", "sv", {"a": '"before"'})
    process = start_script(HANG_INSIDE, fresh_store.url, statement)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert fresh_store.overrides.list("en", "sv") == {"a": '"before"'}
    assert fresh_store.overrides.apply("en", "sv", {"a": '"after"', "b": '"after"'}) == 2
