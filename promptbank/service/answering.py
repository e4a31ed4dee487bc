"""From records to answers: admitted on one thread, answered on another, awaited in the event loop.

The event loop never waits for the bank, the tokenizer or the model, so health checks are answered under any load.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, PreparedRequest, ServedTask
from promptbank.errors import BodyTooLargeError, PromptBankError
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.model_thread import ModelThread
from promptbank.service.queue import QueuedRequest, RequestQueue
from promptbank.service.quotas import KeyQuotas
from store import ApiKey

__all__ = ["CLIENT_GONE", "Answer", "Answering"]

Answer = Prediction | Exception
T = TypeVar("T")

CLIENT_GONE = 499
"""Status of a request whose client has left, as nginx logs it; nobody reads the answer."""


class Answering:
    """Answers records through a queue and one model thread, which starts with the first request.

    Args:
        predictor: nothing else may use it meanwhile.
        queue: where records wait.
        metrics: count what becomes of them.
        seconds: after which a record that still waits is given up.
        tokens: most of one record's prompt.
        quotas: of API keys.

    Attributes:
        on_answer: is told the row and the error, if there is one, of each answer, on the model thread.
        on_admission: are told each record that was taken, on the admission thread, in the context of its request.
    """

    on_answer: Callable[[ServedTask, BaseException | None], None] = staticmethod(lambda _task, _error: None)
    on_admission: Sequence[Callable[[QueuedRequest, PredictionRequest], None]] = ()

    def __init__(
        self,
        predictor: Predictor,
        queue: RequestQueue,
        metrics: ServiceMetrics,
        seconds: float,
        tokens: int,
        quotas: KeyQuotas,
    ) -> None:
        self._predictor, self.queue, self._metrics = predictor, queue, metrics
        self._seconds, self._tokens = seconds, tokens
        self._quotas = quotas
        self._model = ModelThread(predictor, queue, metrics)
        self._admission: CapacityLimiter | None = None  # of one event loop, so it is made inside it

    async def admit(
        self, read: Callable[[], Sequence[PredictionRequest | Exception]], key: ApiKey | None = None
    ) -> list[QueuedRequest | Exception]:
        """Queue the records of one request; one that cannot be queued has its error in its place.

        Args:
            read: parses the body and finds the tasks; called on the admission thread.
            key: of whoever asks.

        Raises:
            QuotaError: the key has used up its quota.
            OverloadError: none of the records was taken, since the queue is full or the service stops.
            PromptBankError: what ``read`` raises.
        """
        if self._admission is None:  # one thread: tokenizers are not safe on several
            self._admission = CapacityLimiter(1)
        try:
            return await to_thread.run_sync(self._admit, read, key, limiter=self._admission)
        except Exception as exc:
            self._metrics.refused(exc)
            raise

    async def answers(self, request: Request, admitted: Sequence[QueuedRequest | Exception]) -> list[Answer] | None:
        """Wait for the answers to the records of one request.

        Args:
            request: watched, so that nothing is computed for a client that has gone.
            admitted: by `admit`.

        Returns:
            Predictions and errors in the order of the records; None when the client has closed the connection.
        """
        queued = [one for one in admitted if isinstance(one, QueuedRequest)]
        try:
            if not await _all_answered(request, queued):
                return None
        finally:
            for one in queued:
                one.abandon()
        return [_outcome(one) if isinstance(one, QueuedRequest) else one for one in admitted]

    def compute(self, work: Callable[[], T]) -> T:
        """Have work of the model done on its thread, and wait for it; see `RequestQueue.compute`."""
        self._model.start()
        return self.queue.compute(work)

    def stop(self, seconds: float | None = None) -> bool:
        """Take nothing new and wait until what was admitted is answered; return whether it is."""
        self.queue.drain()
        return self._model.join(seconds)

    def _admit(
        self, read: Callable[[], Sequence[PredictionRequest | Exception]], key: ApiKey | None
    ) -> list[QueuedRequest | Exception]:
        asked = read()
        prepared = [self._prepare(one) if isinstance(one, PredictionRequest) else one for one in asked]
        deadline = time.monotonic() + self._seconds
        admitted: list[QueuedRequest | Exception] = [
            QueuedRequest(one, deadline) if isinstance(one, PreparedRequest) else one for one in prepared
        ]
        if queued := [one for one in admitted if isinstance(one, QueuedRequest)]:
            tokens = sum(one.prepared.tokens for one in queued)
            with self._quotas.taken(key, len(queued), tokens):
                self.queue.put(queued)
            self._model.start()
        for request, one in zip(asked, admitted, strict=True):
            self._metrics.count(one)
            if isinstance(one, QueuedRequest) and isinstance(request, PredictionRequest):
                one.answer.add_done_callback(partial(self._answered, one))
                for follow in self.on_admission:
                    follow(one, request)
        return admitted

    def _answered(self, one: QueuedRequest, answer: Future[Prediction]) -> None:
        if not answer.cancelled():
            self.on_answer(one.prepared.task, answer.exception())

    def _prepare(self, request: PredictionRequest) -> PreparedRequest | PromptBankError:
        try:
            prepared = self._predictor.prepare(request)
        except PromptBankError as exc:
            return exc
        if prepared.tokens <= self._tokens:
            return prepared
        return BodyTooLargeError(
            f"the prompt of the record has {prepared.tokens} tokens; {self._tokens} are allowed, send a shorter text"
        )


async def _all_answered(request: Request, queued: Sequence[QueuedRequest]) -> bool:
    """Wait until all records are answered; return False when the client goes before."""
    if not queued:
        return True
    gone = asyncio.ensure_future(_gone(request))
    answers = asyncio.ensure_future(_all(queued))
    try:
        await asyncio.wait((gone, answers), return_when=asyncio.FIRST_COMPLETED)
        return answers.done()
    finally:
        gone.cancel()
        answers.cancel()


async def _all(queued: Sequence[QueuedRequest]) -> None:
    """Return when each of them has its answer or its error."""
    await asyncio.gather(*(asyncio.wrap_future(one.answer) for one in queued), return_exceptions=True)


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _outcome(one: QueuedRequest) -> Answer:
    try:
        return one.answer.result(0)
    except Exception as exc:
        return exc
