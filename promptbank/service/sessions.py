"""Who may open which page: sessions that begin with an API key, and the token that each form carries.

A session is a signed cookie, so nothing is kept here; it ends with its key, after `SECONDS`, or with the process.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from promptbank.bank.keys import SCOPES, key_behind
from promptbank.errors import ApiKeyScopeError, NoApiKeyError
from promptbank.service.server import is_loopback
from store import ApiKey

__all__ = ["COOKIE", "SECONDS", "Session", "Sessions"]

COOKIE = "promptbank_session"
SECONDS = 12 * 3600
HASH_SHOWN = 16
"""Characters of a key's hash by which a cookie names it."""


@dataclass(frozen=True)
class Session:
    """One browser's visit.

    Attributes:
        cookie: what the browser keeps.
        token: that its forms send back; no other site can know it.
        key: name of the API key; empty without one.
        scopes: what it may do; all where the bank has no keys and this machine asks.
    """

    cookie: str
    token: str
    key: str
    scopes: frozenset[str]

    def may(self, *scopes: str) -> bool:
        """Whether it has one of the scopes."""
        return not self.scopes.isdisjoint(scopes)

    def require(self, scopes: frozenset[str]) -> None:
        """Refuse a session that has none of the scopes.

        Raises:
            NoApiKeyError: it began without a key.
            ApiKeyScopeError: its key is for something else.
        """
        if self.may(*scopes):
            return
        needed = " or ".join(sorted(scopes))
        if not self.key:
            raise NoApiKeyError(f"this page needs a session with an API key of the scope {needed}")
        raise ApiKeyScopeError(f"this needs a key with the scope {needed}; {self.key} has {', '.join(self.scopes)}")


class Sessions:
    """Begins sessions and finds them again.

    Args:
        keys: returns all keys of the bank, revoked ones too, without waiting for it.
    """

    def __init__(self, keys: Callable[[], Sequence[ApiKey]]) -> None:
        self._keys, self._secret = keys, secrets.token_bytes(32)
        self._needed = False

    def of(self, request: Request) -> Session:
        """Return the session of a request; a new one without a key where its cookie is none of ours or too old."""
        keys = self._keys()
        self._needed = self._needed or bool(keys)
        subject = self._subject(request.cookies.get(COOKIE, ""))
        if subject is None:
            return self._session(self._signed(""), keys, request)
        return self._session(request.cookies[COOKIE], keys, request)

    def begun(self, text: str, request: Request) -> Session:
        """Begin the session of an API key.

        Raises:
            NoApiKeyError: it is no valid key.
        """
        keys = self._keys()
        key = key_behind(text.strip(), keys)
        if key is None:
            raise NoApiKeyError("this is no valid API key; ask the person who runs this service for one")
        return self._session(self._signed(key.key_sha256[:HASH_SHOWN]), keys, request)

    def is_token(self, session: Session, text: str) -> bool:
        """Whether a form's token is the session's, compared in constant time."""
        return hmac.compare_digest(session.token.encode(), text.encode())

    def _session(self, cookie: str, keys: Sequence[ApiKey], request: Request) -> Session:
        subject = self._subject(cookie)
        valid = [k for k in keys if subject and k.revoked_at is None and k.key_sha256.startswith(subject)]
        scopes = frozenset(valid[0].scopes) if valid else frozenset[str]()
        if not self._needed and is_loopback(request.url.hostname or ""):  # another name may be a page's that lies
            scopes = frozenset(SCOPES)
        return Session(cookie, self._mac(f"form {cookie}"), valid[0].name if valid else "", scopes)

    def _signed(self, subject: str) -> str:
        said = f"{subject}.{secrets.token_hex(8)}.{int(time.time()) + SECONDS}"
        return f"{said}.{self._mac(said)}"

    def _subject(self, cookie: str) -> str | None:
        """Return what a cookie of ours that holds names: the beginning of a key's hash, or nothing."""
        said, _, mac = cookie.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(said).encode()):
            return None
        subject, _, until = said.split(".")
        return subject if time.time() < int(until) else None

    def _mac(self, said: str) -> str:
        return hmac.new(self._secret, said.encode("utf-8", "surrogateescape"), "sha256").hexdigest()
