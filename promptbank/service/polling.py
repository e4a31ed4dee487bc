"""The rows of a service: kept in memory, followed by polling, and answered from while the database is away.

A request never waits for the database for a task that is known. One that is not known is read at once, so a task that
another process froze is answered on its first request; what is not there is not looked up again for a second.
"""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import ServedTask
from promptbank.errors import PromptBankError
from promptbank.model.backbone import Backbone
from store import ApiKey, Store, StoreError, StoreUnavailableError
from tasks import TaskError, TaskRef

__all__ = ["PollingTaskServer"]

logger = logging.getLogger(__name__)

Key = tuple[TaskRef, str | None]
ABSENT_SECONDS = 1.0
"""For which a task that is not there is not looked up again."""
MOST_ABSENT = 1000


class PollingTaskServer(TaskServer):
    """Answers from memory what it knows, and asks the database whether anything has changed.

    Args:
        store: the bank's store.
        backbone: float32.
        batch_tokens: padded tokens of one batch.
        poll_seconds: between two questions whether the bank has changed.
        read_seconds: most that a request waits for the database.
    """

    def __init__(
        self,
        store: Store,
        backbone: Backbone,
        *,
        batch_tokens: int = 4096,
        poll_seconds: float = 1.0,
        read_seconds: float = 5.0,
    ) -> None:
        super().__init__(store, backbone, batch_tokens=batch_tokens)
        self._poll_seconds, self._read_seconds = poll_seconds, read_seconds
        self._read_at: dict[Key, int] = {}  # the revision at which each kept row was read
        self._absent: dict[Key, tuple[float, Exception]] = {}
        self._reader = ThreadPoolExecutor(1, "bank")
        self._reading: Future[ServedTask] | None = None
        self._api_keys: list[ApiKey] = []
        self._stopped = threading.Event()
        self._polled_at = time.monotonic()
        self._poller = threading.Thread(target=self._follow, name="poll", daemon=True)

    def start(self) -> None:
        """Ask the bank once, and go on asking until `stop`.

        Raises:
            StoreError: the bank cannot be reached.
        """
        self.store.reconnect_if_replaced()
        self.revision, self._api_keys = self.store.revision(), self.store.keys.list()
        self._polled_at = time.monotonic()
        self._poller.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        self._reader.shutdown(wait=False, cancel_futures=True)

    @property
    def stale_seconds(self) -> float:
        """Seconds since the bank last answered, 0 while it answers each time."""
        since = time.monotonic() - self._polled_at
        return since if since > 2 * self._poll_seconds + 1 else 0.0

    def known_revision(self) -> int:
        """Return the revision at the last poll, without asking the bank."""
        return self.revision

    def poll(self) -> None:
        """Ask the bank whether anything has changed; rows are then read again when they are next asked for."""
        try:
            replaced = self.store.reconnect_if_replaced()
            revision = self.store.revision()
            if replaced or revision != self.revision:
                self._api_keys = self.store.keys.list()
        except StoreError as exc:
            if not self.stale_seconds:
                logger.warning("the bank cannot be reached (%s); known tasks are answered from memory", exc)
            return
        if replaced:
            self._read_at.clear()
        if replaced or revision != self.revision:
            self._absent.clear()
        self.revision = revision
        self._polled_at = time.monotonic()

    def api_keys(self) -> list[ApiKey]:
        """Return the API keys at the last poll, without asking the bank."""
        return self._api_keys

    def refresh(self) -> None:
        """Do nothing: `poll` follows the bank."""

    def kept(self, ref: TaskRef, lang: str | None) -> ServedTask:
        """Return a row from memory if nothing has changed since it was read; else read it, at most so long.

        Raises:
            PromptBankError: unknown, ambiguous, or of another backbone.
            StoreUnavailableError: it is not known and the bank does not answer.
        """
        key = self.key(ref, lang)
        revision, known = self.revision, self._tasks.get(key)
        if known is not None and self._read_at.get(key) == revision:
            return known
        at, absent = self._absent.get(key, (0.0, None))
        if absent is not None and time.monotonic() - at < ABSENT_SECONDS:
            raise absent
        try:
            found = self._read(ref, lang)
        except StoreUnavailableError:
            if known is None:
                raise
            return known
        except (PromptBankError, TaskError, StoreError) as exc:
            self._forget(key, exc)
            raise
        self._tasks[key], self._read_at[key] = found, revision
        return found

    def _forget(self, key: Key, why: Exception) -> None:
        self._tasks.pop(key, None)
        if len(self._absent) >= MOST_ABSENT:
            self._absent.clear()
        self._absent[key] = (time.monotonic(), why)

    def _read(self, ref: TaskRef, lang: str | None) -> ServedTask:
        """Read a row on the bank's own thread, which may hang without holding up anyone else."""
        if self._reading is None or self._reading.done():
            self._reading = self._reader.submit(self.selected, ref, lang)
            try:
                return self._reading.result(self._read_seconds)
            except TimeoutError:
                pass
        raise StoreUnavailableError("the bank does not answer; tasks that were asked for before are still answered")

    def _follow(self) -> None:
        while not self._stopped.wait(self._poll_seconds):
            self.poll()
