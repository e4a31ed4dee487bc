from concurrent.futures import ThreadPoolExecutor

import pytest

from store import InsertOnlyError, InvalidRecordError, Store


def newest(store: Store, taskname: str, lang: str) -> str | None:
    """The card that counts, as JSON."""
    return next((c.card_json for c in store.cards.list() if (c.taskname, c.lang) == (taskname, lang)), None)


def test_the_newest_card_of_a_task_and_language_counts(fresh_store: Store) -> None:
    assert newest(fresh_store, "mood", "en") is None
    assert fresh_store.cards.add("mood", "sv", '{"a": 9}', "s9")
    assert fresh_store.cards.add("mood", "en", '{"a": 1}', "s1")
    assert fresh_store.cards.add("mood", "en", '{"a": 2}', "s2")
    assert newest(fresh_store, "mood", "en") == '{"a": 2}'
    assert [(c.lang, c.card_json, c.card_sha256) for c in fresh_store.cards.list()] == [
        ("en", '{"a": 2}', "s2"),
        ("sv", '{"a": 9}', "s9"),
    ]


def test_the_same_card_again_is_not_stored_but_an_older_one_is(fresh_store: Store) -> None:
    added = [fresh_store.cards.add("mood", "en", f'{{"a": {n}}}', f"s{n}") for n in (1, 1, 2, 1)]
    assert added == [True, False, True, True]
    assert newest(fresh_store, "mood", "en") == '{"a": 1}'
    assert fresh_store.revision() == 3


def test_eight_threads_that_add_one_card_store_it_once(fresh_store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: fresh_store.cards.add("mood", "en", "{}", "s"), range(8)))
    assert sorted(added) == [False] * 7 + [True]


def test_what_cannot_be_stored_is_refused_with_every_fault(fresh_store: Store) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        fresh_store.cards.add("", "e\0", "{", "s")
    assert len(caught.value.faults) == 3
    assert fresh_store.cards.list() == []


@pytest.mark.parametrize("statement", ["UPDATE card SET card_json = '{}'", "DELETE FROM card"])
def test_cards_are_kept(fresh_store: Store, statement: str) -> None:
    fresh_store.cards.add("mood", "en", '{"a": 1}', "s1")
    with pytest.raises(InsertOnlyError), fresh_store._database.write("x") as connection:
        connection.exec_driver_sql(statement)
    assert newest(fresh_store, "mood", "en") == '{"a": 1}'
