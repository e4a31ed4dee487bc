"""Keeps doubtful answers of those tasks for which somebody asked for it, beside the answering and never in its way."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

from promptbank.bank.kept_answers import doubtful
from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.errors import PromptBankError
from promptbank.service.queue import QueuedRequest, RequestQueue
from store import AnswerKeeping, NewAnswer, StoreError
from tasks import TaskError, TaskRef

__all__ = ["AnswerKeeper"]

logger = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Answers that wait to be written; with more, later ones are not kept."""


class AnswerKeeper:
    """Looks at each answer of the tasks that have a rule; what is kept is written by a thread of its own.

    Args:
        server: of the application, whose bank holds the rules; they are read again when its revision has changed.
        queue: of the model, which answers for the version beside when it has nothing else to do.
    """

    def __init__(self, server: TaskServer, queue: RequestQueue) -> None:
        self._server, self._queue = server, queue
        self._rules: dict[tuple[str, str], AnswerKeeping] = {}
        self._revision: int | None = None
        self._room = threading.Semaphore(MOST_WAITING)
        self._thread = ThreadPoolExecutor(1, "answers")

    def follow(self, one: QueuedRequest, request: PredictionRequest) -> None:
        """Look at the answer to a request when it comes; called where tokenizers are used."""
        if self._server.revision != self._revision:
            self._revision = self._server.revision
            self._submit(self._read_rules)
        rule = self._rules.get(one.task)
        if rule is None or one.prepared.is_open or request.labels is not None:
            return
        other = self._beside(rule, request)
        one.answer.add_done_callback(lambda answer: self._answered(rule, request, other, answer))

    def stop(self) -> None:
        """Write what waits, and keep nothing more."""
        self._thread.shutdown()

    def _beside(self, rule: AnswerKeeping, request: PredictionRequest) -> QueuedRequest | None:
        """Return the same question to the version beside the one that answers, where it can be asked."""
        if rule.beside is None or rule.beside == request.task.version:
            return None
        ref = TaskRef(rule.taskname, rule.lang, rule.beside)
        try:
            prepared = self._server.predictor.prepare(replace(request, task=self._server.task(ref)))
        except (PromptBankError, TaskError, StoreError) as exc:
            logger.info("%s is not asked beside: %s", ref, exc)
            return None
        return QueuedRequest.aside(prepared)

    def _answered(
        self,
        rule: AnswerKeeping,
        request: PredictionRequest,
        other: QueuedRequest | None,
        answer: Future[Prediction],
    ) -> None:
        """Keep an improbable answer; of another one ask the version beside. On the model's thread."""
        if answer.cancelled() or answer.exception() is not None:
            return
        if not self._judged(rule, request, answer.result(), None) and other is not None:
            other.answer.add_done_callback(partial(self._compared, rule, request, answer.result()))
            self._queue.put_aside(other)

    def _compared(
        self, rule: AnswerKeeping, request: PredictionRequest, answer: Prediction, other: Future[Prediction]
    ) -> None:
        if not other.cancelled() and other.exception() is None:
            self._judged(rule, request, answer, other.result())

    def _judged(
        self, rule: AnswerKeeping, request: PredictionRequest, answer: Prediction, other: Prediction | None
    ) -> bool:
        """Have an answer written if it is doubtful; return whether it is."""
        new = doubtful(rule, request.fields, answer, other)
        if new is not None and self._room.acquire(blocking=False):
            self._submit(lambda: self._keep(new))
        return new is not None

    def _submit(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # stopped meanwhile
            self._thread.submit(work)

    def _keep(self, new: NewAnswer) -> None:
        self._room.release()
        try:
            self._server.store.answers.keep(new)
        except StoreError as exc:
            logger.warning("a doubtful answer of %s:%s is not kept: %s", new.taskname, new.lang, exc)

    def _read_rules(self) -> None:
        try:
            self._rules = {(rule.taskname, rule.lang): rule for rule in self._server.store.answers.rules()}
            self._server.store.answers.forget()
        except StoreError as exc:
            logger.warning("of which tasks answers are kept cannot be read: %s", exc)
            self._revision = None
