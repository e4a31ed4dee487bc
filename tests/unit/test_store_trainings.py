"""The queue of trainings in the bank, on both engines."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from store import InvalidRecordError, NewTraining, RevisionConflictError, Store, UnknownTrainingError

NEW = NewTraining(
    task="mood:en",
    card_json='{"taskname": "mood"}',
    records='{"text": "Blå <b>é</b> 🙂", "label": "good"}\n',
    settings_json='{"epochs": 3}',
    live="gated",
    asked_by="anna",
)


def states(store: Store) -> list[str]:
    return [one.state for one in store.trainings.list()]


def test_a_training_comes_back_as_it_was_asked_for_and_a_list_leaves_the_records_out(fresh_store: Store) -> None:
    before = fresh_store.revision()
    number = fresh_store.trainings.add(NEW)
    found = fresh_store.trainings.get(number)
    assert NewTraining(**{name: getattr(found, name) for name in vars(NEW)}) == NEW
    assert (found.state, found.told, found.owner, found.run_id, found.starts) == ("waiting", "", None, None, 0)
    assert fresh_store.trainings.list() == [replace(found, records="")]
    assert fresh_store.revision() == before  # nothing that serving must see


def test_trainings_are_taken_in_the_order_in_which_they_were_asked_for(fresh_store: Store) -> None:
    first, second = fresh_store.trainings.add(NEW), fresh_store.trainings.add(NEW)
    found = fresh_store.trainings.claim("here")
    assert found is not None
    assert (found.training_id, found.state, found.owner, found.starts) == (first, "running", "here", 1)
    assert found.records == NEW.records
    fresh_store.trainings.begun(first, "run1")
    fresh_store.trainings.end(first, "done", "mood:en@1")
    done = fresh_store.trainings.get(first)
    assert (done.state, done.told, done.run_id, done.records) == ("done", "mood:en@1", "run1", "")
    taken = fresh_store.trainings.claim("here")
    assert taken is not None
    assert taken.training_id == second


def test_an_owner_gets_what_it_left_again_and_another_owner_does_not(fresh_store: Store) -> None:
    first = fresh_store.trainings.add(NEW)
    fresh_store.trainings.claim("here")
    assert fresh_store.trainings.claim("there") is None
    again = fresh_store.trainings.claim("here")
    assert again is not None
    assert (again.training_id, again.starts) == (first, 2)
    fresh_store.trainings.stop(first)
    stopping = fresh_store.trainings.claim("here")
    assert stopping is not None
    assert stopping.state == "stopping"


def test_what_waits_stops_at_once_and_what_runs_when_its_process_sees_it(fresh_store: Store) -> None:
    running, waiting = fresh_store.trainings.add(NEW), fresh_store.trainings.add(NEW)
    fresh_store.trainings.claim("here")
    fresh_store.trainings.stop(running)
    fresh_store.trainings.stop(waiting)
    assert states(fresh_store) == ["stopping", "stopped"]
    fresh_store.trainings.end(running, "stopped", "")
    fresh_store.trainings.resume(running)
    assert states(fresh_store) == ["waiting", "stopped"]
    assert fresh_store.trainings.get(running).records == NEW.records
    fresh_store.trainings.remove(waiting)
    assert states(fresh_store) == ["waiting"]


def test_what_a_process_left_that_is_gone_for_good_is_stopped_by_the_second_stop(fresh_store: Store) -> None:
    number = fresh_store.trainings.add(NEW)
    fresh_store.trainings.claim("a machine that burnt down")
    fresh_store.trainings.stop(number)
    assert states(fresh_store) == ["stopping"]
    fresh_store.trainings.stop(number)
    fresh_store.trainings.resume(number)
    found = fresh_store.trainings.claim("here")
    assert found is not None
    assert (found.state, found.owner) == ("running", "here")


def test_a_change_that_does_not_fit_the_state_is_refused_and_changes_nothing(fresh_store: Store) -> None:
    number = fresh_store.trainings.add(NEW)
    for change in (
        lambda: fresh_store.trainings.resume(number),
        lambda: fresh_store.trainings.remove(number),
        lambda: fresh_store.trainings.end(number, "done", ""),
    ):
        with pytest.raises(RevisionConflictError, match=f"training {number} is waiting now"):
            change()
    assert states(fresh_store) == ["waiting"]
    fresh_store.trainings.claim("here")
    fresh_store.trainings.end(number, "failed", "why")
    with pytest.raises(RevisionConflictError, match="is failed now"):
        fresh_store.trainings.stop(number)
    for change in (fresh_store.trainings.get, fresh_store.trainings.stop, fresh_store.trainings.remove):
        with pytest.raises(UnknownTrainingError, match="no training 99"):
            change(99)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("task", "", "task is empty"),
        ("card_json", "{", "not JSON"),
        ("records", "a\0", "NUL"),
        ("settings_json", "x", "not JSON"),
        ("asked_by", "", "asked_by is empty"),
    ],
)
def test_what_cannot_be_kept_is_refused(fresh_store: Store, field: str, value: str, says: str) -> None:
    with pytest.raises(InvalidRecordError, match=says):
        fresh_store.trainings.add(replace(NEW, **{field: value}))
    assert fresh_store.trainings.list() == []


def test_of_several_owners_at_once_each_gets_another_training(fresh_store: Store) -> None:
    numbers = [fresh_store.trainings.add(NEW) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fresh_store.trainings.claim, "abcd"))
    assert sorted(one.training_id for one in found if one) == numbers
