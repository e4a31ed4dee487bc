"""The rows of a service: kept in memory, followed by polling, and answered from while the database is away.

A request never waits for the database for a task that is known. One that is not known is read at once, so a task that
another process froze is answered on its first request; what is not there is not looked up again for a second. When
``live`` moves, the old row answers until the new one is ready; one that fails its check never answers.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from promptbank.bank.listing import LIVE, RowListing
from promptbank.bank.select import select_info
from promptbank.bank.task_server import TaskServer
from promptbank.engine.leading import LeadingCache
from promptbank.engine.predictor import ServedTask
from promptbank.errors import (
    AmbiguousLanguageError,
    BackboneMismatchError,
    NotReadyError,
    PromptBankError,
    UnknownTaskError,
)
from promptbank.model.backbone import Backbone
from promptbank.service.canary import CANARY, Canaries
from promptbank.service.ready_rows import ReadyRows
from promptbank.service.request_ids import current_request_id
from store import ApiKey, RowInfo, Scope, Store, StoreError, StoreUnavailableError
from tasks import TaskCard, TaskError, TaskRef

__all__ = ["PollingTaskServer", "share_of"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
ABSENT_SECONDS = 1.0
"""For which a task that is not there is not looked up again."""
MOST_ABSENT = 1000
LEADING_BYTES = 256 * 2**20
"""Of keys and values of what prompts begin with; 36 kB a token for gemma-3-270m in float32."""
NOT_LISTED = (UnknownTaskError, AmbiguousLanguageError, BackboneMismatchError)
"""What a listing that is not the newest may be wrong about."""


class PollingTaskServer(TaskServer):
    """Answers from memory what it knows, and asks the database whether anything has changed.

    Args:
        store: the bank's store.
        backbone: float32.
        batch_tokens: padded tokens of one batch.
        poll_seconds: between two questions whether the bank has changed.
        read_seconds: most that a request waits for the database.
        least_agreement: see `Canaries`.
    """

    def __init__(
        self,
        store: Store,
        backbone: Backbone,
        *,
        batch_tokens: int = 4096,
        poll_seconds: float = 1.0,
        read_seconds: float = 5.0,
        least_agreement: float = 0.0,
    ) -> None:
        super().__init__(store, backbone, batch_tokens=batch_tokens)
        self._poll_seconds, self._read_seconds = poll_seconds, read_seconds
        self.predictor.leading = LeadingCache(LEADING_BYTES)
        self._rows = ReadyRows(store, backbone, self.predictor.lm)
        self._bank = self._listing = RowListing()  # as the bank has it; with `live` as it is honoured here
        self._honoured: dict[Scope, int] = {}
        self._absent: dict[tuple[TaskRef, str | None], float] = {}
        self._canaries = Canaries(backbone.fingerprint, least_agreement, self._give_back)
        self._compared: dict[Scope, RowInfo] = {}  # the live rows beside them
        self._api_keys: list[ApiKey] = []
        self._reader, self._preparer = ThreadPoolExecutor(1, "bank"), ThreadPoolExecutor(1, "rows")
        self._late: Future[Any] | None = None
        self._checking: RowInfo | None = None
        self._preparing: Future[None] | None = None
        self._stopped, self._asking = threading.Event(), threading.Lock()
        self._polled_at = time.monotonic()
        self._poller = threading.Thread(target=self._follow, name="poll", daemon=True)

    def start(self) -> None:
        """Ask the bank once, and go on asking until `stop`.

        Raises:
            StoreError: the bank cannot be reached.
        """
        self._ask()
        self._poller.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        for executor in (self._reader, self._preparer):
            executor.shutdown(wait=False, cancel_futures=True)

    @property
    def resident(self) -> int:
        """Rows in memory, ready to answer."""
        return len(self._rows)

    def ready(self) -> list[ServedTask]:
        """Return the rows in memory, ready to answer."""
        return self._rows.all()

    @property
    def refused(self) -> dict[str, str]:
        """What is wrong with each row that was refused or gets no more requests, by its reference."""
        return self._rows.refused | self._canaries.told

    @property
    def stale_seconds(self) -> float:
        """Seconds since the bank last answered, 0 while it answers each time."""
        since = time.monotonic() - self._polled_at
        return since if since > 2 * self._poll_seconds + 1 else 0.0

    def known_revision(self) -> int:
        """Return the revision at the last poll, without asking the bank."""
        return self.revision

    def api_keys(self) -> list[ApiKey]:
        """Return the API keys at the last poll, without asking the bank."""
        return self._api_keys

    def poll(self) -> None:
        """Ask the bank whether anything has changed, and make the rows ready that `live` has moved to."""
        self._follow_bank()
        self._prepare()

    def follow(self) -> None:
        """See what was changed just now; it does not wait for the next poll."""
        self.poll()

    def refresh(self) -> None:
        """Do nothing: `poll` follows the bank."""

    def listing(self, _taskname: str | None = None) -> RowListing:
        """Return what rows there are, without asking the bank."""
        return self._listing

    def card(self, info: RowInfo) -> TaskCard:
        """Return the card of a row, from memory if it was read before.

        Raises:
            StoreError: the bank cannot be reached, or the row is damaged.
            TaskError: the card is faulty.
        """
        return self._rows.card(info) or self._read(lambda: self._rows.read_card(info))

    def kept(self, ref: TaskRef, lang: str | None) -> ServedTask:
        """Return a row from memory, or make it ready, for which the request waits a while at most.

        Raises:
            PromptBankError: unknown, ambiguous, of another backbone, or refused.
            NotReadyError: the model still checks it, or another row before it.
            StoreUnavailableError: it is not known and the bank does not answer.
        """
        draw = share_of(current_request_id())
        info = self.found(
            lambda all_: select_info(all_, ref, self.backbone, lang=lang, may_fall_back=True, draw=draw), (ref, lang)
        )
        task = self._rows.get(info) or self._read(lambda: self._rows.prepare(info, partial(self._check, info)))
        if ref.version is None and LIVE in info.aliases:
            self._honoured[info.scope] = info.version
        return task

    def found(self, pick: Callable[[RowListing], T], key: tuple[TaskRef, str | None]) -> T:
        """Look something up in the listing, and once more in the bank's if it is not there."""
        try:
            return pick(self._listing)
        except NOT_LISTED:
            if time.monotonic() - self._absent.get(key, -ABSENT_SECONDS) < ABSENT_SECONDS:
                raise
        self._read(self._ask)
        try:
            return pick(self._listing)
        except NOT_LISTED:
            if len(self._absent) >= MOST_ABSENT:
                self._absent.clear()
            self._absent[key] = time.monotonic()
            raise

    def _ask(self) -> None:
        """Read the listing again if the bank has changed."""
        with self._asking:
            replaced = self.store.reconnect_if_replaced()
            revision = self.store.revision()
            if replaced:
                self._rows.clear()
                self._honoured.clear()
                self._canaries.returned.clear()
            if replaced or revision != self.revision:
                bank, self._api_keys = RowListing.of(self.store), self.store.keys.list()
                self._bank, self.revision = bank, revision
                self._canaries.follow(bank.infos)
                self._absent.clear()
                self._honour()
            self._polled_at = time.monotonic()

    def _honour(self) -> None:
        """Let ``live`` stay where it was honoured, for the scopes in which the new row is not ready."""
        awaited = {info.scope for info in self._awaited()}
        for info in self._bank.live(self.backbone.fingerprint):
            if info.scope in self._honoured and info.scope not in awaited:
                self._honoured[info.scope] = info.version
        shares, returned = self._canaries.by_scope, self._canaries.returned
        without = {info.row_id for info in shares.values() if self._rows.get(info) is None or info.row_id in returned}
        self._listing = self._bank.with_live({scope: self._honoured[scope] for scope in awaited}, without)
        live = self._listing.live(self.backbone.fingerprint) if shares else []
        self._compared = {info.scope: info for info in live if info.scope in shares}

    def _awaited(self) -> list[RowInfo]:
        """Return the live rows that are not honoured yet, of tasks of which another version is."""
        live = self._bank.live(self.backbone.fingerprint)
        known = [info for info in live if info.version != self._honoured.get(info.scope, info.version)]
        return [info for info in known if self._rows.get(info) is None]

    def answered(self, task: ServedTask, error: BaseException | None) -> None:
        """Count an answer of a task with a canary, and give its share back when it falls behind."""
        live = self._honoured.get(Scope(task.taskname, task.lang, self.backbone.fingerprint))
        self._canaries.answered(task, live, error)

    def compared_with(self, task: ServedTask) -> ServedTask | None:
        """Return the live row, ready to answer, of a task that a canary answers."""
        if not self._canaries.is_compared(task):
            return None
        live = self._compared.get(Scope(task.taskname, task.lang, self.backbone.fingerprint))
        return None if live is None or live.version == task.version else self._rows.get(live)

    def compared(self, task: ServedTask, other: ServedTask, *, agrees: bool) -> None:
        """Count whether a canary agrees with the live version, and give its share back when it does so too seldom."""
        self._canaries.compared(task, other, agrees=agrees)

    def _give_back(self, canary: RowInfo, why: str) -> None:
        with suppress(RuntimeError):  # stopped meanwhile
            self._preparer.submit(self._return, canary, why)

    def _return(self, canary: RowInfo, why: str) -> None:
        logger.error("%s@%d gets no more requests: %s", canary.scope, canary.version, why)
        self._honour()
        try:
            self.store.aliases.retire(canary.scope, CANARY, reason=f"returned by itself: {why}")
        except StoreError as exc:
            logger.warning("the alias %s of %s stays in the bank: %s", CANARY, canary.scope, exc)

    def _prepare(self) -> None:
        """Make the awaited rows ready, and read the cards of all live rows, which lists tell of."""
        try:
            beside = [*self._canaries.by_scope.values(), *self._compared.values()]
            for info in (*self._awaited(), *(info for info in beside if self._rows.get(info) is None)):
                with _refusal_told():
                    self._rows.prepare(info, partial(self._check, info))
                self._honour()
            for info in self._listing.live(self.backbone.fingerprint):
                with _refusal_told():
                    if self._rows.card(info) is None and not self._stopped.is_set():
                        self._rows.read_card(info)
        except StoreUnavailableError as exc:
            logger.warning("rows are made ready later: %s", exc)

    def _read(self, work: Callable[[], T]) -> T:
        """Do something on the bank's own thread, which may hang without holding up anyone else."""
        if self._late is None or self._late.done():
            reading = self._reader.submit(work)
            try:
                return reading.result(self._read_seconds)
            except TimeoutError:
                self._late = reading
        if (row := self._checking) is not None:
            raise NotReadyError(f"{row.scope.taskname}:{row.scope.lang}@{row.version} is being checked; ask again")
        raise StoreUnavailableError("the bank does not answer; known tasks are answered")

    def _check(self, info: RowInfo, work: Callable[[], str | None]) -> str | None:
        """Have the model check a row, one at a time (`ReadyRows`); requests that it keeps waiting are told of it."""
        self._checking = info
        try:
            return self.compute(work)
        finally:
            self._checking = None

    def _follow_bank(self) -> None:
        try:
            self._ask()
        except StoreError as exc:
            if not self.stale_seconds:
                logger.warning("the bank cannot be reached (%s); known tasks are answered from memory", exc)

    def _follow(self) -> None:
        while True:
            if self._preparing is None or self._preparing.done():
                with suppress(RuntimeError):  # stopped meanwhile
                    self._preparing = self._preparer.submit(self._prepare)
            if self._stopped.wait(self._poll_seconds):
                return
            self._follow_bank()


def share_of(request_id: str) -> float:
    """Return a number from 0 to 1 that stands for a request, the same in every process; 1 for none."""
    return int(hashlib.sha256(request_id.encode()).hexdigest()[:13], 16) / 16**13 if request_id else 1.0


@contextmanager
def _refusal_told() -> Iterator[None]:
    """Go on after a row that is not sound: `ReadyRows` has told."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except (PromptBankError, TaskError, StoreError):
        pass
