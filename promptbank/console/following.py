"""Parts of pages that follow what goes on: sent again as server-sent events whenever it has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from promptbank.console.app import HEADERS, Console, Visit

__all__ = ["Followed", "follow"]

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Followed:
    """What a part of a page shows at one moment.

    Attributes:
        values: of its template.
        state: changes whenever the part is to be sent again.
        is_over: nothing will change any more.
    """

    values: Mapping[str, object]
    state: object
    is_over: bool


def follow(console: Console, visit: Visit, template: str, look: Callable[[], Followed]) -> Response:
    """Answer with a stream of a part of a page; it ends when nothing changes any more, or the session or service ends.

    Args:
        console: the pages.
        visit: of the stream.
        template: of the part.
        look: called each second on a thread.

    Raises:
        PromptBankError: what the first look raises, and so do its other errors.
    """
    scopes, first = visit.session.scopes, look()  # what cannot be shown at all is told before the stream begins

    async def events() -> AsyncIterator[str]:
        found, sent = first, None
        while console.is_serving and console.sessions.of(visit.request).scopes == scopes:
            if found.state != sent or found.is_over:
                sent, text = found.state, console.render(visit, template, found.values)
                yield "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
            if found.is_over:
                break
            await asyncio.sleep(LOOK_SECONDS)
            found = await run_in_threadpool(look)
        yield "event: end\ndata:\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)
