"""Counts of quotas in the bank, on both engines: never more than there is, however many ask at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from store import Store, open_store
from store.schema import quota_use
from tests.stores import asked

NOW, HOUR = datetime(2026, 11, 30, tzinfo=UTC), timedelta(hours=1)


def test_a_window_takes_what_fits_and_gives_back(fresh_store: Store) -> None:
    quotas, before = fresh_store.quotas, fresh_store.revision()
    assert quotas.used(["a", "b"]) == [0, 0]
    assert [quotas.use("a", amount, 10, NOW, HOUR) for amount in (4, 6, 1)] == [True, True, False]
    assert quotas.use("b", 3, 2, NOW, HOUR) is False
    assert quotas.used(["b", "a"]) == [0, 10]
    assert quotas.use("a", -3, 10, NOW, HOUR)
    assert quotas.use("a", 3, 10, NOW, HOUR)
    assert quotas.use("a", -50, 10, NOW, HOUR)
    assert quotas.used(["a"]) == [0]
    assert fresh_store.revision() == before  # nothing that serving must see


def test_processes_that_ask_at_once_take_no_more_than_there_is(fresh_url: str) -> None:
    def ask(number: int) -> Counter[bool]:
        with open_store(fresh_url) as store:
            return Counter(store.quotas.use("w", 1 + number % 2, 60, NOW, HOUR) for _ in range(15))

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(ask, range(6)))
    assert sum(one[True] * (1 + n % 2) for n, one in enumerate(taken)) == 60
    with open_store(fresh_url) as store:
        assert store.quotas.used(["w"]) == [60]


def test_windows_that_are_over_are_forgotten(fresh_store: Store, fresh_url: str) -> None:
    fresh_store.quotas.use("old", 1, 10, NOW - HOUR, HOUR)
    fresh_store.quotas.use("new", 1, 10, NOW, HOUR)
    assert asked(fresh_url, select(func.count()).select_from(quota_use)) == 1
    assert fresh_store.check() == []
