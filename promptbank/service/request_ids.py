"""Request ids: every answer has one in ``x-request-id``, the client's own or a new one, and so has the log."""

import logging
import re
import time
import uuid
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["REQUEST_ID", "RequestIds", "current_request_id"]

logger = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"

TAKEN = re.compile(r"[!-~]{1,128}")
"""What a client's id may be; another one is replaced."""
QUIET = ("/livez", "/readyz", "/startupz", "/metrics")
"""Paths that are asked so often that they are logged for debugging only."""
_CURRENT: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """Return the id of the request that is being handled here; empty where none is."""
    return _CURRENT.get()


class RequestIds:
    """Middleware that gives each request an id, ``request.state.request_id``, and its answer the same; logs it, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        name = given if TAKEN.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        status, began = 500, time.monotonic()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = name
            await send(message)

        token = _CURRENT.set(name)
        try:
            await self._app(scope, receive, named)
        finally:
            _log(scope, status, time.monotonic() - began)
            _CURRENT.reset(token)


def _log(scope: Scope, status: int, seconds: float) -> None:
    key = scope["state"].get("api_key")
    facts = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(1000 * seconds, 1)}
    level = logging.DEBUG if scope["path"] in QUIET else logging.INFO
    more = {"key": key.name} if key else {}
    logger.log(level, "%s %s %d %.1f ms", *facts.values(), extra={"facts": facts | more})
