"""Rows in memory that are ready to answer: each was read, checked as a whole, and still answers its probes.

Rows are named by scope, version and sha256, so what answers can never be the row of another bank, or of another
version under the same name.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from promptbank.bank.precision import check_precision
from promptbank.bank.probes import probe_fault
from promptbank.bank.served import served_task
from promptbank.engine.predictor import ServedTask
from promptbank.errors import OverloadError, ProbeMismatchError, PromptBankError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from store import RowInfo, Scope, Store, StoreError, StoreUnavailableError
from tasks import TaskCard, TaskError, parse_card

__all__ = ["ReadyRows"]

logger = logging.getLogger(__name__)

REFUSED_SECONDS = 60.0
"""For which a row that failed is not tried again."""

RowKey = tuple[Scope, int, str]


class ReadyRows:
    """Rows of one bank and one backbone.

    Args:
        store: the bank's store.
        backbone: whose rows they are.
        lm: its forward passes, whose number format decides which rows are served (`check_precision`).
    """

    def __init__(self, store: Store, backbone: Backbone, lm: LanguageModel) -> None:
        self._store, self._backbone, self._lm = store, backbone, lm
        self._tasks: dict[RowKey, ServedTask] = {}
        self._cards: dict[RowKey, TaskCard] = {}
        self._refused: dict[RowKey, tuple[float, Exception]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def refused(self) -> dict[str, str]:
        """What is wrong with each row that was refused, by its reference."""
        return {f"{s.taskname}:{s.lang}@{v}": str(why) for (s, v, _), (_, why) in list(self._refused.items())}

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            for kept in (self._tasks, self._cards, self._refused):
                kept.clear()

    def all(self) -> list[ServedTask]:
        """Return all rows that are ready."""
        return list(self._tasks.values())

    def get(self, info: RowInfo) -> ServedTask | None:
        """Return a row if it is ready."""
        return self._tasks.get(_key(info))

    def prepare(self, info: RowInfo, compute: Callable[[Callable[[], str | None]], str | None]) -> ServedTask:
        """Read a row and have its probes answered; whoever asks meanwhile waits for the same.

        Args:
            info: names the row.
            compute: runs work of the model.

        Raises:
            PrecisionError: it was not measured in the number format at hand, or answers worse in it.
            ProbeMismatchError: it does not answer as when it was frozen.
            PromptBankError: see `served_task`; also as TaskError or StoreError.
        """
        with self._lock:
            if (ready := self._tasks.get(_key(info))) is not None:
                return ready
            with self._refusing(info):
                return self._prepared(info, compute)

    @contextmanager
    def _refusing(self, info: RowInfo) -> Iterator[None]:
        """Remember for a while that a row is not sound; that the bank or the model has no time says nothing of it."""
        at, why = self._refused.get(_key(info), (0.0, None))
        if why is not None and time.monotonic() - at < REFUSED_SECONDS:
            raise why.with_traceback(None)
        try:
            yield
        except (StoreUnavailableError, OverloadError):
            raise
        except (PromptBankError, TaskError, StoreError) as exc:
            self._refused[_key(info)] = (time.monotonic(), exc)
            logger.error("%s@%d is refused: %s", info.scope, info.version, exc)
            raise

    def _prepared(self, info: RowInfo, compute: Callable[[Callable[[], str | None]], str | None]) -> ServedTask:
        row = self._store.rows.get(info.scope, info.version)
        task = served_task(row, row.version, self._backbone)
        if (dtype := str(self._lm.dtype).removeprefix("torch.")) != "float32":
            check_precision(self._store.evaluations.of(row.row_id), info.scope, info.version, dtype)
        if fault := compute(lambda: probe_fault(self._lm, task, row)):
            raise ProbeMismatchError(f"{info.scope.taskname}:{info.scope.lang}@{info.version}: {fault}")
        self._refused.pop(_key(info), None)
        self._tasks[_key(info)] = task
        return task

    def card(self, info: RowInfo) -> TaskCard | None:
        """Return the card of a row that was read before."""
        task = self.get(info)
        return task.renderer.card if task else self._cards.get(_key(info))

    def read_card(self, info: RowInfo) -> TaskCard:
        """Read the card of a row that need not be ready.

        Raises:
            StoreError: the bank cannot be reached, or the row is damaged.
            TaskError: the card is faulty.
        """
        with self._refusing(info):
            row = self._store.rows.get(info.scope, info.version)
            card = self._cards[_key(info)] = parse_card(json.loads(row.card_json))
        return card


def _key(info: RowInfo) -> RowKey:
    return info.scope, info.version, info.sha256
