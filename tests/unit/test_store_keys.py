"""API keys in the bank, on both engines."""

import hashlib

import pytest

from store import InvalidRecordError, Store, UnknownApiKeyError
from tests.stores import outside

ONE, TWO = (hashlib.sha256(text.encode()).hexdigest() for text in ("one", "two"))


def test_a_key_comes_back_as_it_was_added_and_raises_the_revision(fresh_store: Store) -> None:
    before = fresh_store.revision()
    fresh_store.keys.add("webshop", ONE, ["train", "infer", "infer"])
    fresh_store.keys.add("jobs", TWO, ["admin"])
    assert fresh_store.revision() == before + 2
    first, second = fresh_store.keys.list()
    assert (first.name, first.key_sha256, first.scopes, first.revoked_at) == ("webshop", ONE, ("infer", "train"), None)
    assert (second.name, second.scopes) == ("jobs", ("admin",))
    assert ONE not in repr(first)


def test_a_revoked_key_stays_and_its_name_is_not_given_again(fresh_store: Store) -> None:
    fresh_store.keys.add("webshop", ONE, ["infer"])
    before = fresh_store.revision()
    fresh_store.keys.revoke("webshop")
    revoked_at = fresh_store.keys.list()[0].revoked_at
    assert revoked_at is not None
    fresh_store.keys.revoke("webshop")
    assert fresh_store.keys.list()[0].revoked_at == revoked_at
    assert fresh_store.revision() == before + 1
    with pytest.raises(InvalidRecordError, match="another key has this name"):
        fresh_store.keys.add("webshop", TWO, ["infer"])


@pytest.mark.parametrize(
    ("name", "sha256", "scopes", "says"),
    [
        ("", ONE, ["infer"], "name is empty"),
        ("a\0b", ONE, ["infer"], "NUL"),
        ("x", ONE.upper(), ["infer"], "no sha256"),
        ("x", ONE[1:], ["infer"], "no sha256"),
        ("x", ONE, [], "it has no scope"),
        ("x", ONE, ["in fer"], "no word"),
        ("x", TWO, ["infer"], "the key is there already"),
    ],
)
def test_what_is_no_key_is_refused(fresh_store: Store, name: str, sha256: str, scopes: list[str], says: str) -> None:
    fresh_store.keys.add("first", TWO, ["infer"])
    with pytest.raises(InvalidRecordError, match=says):
        fresh_store.keys.add(name, sha256, scopes)
    assert len(fresh_store.keys.list()) == 1


def test_an_unknown_name_is_told_with_those_there_are(fresh_store: Store) -> None:
    with pytest.raises(UnknownApiKeyError, match=r"no API key 'nope'; keys: none"):
        fresh_store.keys.revoke("nope")
    fresh_store.keys.add("webshop", ONE, ["infer"])
    with pytest.raises(UnknownApiKeyError, match="keys: webshop"):
        fresh_store.keys.revoke("nope")


def test_a_key_cannot_be_removed(fresh_store: Store) -> None:
    fresh_store.keys.add("webshop", ONE, ["infer"])
    with pytest.raises(Exception, match="keeps what was written"):
        outside(fresh_store.url, "DELETE FROM api_key")
    assert fresh_store.check() == []
