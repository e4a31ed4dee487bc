from dataclasses import asdict

import pytest

from store import InsertOnlyError, InvalidRecordError, NewEvaluation, Store, UnknownRowError
from tests.stores import filled

NEW = NewEvaluation(
    data_sha256="d" * 64,
    split="test",
    metrics_json='{"accuracy": 0.84}',
    dtype="float32",
    details_json='{"threads": 2}',
)


def test_evaluations_are_kept_per_row_in_order(fresh_store: Store) -> None:
    first, second = filled(fresh_store, 2)
    revision = fresh_store.revision()
    kept = [fresh_store.evaluations.add(first.row_id, NEW) for _ in range(2)]
    assert fresh_store.evaluations.of(first.row_id) == kept
    assert fresh_store.evaluations.of(second.row_id) == []
    assert asdict(NEW).items() <= asdict(kept[0]).items()
    assert kept[0].row_id == first.row_id
    assert fresh_store.revision() == revision  # serving does not read measurements


@pytest.mark.parametrize("row_id", [2, 0, -5, 10**20])
def test_only_a_row_can_be_evaluated(fresh_store: Store, row_id: int) -> None:
    filled(fresh_store, 1)
    with pytest.raises(UnknownRowError, match=f"no row with id {row_id}"):
        fresh_store.evaluations.add(row_id, NEW)
    assert fresh_store.evaluations.of(row_id) == []


def test_all_faults_of_an_evaluation_are_told(fresh_store: Store) -> None:
    row = filled(fresh_store, 1)[0]
    bad = NewEvaluation(data_sha256="", split="a\0", metrics_json="nonsense", dtype="float32", details_json="")
    with pytest.raises(InvalidRecordError) as caught:
        fresh_store.evaluations.add(row.row_id, bad)
    assert len(caught.value.faults) == 4
    assert fresh_store.evaluations.of(row.row_id) == []


@pytest.mark.parametrize("statement", ["UPDATE evaluation SET dtype = 'int8'", "DELETE FROM evaluation"])
def test_an_evaluation_stays_as_it_was_measured(fresh_store: Store, statement: str) -> None:
    kept = fresh_store.evaluations.add(filled(fresh_store, 1)[0].row_id, NEW)
    with pytest.raises(InsertOnlyError, match="evaluation keeps"), fresh_store._database.write("x") as connection:
        connection.exec_driver_sql(statement)
    assert fresh_store.evaluations.of(kept.row_id) == [kept]
