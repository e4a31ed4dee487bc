"""Server-sent events of answers while they are written; the work stops when the client leaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from promptbank.engine.predictor import Prediction
from promptbank.service.openai_answers import CompletionAnswer, finish_reason, usage_of
from promptbank.service.problem_answers import error_of, problem_behind
from promptbank.service.queue import QueuedRequest

__all__ = ["EventStream"]


class EventStream(StreamingResponse):
    """Streams the answers to the prompts of one request, in the shape of OpenAI's API.

    Args:
        queued: the prompts.
        answer: the shape.
        with_usage: whether the last chunk counts tokens.
    """

    media_type = "text/event-stream"

    def __init__(self, queued: Sequence[QueuedRequest], answer: CompletionAnswer, *, with_usage: bool) -> None:
        self._queued = queued
        events = _events(queued, answer, with_usage)
        super().__init__(events, headers={"cache-control": "no-cache", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; however it ends, nothing more is computed for it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for one in self._queued:
                one.abandon()


class _News:
    """What the model thread tells about each prompt: (number, the text so far), or (number, None) at its end."""

    def __init__(self, queued: Sequence[QueuedRequest]) -> None:
        self._loop, self._waiting = asyncio.get_running_loop(), asyncio.Queue[tuple[int, str | None]]()
        for n, one in enumerate(queued):
            one.progress = partial(self._progress, n, one)
            one.answer.add_done_callback(partial(self._ended, n))

    async def next(self) -> tuple[int, str | None]:
        return await self._waiting.get()

    def _progress(self, n: int, one: QueuedRequest, ids: tuple[int, ...]) -> None:
        self._tell(n, one.prepared.begun(ids))

    def _ended(self, n: int, _answer: object) -> None:
        self._tell(n, None)

    def _tell(self, n: int, text: str | None) -> None:
        with suppress(RuntimeError):  # the event loop has closed, so nobody listens
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, (n, text))


async def _events(queued: Sequence[QueuedRequest], answer: CompletionAnswer, with_usage: bool) -> AsyncIterator[str]:
    """Write the events; an answer that fails ends the stream with its error."""
    news, sent = _News(queued), [""] * len(queued)
    predictions: list[Prediction] = []
    usage: dict[str, object] = {"usage": None} if with_usage else {}
    for n in range(len(queued)):
        if first := answer.first(n):
            yield _event(answer.chunk(first, **usage))
    try:
        while len(predictions) < len(queued):
            n, text = await news.next()
            prediction = queued[n].answer.result(0) if text is None else None
            logprobs = answer.logprobs(prediction) if prediction else None
            whole = answer.text(prediction) if prediction else text or ""
            more = _added(sent[n], whole, ended=prediction is not None)
            if more:
                sent[n] += more
                yield _event(answer.chunk([answer.delta(n, more, logprobs)], **usage))
            if prediction:
                predictions.append(prediction)
                last = answer.last(n, finish_reason(queued[n], prediction))
                yield _event(answer.chunk([last], **usage, **answer.about(prediction)))
        if with_usage:
            yield _event(answer.chunk([], usage=usage_of(queued, predictions)))
    except Exception as exc:
        yield _event({"error": error_of(problem_behind(exc))})
    yield "data: [DONE]\n\n"


def _added(sent: str, whole: str, *, ended: bool) -> str:
    """Return what has to be sent after what was sent.

    Raises:
        RuntimeError: the answer has ended otherwise than it began.
    """
    if whole.startswith(sent):
        return whole[len(sent) :]
    if ended:
        raise RuntimeError("the answer was written a second time, and came out otherwise than what had been sent")
    return ""


def _event(data: object) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
