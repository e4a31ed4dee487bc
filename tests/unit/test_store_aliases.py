import pytest
from sqlalchemy import event

from store import (
    InsertOnlyError,
    InvalidRecordError,
    NoEarlierVersionError,
    Store,
    StoreError,
    UnknownAliasError,
    UnknownRowError,
    UnknownVersionError,
)
from tests.stores import OTHER, SCOPE, behind_triggers, filled


def pointing(store: Store, *versions: int) -> Store:
    """Freeze enough rows and move `live` through the versions."""
    filled(store, max(versions))
    for version in versions:
        store.aliases.move(SCOPE, version, reason=f"to {version}")
    return store


def test_an_alias_points_where_it_was_moved_last(fresh_store: Store) -> None:
    assert fresh_store.aliases.get(SCOPE) is None
    pointing(fresh_store, 1, 3, 2)
    assert fresh_store.aliases.get(SCOPE) == 2
    assert fresh_store.rows.get(SCOPE).version == 2
    assert fresh_store.aliases.get(SCOPE, "best") is None
    assert fresh_store.aliases.get(OTHER) is None


def test_the_history_tells_every_move_with_its_reason(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2)
    fresh_store.aliases.rollback(SCOPE)
    fresh_store.aliases.retire(SCOPE, reason="task removed")
    history = fresh_store.aliases.history(SCOPE)
    assert [(m.kind, m.from_version, m.to_version, m.reason) for m in history] == [
        ("move", None, 1, "to 1"),
        ("move", 1, 2, "to 2"),
        ("rollback", 2, 1, "rollback from version 2"),
        ("retire", 1, None, "task removed"),
    ]
    assert [m.moved_at for m in history] == sorted(m.moved_at for m in history)
    assert all(m.moved_at.tzinfo is not None for m in history)
    assert fresh_store.aliases.history(OTHER) == []


def test_rollbacks_walk_back_rather_than_to_and_fro(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2, 3)
    assert [fresh_store.aliases.rollback(SCOPE) for _ in range(2)] == [(3, 2), (2, 1)]
    with pytest.raises(NoEarlierVersionError, match="no version before 1"):
        fresh_store.aliases.rollback(SCOPE)
    assert fresh_store.aliases.get(SCOPE) == 1


def test_a_rollback_keeps_the_reason_that_is_given(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2, 3)
    fresh_store.aliases.rollback(SCOPE, reason="worse on new texts")
    fresh_store.aliases.rollback(SCOPE)
    reasons = [move.reason for move in fresh_store.aliases.history(SCOPE)[-2:]]
    assert reasons == ["rollback from version 3: worse on new texts", "rollback from version 2"]
    with pytest.raises(InvalidRecordError):
        fresh_store.aliases.rollback(SCOPE, reason="a\x00b")


def test_a_move_after_a_rollback_is_rolled_back_to_where_it_came_from(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2)
    fresh_store.aliases.rollback(SCOPE)
    fresh_store.aliases.move(SCOPE, 2, reason="again")
    assert fresh_store.aliases.rollback(SCOPE) == (2, 1)


def test_moving_to_the_same_version_changes_nothing(fresh_store: Store) -> None:
    pointing(fresh_store, 1)
    revision = fresh_store.revision()
    fresh_store.aliases.move(SCOPE, 1, reason="again")
    assert (len(fresh_store.aliases.history(SCOPE)), fresh_store.revision()) == (1, revision)


def test_a_retired_alias_points_nowhere_until_it_is_moved(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2)
    fresh_store.aliases.retire(SCOPE)
    assert fresh_store.aliases.get(SCOPE) is None
    for ask in (fresh_store.rows.get, fresh_store.aliases.rollback, fresh_store.aliases.retire):
        with pytest.raises(UnknownAliasError, match="is retired; name a version"):
            ask(SCOPE)
    assert fresh_store.rows.get(SCOPE, 2).version == 2
    assert fresh_store.check() == []
    fresh_store.aliases.move(SCOPE, 2, reason="back")
    assert fresh_store.aliases.rollback(SCOPE) == (2, 1)


def test_an_alias_never_points_at_what_is_not_there(fresh_store: Store) -> None:
    with pytest.raises(UnknownRowError):
        fresh_store.aliases.move(SCOPE, 1, reason="r")
    filled(fresh_store, 2)
    for version in (0, 3, 10**20):
        with pytest.raises(UnknownVersionError):
            fresh_store.aliases.move(SCOPE, version, reason="r")
    filled(fresh_store, 1, OTHER)
    with pytest.raises(UnknownVersionError, match="there are 1"):
        fresh_store.aliases.move(OTHER, 2, reason="a version of the other scope")
    assert fresh_store.aliases.history(SCOPE) == []


def test_the_database_itself_refuses_an_alias_that_points_nowhere(fresh_store: Store) -> None:
    pointing(fresh_store, 1)
    with pytest.raises(StoreError, match=r"(?i)foreign key"), fresh_store._database.write("x") as connection:
        connection.exec_driver_sql("UPDATE alias SET version = 7")
    assert fresh_store.aliases.get(SCOPE) == 1


@pytest.mark.parametrize(("name", "reason"), [("", "r"), ("a\0", "r"), ("live", "half \udc00")])
def test_names_and_reasons_must_be_storable(fresh_store: Store, name: str, reason: str) -> None:
    filled(fresh_store, 1)
    with pytest.raises(InvalidRecordError):
        fresh_store.aliases.move(SCOPE, 1, name, reason=reason)


def test_the_revision_counts_rows_moves_rollbacks_and_retirements(fresh_store: Store) -> None:
    seen = [fresh_store.revision()]
    filled(fresh_store, 2)
    for act in (
        lambda: fresh_store.aliases.move(SCOPE, 1, reason="r"),
        lambda: fresh_store.aliases.move(SCOPE, 2, reason="r"),
        lambda: fresh_store.aliases.rollback(SCOPE),
        lambda: fresh_store.aliases.retire(SCOPE),
    ):
        act()
        seen.append(fresh_store.revision())
    assert seen == [0, 3, 4, 5, 6]


def test_a_move_that_fails_at_its_last_statement_leaves_no_trace(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2)
    engine = fresh_store._database.engine

    def fail(_connection, _cursor, statement, *_rest) -> None:
        if statement.startswith("UPDATE revision"):
            raise RuntimeError("planned")

    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="planned"):
        fresh_store.aliases.rollback(SCOPE)
    event.remove(engine, "before_cursor_execute", fail)
    assert (fresh_store.aliases.get(SCOPE), fresh_store.revision()) == (2, 4)
    assert len(fresh_store.aliases.history(SCOPE)) == 2
    assert fresh_store.check() == []


@pytest.mark.parametrize(
    "statement", ["UPDATE alias_history SET reason = 'x'", "DELETE FROM alias_history", "DELETE FROM alias"]
)
def test_history_stays_and_aliases_are_not_deleted(fresh_store: Store, statement: str) -> None:
    pointing(fresh_store, 1)
    with pytest.raises(InsertOnlyError), fresh_store._database.write("x") as connection:
        connection.exec_driver_sql(statement)
    assert fresh_store.aliases.history(SCOPE)[0].reason == "to 1"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE alias SET version = 1", "points at version 1, but its history ends at 2: it was re-pointed"),
        ("DELETE FROM alias", "points at version None, but its history ends at 2"),
        ("UPDATE alias SET version = 9", "points at version 9, which is not there"),
        ("DELETE FROM alias_history WHERE to_version = 2", "points at version 2, but its history ends at 1"),
        ("DELETE FROM alias_history WHERE to_version = 1", "after None comes a move from 1"),
        ("UPDATE alias_history SET from_version = 3 WHERE to_version = 2", "after 1 comes a move from 3"),
        ("UPDATE alias_history SET kind = 'rollback' WHERE to_version = 2", "do not lead to version 2"),
    ],
)
def test_check_catches_what_happened_behind_our_back(fresh_store: Store, statement: str, told: str) -> None:
    pointing(fresh_store, 1, 2)
    behind_triggers(fresh_store.url, statement)
    faults = fresh_store.check()
    assert faults
    assert all("'live' of sentiment-task:en" in fault or "alias row" in fault for fault in faults)
    assert any(told in fault for fault in faults)


def test_a_re_pointed_alias_needs_no_dropped_trigger_to_be_caught(fresh_store: Store) -> None:
    pointing(fresh_store, 1, 2)
    with fresh_store._database.write("x") as connection:
        connection.exec_driver_sql("UPDATE alias SET version = 1")
    assert [fault for fault in fresh_store.check() if "re-pointed behind our back" in fault]
