import hashlib

import pytest
from sqlalchemy import update

from store import Store, TamperedRowError, open_store
from store.schema import prompt_row
from tests.stores import SCOPE, behind_triggers, filled, new_row


def test_a_bank_in_honest_use_is_sound(fresh_store: Store) -> None:
    assert fresh_store.check() == []
    rows = filled(fresh_store, 3)
    for version in (1, 3, 2):
        fresh_store.aliases.move(SCOPE, version, reason="r")
    fresh_store.aliases.rollback(SCOPE)
    fresh_store.rows.import_row(rows[0])
    fresh_store.cards.add("mood", "en", "{}", "s")
    assert fresh_store.check() == []


def test_one_changed_byte_is_caught_by_get_and_check(fresh_store: Store) -> None:
    row = filled(fresh_store, 2)[0]
    fresh_store.aliases.move(SCOPE, 1, reason="r")
    flipped = bytes([row.data[0] ^ 1]) + row.data[1:]
    behind_triggers(fresh_store.url, update(prompt_row).where(prompt_row.c.version == 1).values(data=flipped))
    for ask in (lambda: fresh_store.rows.get(SCOPE), lambda: fresh_store.rows.get(SCOPE, 1)):
        with pytest.raises(TamperedRowError, match=rf"sentiment-task:en@1.*{row.sha256}"):
            ask()
    assert len(fresh_store.check()) == 1
    assert "sentiment-task:en@1" in fresh_store.check()[0]
    assert fresh_store.rows.get(SCOPE, 2).version == 2


@pytest.mark.parametrize(
    "change",
    [
        {"card_json": '{"label": "other"}'},
        {"policy_json": "{}"},
        {"probe_logits": bytes(12)},
        {"virtual_tokens": 3, "hidden_size": 2},
        {"data": bytes(24), "sha256": hashlib.sha256(bytes(24)).hexdigest()},
        {"version": 2},
        {"lang": "sv"},
    ],
)
def test_a_change_beside_the_bytes_is_caught_too(fresh_store: Store, change: dict[str, object]) -> None:
    fresh_store.rows.freeze(new_row(fill=1))
    behind_triggers(fresh_store.url, update(prompt_row).values(**change))
    info = fresh_store.rows.list()[0]
    with pytest.raises(TamperedRowError, match="changed after it was frozen"):
        fresh_store.rows.get(info.scope, info.version)
    assert any("changed after it was frozen" in fault for fault in fresh_store.check())


@pytest.mark.parametrize("change", ["data = 'text of twenty-four char'", "created_at = 'yesterday'"])
def test_a_value_of_another_type_is_tampering(sqlite_path, change: str) -> None:
    with open_store(str(sqlite_path)) as store:
        filled(store, 1)
        behind_triggers(store.url, f"UPDATE prompt_row SET {change}")
        with pytest.raises(TamperedRowError, match="wrong type"):
            store.rows.get(SCOPE, 1)
        assert any("wrong type" in fault for fault in store.check())


def test_a_removed_row_is_missed_by_check(fresh_store: Store) -> None:
    filled(fresh_store, 3)
    behind_triggers(fresh_store.url, "DELETE FROM prompt_row WHERE version = 2")
    assert fresh_store.check() == [f"{SCOPE} lacks version 2, though later ones exist: a row was removed"]
