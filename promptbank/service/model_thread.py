"""The one thread that uses the model: it scores batches of labels and writes open answers token by token.

Between two batches it looks at the queue again, so short requests do not wait for long answers: a batch of labels, new
open answers, one step of all open answers, and so on. A request that fails is answered with its error alone.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from promptbank.engine.decoding import AllTokens, DecodingBatch, Search
from promptbank.engine.predictor import Predictor
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.queue import QueuedRequest, RequestQueue

__all__ = ["ModelThread"]

logger = logging.getLogger(__name__)


class ModelThread:
    """Answers what is queued until the queue is drained.

    Args:
        predictor: the backbone; nothing else may use it meanwhile.
        queue: the requests.
        metrics: is told of each batch.
    """

    def __init__(self, predictor: Predictor, queue: RequestQueue, metrics: ServiceMetrics) -> None:
        self._predictor, self._queue, self._metrics = predictor, queue, metrics
        self._decoding = DecodingBatch(predictor.lm, AllTokens(predictor.lm))
        self._writing: dict[Search, QueuedRequest] = {}
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until everything is answered after the queue was drained; return whether it is."""
        with self._starting:
            begun = self._thread.ident is not None
        if begun:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._queue.take(len(self._writing))) is not None:
            self._queue.run_jobs()
            scored, written = work
            if not (scored or written or self._writing):
                continue
            began = time.monotonic()
            self._score(scored)
            middle = time.monotonic()
            self._begin(written)
            self._step()
            end = time.monotonic()
            self._metrics.batch(scored, middle - began)
            self._metrics.batch(written, end - middle)
            self._queue.answered(sum(one.prepared.tokens for one in (*scored, *written)), end - began)

    def _score(self, batch: Sequence[QueuedRequest]) -> None:
        """Answer a batch of closed tasks; what fails, for want of memory too, is tried again in halves."""
        if not batch:
            return
        try:
            with _timed(batch):
                answers = self._predictor.labels([one.prepared for one in batch])
        except Exception as exc:
            if len(batch) == 1:
                _fail(batch[0], exc)
                return
            logger.warning("a batch of %d records failed (%s); trying its halves", len(batch), exc)
            middle = len(batch) // 2
            self._score(batch[:middle])
            self._score(batch[middle:])
            return
        for one, answer in zip(batch, answers, strict=True):
            one.settle(answer)

    def _begin(self, requests: Sequence[QueuedRequest]) -> None:
        """Read prompts whose answers are to be written, one by one if they fail together."""
        try:
            searches = [one.prepared.search() for one in requests]
            with _timed(requests):
                held = self._predictor.led([one.prepared for one in requests])
                self._decoding.admit(searches, [one.prepared.task.table for one in requests], held)
        except Exception as exc:
            if len(requests) == 1:
                _fail(requests[0], exc)
                return
            logger.warning("reading %d prompts failed (%s); reading each alone", len(requests), exc)
            for one in requests:
                self._alone(one)
            return
        self._writing |= dict(zip(searches, requests, strict=True))

    def _step(self) -> None:
        """Write one token of each open answer."""
        left = [search for search, one in self._writing.items() if one.abandoned]
        self._decoding.leave(left)
        for search in left:
            del self._writing[search]
        try:
            with _timed(self._writing.values()):
                if self._decoding.going:
                    self._decoding.step()
        except Exception as exc:
            self._recover(exc)
            return
        for search in [search for search in self._writing if not search.living]:
            one = self._writing.pop(search)
            one.settle(one.prepared.written(search.best()))
        for search, one in self._writing.items():
            _tell(one, search.living[0].ids)

    def _recover(self, failure: Exception) -> None:
        """Write the answers that failed together one by one, from their beginning."""
        logger.warning("writing %d answers failed (%s); writing each alone", len(self._writing), failure)
        failed, self._writing = list(self._writing.values()), {}
        self._decoding = DecodingBatch(self._predictor.lm, AllTokens(self._predictor.lm))
        for one in failed:
            self._alone(one)

    def _alone(self, one: QueuedRequest) -> None:
        try:
            with _timed([one]):
                (answer,) = self._predictor.texts([one.prepared])
        except Exception as exc:
            _fail(one, exc)
        else:
            one.settle(answer)


@contextmanager
def _timed(requests: Iterable[QueuedRequest]) -> Iterator[None]:
    """Add the seconds that something takes to each of some requests."""
    began = time.monotonic()
    yield
    for one in requests:
        one.forward += time.monotonic() - began


def _tell(one: QueuedRequest, ids: tuple[int, ...]) -> None:
    """Tell who listens the tokens so far; where that fails they are told no more, but the answer still comes."""
    try:
        if one.progress:
            one.progress(ids)
    except Exception:
        logger.exception("the progress of an answer of %s cannot be told", "{}:{}".format(*one.task))
        one.progress = None


def _fail(one: QueuedRequest, failure: Exception) -> None:
    logger.error("a record of %s could not be answered", "{}:{}".format(*one.task), exc_info=failure)
    one.answer.set_exception(failure)
