"""What the service tells Prometheus: answers, waiting, batches, refusals, and how fresh the bank's rows are.

Several processes on one port share a folder that `METRICS_FOLDER` names, as prometheus-client has it: each
writes its figures there, and whichever is asked tells the sum of all.
"""

import os
import threading
from collections import Counter as Counted
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction
from promptbank.problems import EXPECTED, problem_of
from promptbank.service.queue import QueuedRequest, RequestQueue
from promptbank.service.workers import METRICS_FOLDER

__all__ = ["ServiceMetrics"]

ROW = ("task", "lang", "version", "sha256")
MOST_TASKS = 200
"""Tasks with series of their own; those that are first asked for later share the label "other"."""
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64)
TOKENS = (64, 128, 256, 512, 1024, 2048, 4096)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
REFRESH_SECONDS = 1.0
"""Between two looks at what other processes tell of this one."""
OfSeveral = Literal["livesum", "livemax", "livemin"]
"""What all processes tell of a figure of each."""


class ServiceMetrics:
    """The metrics of one application, in a registry of its own.

    Args:
        queue: of the application.
        server: of the application.
    """

    def __init__(self, queue: RequestQueue, server: TaskServer) -> None:
        self._registry, self._queue, self._server = CollectorRegistry(), queue, server
        self._tasks: set[str] = set()
        self._well, self._counting = Counted[str](), threading.Lock()
        self._rows: set[tuple[str, ...]] = set()
        self._counted = {"hits": 0, "misses": 0}
        self._refreshing, self._stopped = threading.Lock(), threading.Event()
        self._answers = self._counter("requests", "Records answered.", "task", "outcome")
        self._refused = self._counter("rejected", "Requests refused as a whole.", "reason")
        self._kept = {
            name: self._counter(f"text_kv_{name}", f"Prompts: {name} of kept keys and values of what they begin with.")
            for name in ("hits", "misses")
        }
        self._waited = self._histogram("queue_seconds", "Time a record waited for its turn.", SECONDS)
        self._computed = self._histogram("inference_seconds", "Time of the model for one batch.", SECONDS)
        self._sizes = self._histogram("batch_records", "Records of a batch.", SIZES)
        self._lengths = self._histogram("batch_tokens", "Padded prompt tokens of a batch.", TOKENS)
        self._padding = self._histogram("batch_pad_ratio", "Share of a batch's tokens that are padding.", SHARES)
        self._records = self._gauge("queue_records", "Records that wait.", "livesum")
        self._tokens = self._gauge("queue_tokens", "Prompt tokens that wait.", "livesum")
        self._resident = self._gauge("rows_resident", "Rows in memory, ready to answer.", "livemax")
        self._failed = self._gauge("rows_refused", "Rows that failed their check and do not answer.", "livemax")
        self._revision = self._gauge("bank_revision", "Revision of the bank when it last answered.", "livemin")
        self._stale = self._gauge("bank_stale_seconds", "Seconds since the bank answered, 0 while it does.", "livemax")
        self._row_info = self._gauge("row_info", "Rows that are ready to answer.", "livemax", *ROW)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"promptbank_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"promptbank_{name}", text, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, text: str, of_several: OfSeveral, *labels: str) -> Gauge:
        return Gauge(f"promptbank_{name}", text, labels, registry=self._registry, multiprocess_mode=of_several)

    def start(self) -> None:
        """Tell other processes the figures of this one from now on, if there are others."""
        if METRICS_FOLDER in os.environ:
            threading.Thread(target=self._refresh_often, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Tell them no more."""
        self._stopped.set()

    def _refresh_often(self) -> None:
        while not self._stopped.wait(REFRESH_SECONDS):
            self.refresh()

    def refresh(self) -> None:
        """Look at what is counted elsewhere: what waits, which rows are ready, and how fresh they are."""
        with self._refreshing:
            self._records.set(self._queue.records)
            self._tokens.set(self._queue.tokens)
            self._resident.set(self._server.resident)
            self._failed.set(len(self._server.refused))
            self._revision.set(self._server.revision)
            self._stale.set(self._server.stale_seconds)
            if found := self._server.leading:
                counts = {"hits": found.hits, "misses": found.misses}
                for name, count in counts.items():
                    self._kept[name].inc(count - self._counted[name])
                self._counted = counts
            self._tell_rows()

    def _tell_rows(self) -> None:
        ready = self._server.ready()[:MOST_TASKS]
        rows: set[tuple[str, ...]] = {
            (f"{one.taskname}:{one.lang}", one.lang, str(one.version), one.sha256[:12]) for one in ready
        }
        for gone in self._rows - rows:
            self._row_info.labels(*gone).set(0)  # which other processes see, since the folder forgets nothing
            self._row_info.remove(*gone)
        for row in rows - self._rows:
            self._row_info.labels(*row).set(1)
        self._rows = rows

    def text(self) -> bytes:
        """Return the metrics of this process, or the sum over all on its port, in Prometheus' text format."""
        self.refresh()
        if (folder := os.environ.get(METRICS_FOLDER)) is None:
            return generate_latest(self._registry)
        all_ = CollectorRegistry()
        MultiProcessCollector(all_, folder)  # type: ignore[no-untyped-call]
        return generate_latest(all_)

    def count(self, admitted: QueuedRequest | Exception) -> None:
        """Count a record by its task and its outcome: ok, abandoned, or the type of its problem."""
        if isinstance(admitted, QueuedRequest):
            task = ":".join(admitted.task)
            admitted.answer.add_done_callback(lambda answer: self._answered(task, answer))
        else:
            self._answers.labels("", _type(admitted)).inc()

    def answered(self) -> dict[str, int]:
        """Return how many records of each ``taskname:lang`` this process was asked and has answered well."""
        with self._counting:
            return dict(self._well)

    def _answered(self, task: str, answer: Future[Prediction]) -> None:
        failure = None if answer.cancelled() else answer.exception()
        outcome = "abandoned" if answer.cancelled() else _type(failure) if isinstance(failure, Exception) else "ok"
        self._answers.labels(self._label(task), outcome).inc()
        if outcome == "ok":
            with self._counting:
                self._well[task] += 1

    def refused(self, failure: Exception) -> None:
        """Count a request that was refused as a whole."""
        self._refused.labels(_type(failure)).inc()

    def batch(self, requests: Sequence[QueuedRequest], seconds: float) -> None:
        """Note a batch and how long the model took for it."""
        if not requests:
            return
        lengths = [one.prepared.tokens for one in requests]
        padded = len(lengths) * max(lengths)
        for one in requests:
            if not one.is_aside:
                self._waited.observe(one.waited)
        self._computed.observe(seconds)
        self._sizes.observe(len(lengths))
        self._lengths.observe(padded)
        self._padding.observe(1 - sum(lengths) / padded)

    def _label(self, task: str) -> str:
        if task not in self._tasks and len(self._tasks) >= MOST_TASKS:
            return "other"
        self._tasks.add(task)
        return task


def _type(failure: Exception) -> str:
    return problem_of(failure).type if isinstance(failure, EXPECTED) else "bug"
