"""API keys of the HTTP service: made, listed, revoked and recognised. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable
from hmac import compare_digest

from promptbank.bank.session import Bank
from promptbank.errors import InputError
from store import ApiKey

__all__ = ["SCOPES", "create_key", "key_behind", "key_facts", "list_keys", "revoke_key"]

SCOPES = ("infer", "train", "review", "admin")
"""What a key may be for; none of them includes another."""

MARK = "pb_"
"""What every key begins with, so that a leaked one is recognised."""


def create_key(
    bank: Bank,
    name: str,
    scopes: Collection[str],
    *,
    records_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> str:
    """Make a key of 32 random bytes and store its hash; return the key, which cannot be had again.

    Args:
        bank: the bank.
        name: for people.
        scopes: of `SCOPES`.
        records_per_minute: that it may ask of all processes that share the bank; None for as many as it likes.
        tokens_per_minute: of their prompts.

    Raises:
        InputError: a scope is none of `SCOPES`.
        InvalidRecordError: the name is empty or taken, or no scope is given.
    """
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise InputError(f"unknown scopes: {', '.join(unknown)}; scopes: {', '.join(SCOPES)}")
    key = MARK + secrets.token_urlsafe(32)
    quotas = {"records_per_minute": records_per_minute, "tokens_per_minute": tokens_per_minute}
    bank.make().keys.add(name, _hash(key), scopes, **quotas)
    return key


def list_keys(bank: Bank) -> list[ApiKey]:
    """Return every key, revoked ones too, oldest first."""
    return bank.store.keys.list()


def revoke_key(bank: Bank, name: str) -> None:
    """Make a key invalid for ever.

    Raises:
        UnknownApiKeyError: no key has this name.
    """
    bank.store.keys.revoke(name)


def key_facts(key: ApiKey) -> dict[str, object]:
    """Return what a list says of a key, as plain JSON values."""
    revoked = key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else None
    created = key.created_at.isoformat(timespec="seconds")
    quotas = {"records_per_minute": key.records_per_minute, "tokens_per_minute": key.tokens_per_minute}
    return {"name": key.name, "scopes": list(key.scopes), **quotas, "created_at": created, "revoked_at": revoked}


def key_behind(text: str, keys: Iterable[ApiKey]) -> ApiKey | None:
    """Return the valid key that a text is; every key is compared, each in constant time."""
    given = _hash(text)
    found = [key for key in keys if compare_digest(key.key_sha256, given)]
    return found[0] if found and found[0].revoked_at is None else None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
