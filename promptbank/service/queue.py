"""Requests that wait for the model: a bounded queue, fair over tasks, cut into batches.

There is no timer: a batch is what waits when the model is free. Tasks take turns, and none may take all the room, so
one that floods the queue neither holds up another nor keeps it out; what does not fit a batch of like lengths begins
the next one.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from promptbank.engine.predictor import Prediction, PreparedRequest
from promptbank.errors import DrainingError, ExpiredError, FullQueueError

__all__ = ["QueueLimits", "QueuedRequest", "RequestQueue"]

T = TypeVar("T")
MOST_ASIDE = 64
"""Requests that wait until the model has nothing else to do; further ones are dropped."""
PADDING = 64
"""Padded tokens that a request may always add to a batch, whatever its length; beside them it may double its own."""


@dataclass(frozen=True)
class QueueLimits:
    """The most that may wait, and the size of a batch.

    Attributes:
        records: waiting records, of all requests together.
        tokens: their prompt tokens.
        batch_tokens: padded tokens of a batch; one longer prompt runs alone.
        answers: open answers that are written at once.
        task_share: of records and tokens, what one task may take; the rest is left to others.
    """

    records: int = 1024
    tokens: int = 65_536
    batch_tokens: int = 768
    answers: int = 16
    task_share: float = 0.75


ASIDE_SECONDS = 600.0
"""For which a request that nobody waits for may wait for an idle model."""


@dataclass(eq=False)
class QueuedRequest:
    """A prepared request that waits, or is being answered.

    Attributes:
        prepared: what is asked.
        deadline: on the monotonic clock, in seconds; work that begins later is not done.
        answer: gets the prediction or an error; whoever waits may cancel it as long as it waits.
        abandoned: nobody waits any more; an open answer is then written no further.
        waited: seconds in the queue, once it has been taken at ``begun_at``.
        answered_at: when the answer came; 0 before.
        forward: seconds that the model worked on batches with it.
        progress: is told all tokens of an open answer so far, after each step, on the model thread.
        is_aside: nobody waits for it, so it may wait for ever.
    """

    prepared: PreparedRequest
    deadline: float
    answer: Future[Prediction] = field(default_factory=Future)
    abandoned: bool = False
    queued_at: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    begun_at: float = 0.0
    answered_at: float = 0.0
    forward: float = 0.0
    progress: Callable[[tuple[int, ...]], None] | None = None
    is_aside: bool = False

    @classmethod
    def aside(cls, prepared: PreparedRequest) -> Self:
        """Return a request that waits for an idle model, and for whose answer nobody waits."""
        return cls(prepared, time.monotonic() + ASIDE_SECONDS, is_aside=True)

    @property
    def task(self) -> tuple[str, str]:
        """Taskname and language, which take turns."""
        return self.prepared.task.taskname, self.prepared.task.lang

    def abandon(self) -> None:
        """Say that nobody waits for the answer; without effect if it is there."""
        self.abandoned = not self.answer.done()
        self.answer.cancel()

    def settle(self, answer: Prediction) -> None:
        """Give the answer."""
        self.answered_at = time.monotonic()
        self.answer.set_result(answer)

    def begin(self, now: float) -> bool:
        """Say whether it is still to be answered; from now on its answer cannot be cancelled."""
        if self.abandoned or not self.answer.set_running_or_notify_cancel():
            return False
        self.waited, self.begun_at = now - self.queued_at, now
        if now <= self.deadline:
            return True
        self.answer.set_exception(
            ExpiredError(f"the record waited {self.waited:.0f} s for its turn, longer than it may; send it again later")
        )
        return False


class _Lane:
    """Waiting requests of one kind of answer; tasks take turns."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], deque[QueuedRequest]] = {}  # in the order of their turns

    def add(self, request: QueuedRequest) -> None:
        self._waiting.setdefault(request.task, deque()).append(request)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, most: int, tokens: int) -> tuple[list[QueuedRequest], list[QueuedRequest]]:
        """Take a batch out.

        Args:
            most: requests in it.
            tokens: padded tokens in it, unless the first alone has more.

        Returns:
            The requests to be answered, and those taken out since nobody waits for them.
        """
        batch: list[QueuedRequest] = []
        dropped: list[QueuedRequest] = []
        longest, now = 0, time.monotonic()
        turns = deque(self._waiting)
        while turns and len(batch) < most:
            task = turns.popleft()
            head = self._waiting[task][0]
            if batch and not _fits(len(batch), longest, head.prepared.tokens, tokens):
                continue
            self._waiting[task].popleft()
            if head.begin(now):
                batch.append(head)
                longest = max(longest, head.prepared.tokens)
            else:
                dropped.append(head)
            left = self._waiting.pop(task)
            if left:
                self._waiting[task] = left  # behind the others
                turns.append(task)
        return batch, dropped


def _fits(count: int, longest: int, length: int, tokens: int) -> bool:
    """Say whether a prompt may join a batch of ``count`` prompts without too many tokens, or too much padding."""
    padded = (count + 1) * max(longest, length)
    return padded <= tokens and padded - count * longest <= 2 * length + PADDING


@dataclass
class _Load:
    """Records that wait, and their prompt tokens."""

    records: int = 0
    tokens: int = 0

    def fault(self, whose: str, added: Sequence[QueuedRequest], records: int, tokens: int) -> str:
        """Say that with some more there would be too much; empty if not, or if nothing waits."""
        more = sum(one.prepared.tokens for one in added)
        if not self.records or (self.records + len(added) <= records and self.tokens + more <= tokens):
            return ""
        return (
            f"{self.records} records{whose} with {self.tokens} tokens are waiting, and with these there would be more "
            f"than {records} or {tokens}"
        )


class RequestQueue:
    """A bounded queue between the threads that admit requests and the one that answers them.

    Args:
        limits: the most that may wait.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self._waiting, self._of_task = _Load(), dict[tuple[str, str], _Load]()
        self._closed, self._open, self._aside = _Lane(), _Lane(), deque[QueuedRequest]()
        self._changed = threading.Condition()
        self._draining = False
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._pace = 0.0  # tokens a second, smoothed

    @property
    def records(self) -> int:
        """Records that wait."""
        return self._waiting.records

    @property
    def tokens(self) -> int:
        """Prompt tokens that wait."""
        return self._waiting.tokens

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    def put(self, requests: Sequence[QueuedRequest]) -> None:
        """Add all records of one HTTP request, or none of them.

        Raises:
            FullQueueError: with them, more would wait than may.
            DrainingError: the service is stopping.
        """
        with self._changed:
            self._refuse_if_draining()
            self._refuse_if_full(requests)
            for request in requests:
                self._count(request, 1)
                (self._open if request.prepared.is_open else self._closed).add(request)
            self._changed.notify()

    def put_aside(self, request: QueuedRequest) -> None:
        """Have a request answered alone when there is nothing else to do; it is dropped where many wait so."""
        with self._changed:
            if len(self._aside) < MOST_ASIDE and not self._draining:
                self._aside.append(request)
                self._changed.notify()

    def _take_aside(self) -> list[QueuedRequest]:
        while self._aside:
            if (request := self._aside.popleft()).begin(time.monotonic()):
                return [request]
        return []

    def _refuse_if_full(self, requests: Sequence[QueuedRequest]) -> None:
        """Refuse what there is no room for, of all tasks or of one; where nothing waits there is room for anything."""
        most, share = self.limits, self.limits.task_share
        faults = [self._waiting.fault("", requests, most.records, most.tokens)]
        for task in {request.task for request in requests}:
            own = [request for request in requests if request.task == task]
            room = int(share * most.records), int(share * most.tokens)
            faults.append(self._of_task.get(task, _Load()).fault(f" of {':'.join(task)}", own, *room))
        if fault := next(filter(None, faults), ""):
            raise FullQueueError(f"{fault}; send them again later", self.seconds_left())

    def _count(self, request: QueuedRequest, sign: int) -> None:
        for load in (self._waiting, self._of_task.setdefault(request.task, _Load())):
            load.records += sign
            load.tokens += sign * request.prepared.tokens
        if not self._of_task[request.task].records:
            del self._of_task[request.task]

    def compute(self, work: Callable[[], T]) -> T:
        """Have work of the model done on its thread, before the next batch; wait for it and return what it gives.

        Raises:
            DrainingError: the service is stopping.
        """
        done: Future[T] = Future()
        with self._changed:
            self._refuse_if_draining()
            self._jobs.append((work, done))
            self._changed.notify()
        return done.result()

    def _refuse_if_draining(self) -> None:
        if self._draining:
            raise DrainingError("this server is stopping and takes no new requests; ask another one, or ask again")

    def run_jobs(self) -> None:
        """Do, on the model's thread, the work that `compute` waits for."""
        while self._jobs:
            work, done = self._jobs.popleft()
            try:
                done.set_result(work())
            except Exception as exc:
                done.set_exception(exc)

    def take(self, writing: int) -> tuple[list[QueuedRequest], list[QueuedRequest]] | None:
        """Take the next batch; wait for one if there is nothing to do.

        Args:
            writing: open answers that are being written; with some, this does not wait.

        Returns:
            Requests to be scored together and requests to be written, both empty only if answers are being written or
            jobs wait; None when the queue is closed and empty.
        """
        with self._changed:
            while True:
                if self._jobs:
                    return [], []
                scored, gone = self._closed.take(self.limits.records, self.limits.batch_tokens)
                room = self.limits.answers - writing
                written, left = self._open.take(room, self.limits.batch_tokens) if room > 0 else ([], [])
                for request in (*scored, *gone, *written, *left):
                    self._count(request, -1)
                if scored or written or writing:
                    return scored, written
                if self._closed or self._open:
                    continue  # all that was taken out had been given up
                if self._draining:
                    return None
                if alone := self._take_aside():
                    return ([], alone) if alone[0].prepared.is_open else (alone, [])
                self._changed.wait()

    def drain(self) -> None:
        """Take nothing new; what waits is still answered."""
        with self._changed:
            self._draining = True
            self._changed.notify()

    def answered(self, tokens: int, seconds: float) -> None:
        """Note how long the model took for a number of prompt tokens."""
        if seconds > 0:
            pace = tokens / seconds
            self._pace = pace if not self._pace else 0.8 * self._pace + 0.2 * pace

    def seconds_left(self) -> int:
        """Return in how many seconds what waits will have been answered, at least 1, by the pace so far."""
        return max(1, round(self.tokens / self._pace)) if self._pace else 1
