import math

import pytest

from store import InvalidRecordError, RunConflictError, Store, UnknownRunError

START = ("r1", "train", '{"epochs": 8}', "d" * 64)


def test_a_run_is_started_followed_and_finished(fresh_store: Store) -> None:
    started = fresh_store.runs.start(*START)
    assert (started.status, started.result_json, started.finished_at) == ("running", None, None)
    fresh_store.runs.record("r1", [(1, {"loss": 2.5, "lr": 1e-3})])
    fresh_store.runs.record("r1", [(2, {"loss": 2.25}), (3, {"loss": 0.1})])
    fresh_store.runs.finish("r1", "frozen", '{"version": 1}')
    ended = fresh_store.runs.get("r1")
    assert (ended.status, ended.result_json, ended.started_at) == ("frozen", '{"version": 1}', started.started_at)
    assert ended.finished_at is not None
    assert ended.finished_at >= ended.started_at
    assert fresh_store.runs.metrics("r1") == [(1, "loss", 2.5), (1, "lr", 1e-3), (2, "loss", 2.25), (3, "loss", 0.1)]
    assert fresh_store.revision() == 0


def test_all_runs_are_listed_oldest_first(fresh_store: Store) -> None:
    assert fresh_store.runs.list() == []
    started = [fresh_store.runs.start(name, *START[1:]) for name in ("r2", "r1", "r3")]
    fresh_store.runs.finish("r1", "failed", '{"reason": "x"}')
    assert fresh_store.runs.list() == [started[0], fresh_store.runs.get("r1"), started[2]]


def test_starting_an_unfinished_run_resumes_it_and_steps_may_be_recorded_again(fresh_store: Store) -> None:
    first = fresh_store.runs.start(*START)
    fresh_store.runs.record("r1", [(step, {"loss": 9.0}) for step in range(600)])
    assert fresh_store.runs.start(*START) == first
    fresh_store.runs.record("r1", [(step, {"loss": float(step)}) for step in range(300, 700)])
    expected = [(s, "loss", 9.0) for s in range(300)] + [(s, "loss", float(s)) for s in range(300, 700)]
    assert fresh_store.runs.metrics("r1") == expected


def test_a_loss_that_is_no_number_is_kept_as_such(fresh_store: Store) -> None:
    fresh_store.runs.start(*START)
    fresh_store.runs.record("r1", [(0, {"a": math.nan, "b": math.inf, "c": -math.inf})])
    (_, _, a), (_, _, b), (_, _, c) = fresh_store.runs.metrics("r1")
    assert math.isnan(a)
    assert (b, c) == (math.inf, -math.inf)


def test_another_run_under_the_same_id_is_refused(fresh_store: Store) -> None:
    fresh_store.runs.start(*START)
    with pytest.raises(RunConflictError, match="another config_json and data_sha256"):
        fresh_store.runs.start("r1", "train", "{}", "e" * 64)


def test_a_finished_run_takes_nothing_more(fresh_store: Store) -> None:
    fresh_store.runs.start(*START)
    fresh_store.runs.finish("r1", "failed", "{}")
    for act in (
        lambda: fresh_store.runs.start(*START),
        lambda: fresh_store.runs.record("r1", [(1, {"loss": 1.0})]),
        lambda: fresh_store.runs.finish("r1", "frozen", "{}"),
    ):
        with pytest.raises(RunConflictError, match="ended as 'failed'"):
            act()


def test_an_unknown_run_is_named(fresh_store: Store) -> None:
    for act in (
        lambda: fresh_store.runs.get("r9"),
        lambda: fresh_store.runs.metrics("r9"),
        lambda: fresh_store.runs.record("r9", [(1, {"loss": 1.0})]),
        lambda: fresh_store.runs.finish("r9", "frozen", "{}"),
    ):
        with pytest.raises(UnknownRunError, match="'r9'"):
            act()
    with pytest.raises(UnknownRunError):
        fresh_store.runs.get("half \ud800")


def test_faults_are_gathered_and_nothing_is_recorded(fresh_store: Store) -> None:
    with pytest.raises(InvalidRecordError, match=r"kind is empty.*config_json is not JSON"):
        fresh_store.runs.start("r1", "", "{", "d")
    fresh_store.runs.start(*START)
    with pytest.raises(InvalidRecordError, match=r"step -1.*step 2147483648.*metric name"):
        fresh_store.runs.record("r1", [(5, {"loss": 1.0}), (-1, {"loss": 1.0}), (2**31, {"": 1.0})])
    with pytest.raises(InvalidRecordError, match="the run goes on"):
        fresh_store.runs.finish("r1", "running", "{}")
    assert fresh_store.runs.metrics("r1") == []
