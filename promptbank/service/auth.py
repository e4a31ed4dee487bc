"""API keys over HTTP: once the bank has a key, every path under /v1 needs one with the scope infer."""

from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from promptbank.bank.keys import key_behind
from promptbank.errors import ApiKeyScopeError, NoApiKeyError
from promptbank.service.problem_answers import problem_answer
from store import ApiKey

__all__ = ["ApiKeyCheck"]


class ApiKeyCheck:
    """Middleware that lets a request under /v1 through if its ``Authorization: Bearer`` is a valid key.

    Once there was a key, keys are needed until the process ends, whatever happens to the bank.

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
                self._check(Headers(scope=scope).get("authorization", ""))
            except (NoApiKeyError, ApiKeyScopeError) as exc:
                await problem_answer(exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, authorization: str) -> None:
        keys = self._keys()
        self._needed = self._needed or bool(keys)
        if not self._needed:
            return
        scheme, _, given = authorization.partition(" ")
        key = key_behind(given.strip(), keys) if scheme.lower() == "bearer" else None
        if key is None:
            raise NoApiKeyError(
                "a valid API key is needed, as `Authorization: Bearer KEY`",
                http="ask whoever runs this service for one",
            )
        if "infer" not in key.scopes:
            raise ApiKeyScopeError(f"this needs a key with the scope infer; this key has {', '.join(key.scopes)}")
