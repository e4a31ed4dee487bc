"""What the service tells Prometheus: answers, waiting, batches, refusals, and how fresh the bank's rows are."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction
from promptbank.problems import EXPECTED, problem_of
from promptbank.service.queue import QueuedRequest, RequestQueue

__all__ = ["ServiceMetrics"]

ROW = ("task", "lang", "version", "sha256")
MOST_TASKS = 200
"""Tasks with series of their own; those that are first asked for later share the label "other"."""
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64)
TOKENS = (64, 128, 256, 512, 1024, 2048, 4096)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)


class ServiceMetrics:
    """The metrics of one application, in a registry of its own.

    Args:
        queue: of the application.
        server: of the application.
    """

    def __init__(self, queue: RequestQueue, server: TaskServer) -> None:
        self._registry = mine = CollectorRegistry()
        self._tasks: set[str] = set()
        self._answers = Counter("promptbank_requests", "Records answered.", ["task", "outcome"], registry=mine)
        self._refused = Counter("promptbank_rejected", "Requests refused as a whole.", ["reason"], registry=mine)
        self._waited = self._histogram("queue_seconds", "Time a record waited for its turn.", SECONDS)
        self._computed = self._histogram("inference_seconds", "Time of the model for one batch.", SECONDS)
        self._sizes = self._histogram("batch_records", "Records of a batch.", SIZES)
        self._tokens = self._histogram("batch_tokens", "Padded prompt tokens of a batch.", TOKENS)
        self._padding = self._histogram("batch_pad_ratio", "Share of a batch's tokens that are padding.", SHARES)
        for name, text, function in (
            ("queue_records", "Records that wait.", lambda: queue.records),
            ("queue_tokens", "Prompt tokens that wait.", lambda: queue.tokens),
            ("rows_resident", "Rows in memory, ready to answer.", lambda: server.resident),
            ("rows_refused", "Rows that failed their check and do not answer.", lambda: len(server.refused)),
            ("bank_revision", "Revision of the bank when it last answered.", lambda: server.revision),
            (
                "bank_stale_seconds",
                "Seconds since the bank answered, 0 while it does.",
                lambda: server.stale_seconds,
            ),
        ):
            Gauge(f"promptbank_{name}", text, registry=mine).set_function(function)
        mine.register(_OfServer(server))

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"promptbank_{name}", text, buckets=buckets, registry=self._registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def count(self, admitted: QueuedRequest | Exception) -> None:
        """Count a record by its task and its outcome: ok, abandoned, or the type of its problem."""
        if isinstance(admitted, QueuedRequest):
            task = ":".join(admitted.task)
            admitted.answer.add_done_callback(lambda answer: self._answered(task, answer))
        else:
            self._answers.labels("", _type(admitted)).inc()

    def _answered(self, task: str, answer: Future[Prediction]) -> None:
        failure = None if answer.cancelled() else answer.exception()
        outcome = "abandoned" if answer.cancelled() else _type(failure) if isinstance(failure, Exception) else "ok"
        self._answers.labels(self._label(task), outcome).inc()

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
            self._waited.observe(one.waited)
        self._computed.observe(seconds)
        self._sizes.observe(len(lengths))
        self._tokens.observe(padded)
        self._padding.observe(1 - sum(lengths) / padded)

    def _label(self, task: str) -> str:
        if task not in self._tasks and len(self._tasks) >= MOST_TASKS:
            return "other"
        self._tasks.add(task)
        return task


class _OfServer(Collector):
    """What the server counts itself: which rows are ready, and prompts that found what they begin with."""

    def __init__(self, server: TaskServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of this moment."""
        rows = GaugeMetricFamily("promptbank_row_info", "Rows that are ready to answer.", labels=ROW)
        for one in self._server.ready()[:MOST_TASKS]:
            rows.add_metric([f"{one.taskname}:{one.lang}", one.lang, str(one.version), one.sha256[:12]], 1)
        yield rows
        found = self._server.leading
        counts = {"hits": found.hits, "misses": found.misses} if found else {"hits": 0, "misses": 0}
        for name, count in counts.items():
            told = f"Prompts: {name} of kept keys and values of what they begin with."
            yield CounterMetricFamily(f"promptbank_text_kv_{name}", told, count)


def _type(failure: Exception) -> str:
    return problem_of(failure).type if isinstance(failure, EXPECTED) else "bug"
