"""The live version's answers to what a canary was asked, to see whether they agree; nobody waits for them.

They are computed when the model has nothing else to do, so under load fewer are, and no client's answer is late.
"""

from concurrent.futures import Future
from dataclasses import replace

from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.errors import PromptBankError
from promptbank.service.canary import agree
from promptbank.service.queue import QueuedRequest, RequestQueue

__all__ = ["ShadowAnswers"]


class ShadowAnswers:
    """Asks the live version again what a canary has answered.

    Args:
        server: says which versions are compared, and is told whether they agree.
        queue: of the model.
    """

    def __init__(self, server: TaskServer, queue: RequestQueue) -> None:
        self._server, self._queue = server, queue

    def follow(self, one: QueuedRequest, request: PredictionRequest) -> None:
        """Compare the answer to a request when it comes, if it is a canary's; called where tokenizers are used."""
        other = self._server.compared_with(one.prepared.task)
        if other is None:
            return
        try:
            prepared = self._server.predictor.prepare(replace(request, task=other))
        except PromptBankError:
            return
        shadow = QueuedRequest.aside(prepared)
        one.answer.add_done_callback(lambda answer: self._ask(one, answer, shadow))

    def _ask(self, one: QueuedRequest, answer: Future[Prediction], shadow: QueuedRequest) -> None:
        if not answer.cancelled() and answer.exception() is None:
            shadow.answer.add_done_callback(lambda other: self._tell(one, shadow, answer.result(), other))
            self._queue.put_aside(shadow)

    def _tell(self, one: QueuedRequest, shadow: QueuedRequest, answer: Prediction, other: Future[Prediction]) -> None:
        if not other.cancelled() and other.exception() is None:
            agrees = agree(answer, other.result())
            self._server.compared(one.prepared.task, shadow.prepared.task, agrees=agrees)
