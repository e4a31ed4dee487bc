"""API keys over HTTP: once the bank has a key, every path under /v1 needs one of the scope that it is for.

What changes the bank needs a key with the scope admin even where the bank has none and everyone may ask.
"""

import re
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from promptbank.bank.keys import key_behind
from promptbank.errors import ApiKeyScopeError, NoApiKeyError
from promptbank.service.problem_answers import problem_answer
from store import ApiKey

__all__ = ["ApiKeyCheck"]

READING = ("GET", "HEAD", "OPTIONS")
CHANGING = re.compile(r"/v1/tasks/[^/]+/(aliases/[^/]+|versions)/?")
"""Paths of what changes the bank; a test holds each operation of the OpenAPI schema against them."""


class ApiKeyCheck:
    """Middleware that lets a request under /v1 through if its ``Authorization: Bearer`` is a valid key.

    The key stands in ``request.state.api_key``. Once there was a key, keys are needed until the process ends, whatever
    happens to the bank.

    Args:
        app: the application.
        keys: returns all keys of the bank, revoked ones too, without waiting for it.
    """

    def __init__(self, app: ASGIApp, keys: Callable[[], Sequence[ApiKey]]) -> None:
        self._app, self._keys = app, keys
        self._needed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["path"].startswith("/v1"):
            try:
                needed = _scope_for(scope["method"], scope["path"])
                key = self._checked(Headers(scope=scope).get("authorization", ""), needed)
            except (NoApiKeyError, ApiKeyScopeError) as exc:
                await problem_answer(exc)(scope, receive, send)
                return
            scope.setdefault("state", {})["api_key"] = key
        await self._app(scope, receive, send)

    def _checked(self, authorization: str, needed: str) -> ApiKey | None:
        """Return the key of a request; None where none is needed."""
        keys = self._keys()
        self._needed = self._needed or bool(keys)
        if not self._needed and needed == "infer":
            return None
        scheme, _, given = authorization.partition(" ")
        key = key_behind(given.strip(), keys) if scheme.lower() == "bearer" else None
        if key is None:
            raise NoApiKeyError(
                f"a valid API key with the scope {needed} is needed, as `Authorization: Bearer KEY`",
                http="ask whoever runs this service for one",
            )
        if needed not in key.scopes:
            raise ApiKeyScopeError(f"this needs a key with the scope {needed}; this key has {', '.join(key.scopes)}")
        return key


def _scope_for(method: str, path: str) -> str:
    return "admin" if method not in READING and CHANGING.fullmatch(path) else "infer"
