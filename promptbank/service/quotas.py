"""Quotas of API keys: records and prompt tokens in a minute, counted in the bank for all processes that share it.

The counts are those of the sliding window counter of the package `limits`: the minute before the present one counts by
the part of it that lies within the last 60 seconds. While the bank does not answer, each process counts by itself.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.storage.base import TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter

from promptbank.errors import BodyTooLargeError, QuotaError
from promptbank.service.quota_storage import MINUTE, QuotaStorage
from store import ApiKey, QuotaRepository, StoreError

__all__ = ["KeyQuotas"]

logger = logging.getLogger(__name__)

BANK_SECONDS = 1.0
"""That a request waits for the bank to count it."""


@dataclass(frozen=True)
class _Asked:
    """What a request asks of one quota of its key."""

    what: str
    item: RateLimitItem
    key: str
    cost: int


class KeyQuotas:
    """What each key has used up; a key without quotas may ask as much as it likes.

    Args:
        quotas: of the bank that other processes count in too.
        seconds: that a request waits for the bank.
    """

    def __init__(self, quotas: QuotaRepository, seconds: float = BANK_SECONDS) -> None:
        self._shared = SlidingWindowCounterRateLimiter(QuotaStorage(quotas))
        self._seconds = seconds
        self._late: Future[None] | None = None
        self._away = False

    @cached_property
    def _own(self) -> SlidingWindowCounterRateLimiter:
        return SlidingWindowCounterRateLimiter(MemoryStorage())  # starts a timer, so it is made when there is a quota

    @cached_property
    def _bank(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "quotas")

    @contextmanager
    def taken(self, key: ApiKey | None, records: int, tokens: int) -> Iterator[None]:
        """Count a request for the length of the block, and for good if that ends without an error.

        Raises:
            BodyTooLargeError: it is larger than a minute's quota, so it never fits.
            QuotaError: it fits later; nothing was counted.
        """
        asked = _asked(key, records, tokens)
        if not asked:
            yield
            return
        at, answered = time.time(), Future[QuotaError | None]()
        is_shared = self._in_bank(lambda: answered.set_result(_refusal(self._shared, asked)))
        if refusal := answered.result() if is_shared else _refusal(self._own, asked):
            raise refusal
        try:
            yield
        except BaseException:
            if is_shared:
                self._in_bank(lambda: _give_back(self._shared, asked, at))
            else:
                _give_back(self._own, asked, at)
            raise
        if is_shared:
            _refusal(self._own, asked)  # so that the count goes on here when the bank goes away

    def _in_bank(self, work: Callable[[], None]) -> bool:
        """Do something with the bank's counts, on a thread of their own, since it may hang; say whether it was done."""
        if self._late is not None and not self._late.done():
            return False
        counting = self._bank.submit(work)
        try:
            counting.result(self._seconds)
        except (TimeoutError, StoreError) as exc:
            self._late = counting
            if not self._away:
                logger.warning("quotas are counted by this process alone, since the bank does not answer: %s", exc)
            self._away = True
            return False
        self._away = False
        return True


def _asked(key: ApiKey | None, records: int, tokens: int) -> list[_Asked]:
    if key is None:
        return []
    quotas = (("records", key.records_per_minute, records), ("tokens", key.tokens_per_minute, tokens))
    asked = [
        _Asked(what, RateLimitItemPerMinute(most), key.name, cost)
        for what, most, cost in quotas
        if most is not None and cost
    ]
    for one in asked:
        if one.cost > one.item.amount:
            raise BodyTooLargeError(
                f"the request has {one.cost} {one.what}, and its API key may ask {one.item.amount} a minute; "
                "ask in parts"
            )
    return asked


def _refusal(limiter: SlidingWindowCounterRateLimiter, asked: list[_Asked]) -> QuotaError | None:
    """Count a request; where there is no room, count nothing and return why."""
    at = time.time()
    for n, one in enumerate(asked):
        if not limiter.hit(one.item, one.what, one.key, cost=one.cost):
            _give_back(limiter, asked[:n], at)
            left = limiter.get_window_stats(one.item, one.what, one.key)
            return QuotaError(
                f"the API key may ask {one.item.amount} {one.what} a minute, of which {left.remaining} are left, and "
                f"the request has {one.cost}",
                _seconds_until_room(limiter, one),
            )
    return None


def _give_back(limiter: SlidingWindowCounterRateLimiter, asked: list[_Asked], at: float) -> None:
    for one in asked:
        limiter.storage.incr(_windows(one, at)[1], 2 * MINUTE, -one.cost)


def _seconds_until_room(limiter: SlidingWindowCounterRateLimiter, one: _Asked) -> int:
    """Return after how many seconds a request fits, if nothing else is asked meanwhile."""
    before, current = map(limiter.storage.get, _windows(one, time.time()))
    left = MINUTE - time.time() % MINUTE
    room = one.item.amount - one.cost + 1  # what counts must be less than this
    if current < room:
        equal = left - MINUTE * (room - current) / before if before else 0.0
    else:
        equal = left + MINUTE * (1 - room / current)
    return max(1, math.floor(equal) + 1)


def _windows(one: _Asked, at: float) -> tuple[str, str]:
    """Name the minute before and the one of a time, as the storages do."""
    return TimestampedSlidingWindow.sliding_window_keys(one.item.key_for(one.what, one.key), MINUTE, at)
