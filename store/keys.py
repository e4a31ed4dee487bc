"""API keys of the HTTP service, by their hashes; one is revoked and never removed, and its name is not given again."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, insert, select, update

from store.database import Repository, bump
from store.errors import UnknownApiKeyError
from store.records import ApiKey
from store.schema import api_key
from store.sealing import LARGEST, refuse, storable, text_faults

ApiKeys: TypeAlias = list[ApiKey]  # inside the class, `list` is the method
LOCK = "api keys"


class ApiKeyRepository(Repository):
    """Add, revoke and list API keys."""

    def add(
        self,
        name: str,
        key_sha256: str,
        scopes: Collection[str],
        *,
        records_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
    ) -> None:
        """Store a new key.

        Args:
            name: for people.
            key_sha256: lower-case hex of the sha256 of the key.
            scopes: what it may do, such as "infer"; words of lower-case letters.
            records_per_minute: that it may ask; None for as many as it likes.
            tokens_per_minute: of their prompts.

        Raises:
            InvalidRecordError: the name or the key is taken, a scope is no word, a quota is no
                number from 1 to 2^31 - 1, or a text cannot be stored.
        """
        with self._database.write(LOCK) as connection:
            known = _all(connection) if storable(name) else []
            quotas = {"records_per_minute": records_per_minute, "tokens_per_minute": tokens_per_minute}
            refuse(f"the API key {name!r}", [*_faults(name, key_sha256, scopes, known), *_quota_faults(quotas)])
            content = {"key_sha256": key_sha256, "scopes": " ".join(sorted(set(scopes))), **quotas}
            connection.execute(insert(api_key).values(name=name, created_at=datetime.now(UTC), **content))
            bump(connection)

    def revoke(self, name: str) -> None:
        """Make a key invalid for ever; one that is revoked already stays as it is.

        Raises:
            UnknownApiKeyError: no key has this name.
        """
        with self._database.write(LOCK) as connection:
            known = {key.name: key for key in _all(connection)}
            if name not in known:
                names = ", ".join(known) or "none"
                raise UnknownApiKeyError(f"there is no API key {name!r}; keys: {names}")
            if known[name].revoked_at is None:
                revoking = update(api_key).where(api_key.c.name == name)
                connection.execute(revoking.values(revoked_at=datetime.now(UTC)))
                bump(connection)

    def list(self) -> ApiKeys:
        """Return every key, revoked ones too, oldest first."""
        with self._database.read() as connection:
            return _all(connection)


def _all(connection: Connection) -> ApiKeys:
    found = connection.execute(select(api_key).order_by(api_key.c.created_at, api_key.c.name)).mappings()
    return [ApiKey(**{**row, "scopes": tuple(row["scopes"].split())}) for row in found]


def _quota_faults(quotas: Mapping[str, int | None]) -> list[str]:
    wrong = {name: most for name, most in quotas.items() if most is not None and not 1 <= most <= LARGEST}
    return [f"{name} is {most}, not from 1 to {LARGEST}" for name, most in wrong.items()]


def _faults(name: str, key_sha256: str, scopes: Collection[str], known: ApiKeys) -> list[str]:
    return [
        *text_faults({"name": name}, required=True),
        *(["key_sha256 is no sha256 in lower-case hex"] if not re.fullmatch(r"[0-9a-f]{64}", key_sha256) else []),
        *(f"scope {scope!r} is no word of lower-case letters" for scope in scopes if not re.fullmatch("[a-z]+", scope)),
        *(["it has no scope"] if not scopes else []),
        *(["another key has this name; names are not given again" for key in known if key.name == name]),
        *(["the key is there already" for key in known if key.key_sha256 == key_sha256]),
    ]
