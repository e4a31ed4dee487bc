"""A storage of the package `limits` that counts in the bank, which all processes of a service share.

`limits` comes with storages for Redis, Memcached and MongoDB; a service has PostgreSQL or a SQLite file.
"""

import math
import time
from datetime import UTC, datetime, timedelta

from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport, TimestampedSlidingWindow

from store import QuotaRepository, StoreError

__all__ = ["MINUTE", "QuotaStorage"]

MINUTE = 60


class QuotaStorage(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Keeps the counts of `limits` in a bank.

    Args:
        quotas: of the bank.
    """

    STORAGE_SCHEME = None

    def __init__(self, quotas: QuotaRepository) -> None:
        super().__init__()
        self._quotas = quotas

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a call may raise."""
        return StoreError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count an amount if there is room for it, whatever other processes count at the same moment."""
        now = time.time()
        last, this = self.sliding_window_keys(key, expiry, now)
        (before,) = self._quotas.used([last])
        most = limit - math.floor(before * (1 - (now / expiry) % 1))
        return self._quotas.use(this, amount, most, datetime.fromtimestamp(now, UTC), timedelta(seconds=2 * expiry))

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return count and seconds left of the minute before and of this one."""
        now = time.time()
        before, current = self._quotas.used(self.sliding_window_keys(key, expiry, now))
        left = (1 - (now / expiry) % 1) * expiry
        return before, left if before else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget both minutes."""
        for window in self.sliding_window_keys(key, expiry, time.time()):
            self.clear(window)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count an amount in a window, whatever there is room for; below 0 gives back."""
        now = datetime.fromtimestamp(time.time(), UTC)
        self._quotas.use(key, amount, 2**62, now, timedelta(seconds=expiry))
        return self.get(key)

    def get(self, key: str) -> int:
        """Return the count of a window."""
        return self._quotas.used([key])[0]

    def get_expiry(self, key: str) -> float:  # noqa: ARG002 - windows are named by their time
        """Return now: a window's own end is not asked for by this strategy."""
        return time.time()

    def check(self) -> bool:
        """Say whether the bank answers."""
        self._quotas.used([""])
        return True

    def reset(self) -> int | None:
        """Do nothing: counts are forgotten when they are old."""
        return None

    def clear(self, key: str) -> None:
        """Forget the count of a window."""
        self.incr(key, MINUTE, -self.get(key))
