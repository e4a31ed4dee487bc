"""Quotas of API keys: records and prompt tokens in a minute, counted in this process.

The counts are those of the sliding window counter of the package `limits`: the minute before the present one counts by
the part of it that lies within the last 60 seconds.
"""

import math
import time
from functools import cached_property

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from promptbank.errors import BodyTooLargeError, QuotaError
from store import ApiKey

__all__ = ["KeyQuotas"]


class KeyQuotas:
    """What each key has used up; a key without quotas may ask as much as it likes."""

    @cached_property
    def _used(self) -> SlidingWindowCounterRateLimiter:
        return SlidingWindowCounterRateLimiter(MemoryStorage())  # starts a timer, so it is made when there is a quota

    def check(self, key: ApiKey | None, records: int, tokens: int) -> None:
        """Refuse a request that is over a quota of its key; nothing is used up by that.

        Raises:
            BodyTooLargeError: it is larger than a minute's quota, so it never fits.
            QuotaError: it fits later.
        """
        for what, item, cost in _asked(key, records, tokens):
            if cost > item.amount:
                raise BodyTooLargeError(
                    f"the request has {cost} {what}, and its API key may ask {item.amount} a minute; ask in parts"
                )
            if not self._used.test(item, what, _name(key), cost=cost):
                left = self._used.get_window_stats(item, what, _name(key))
                raise QuotaError(
                    f"the API key may ask {item.amount} {what} a minute, of which {left.remaining} are left, and the "
                    f"request has {cost}",
                    max(1, math.ceil(left.reset_time - time.time())),
                )

    def use(self, key: ApiKey | None, records: int, tokens: int) -> None:
        """Count a request that was taken."""
        for what, item, cost in _asked(key, records, tokens):
            self._used.hit(item, what, _name(key), cost=cost)


def _asked(key: ApiKey | None, records: int, tokens: int) -> list[tuple[str, RateLimitItem, int]]:
    if key is None:
        return []
    quotas = (("records", key.records_per_minute, records), ("tokens", key.tokens_per_minute, tokens))
    return [(what, RateLimitItemPerMinute(most), cost) for what, most, cost in quotas if most is not None and cost]


def _name(key: ApiKey | None) -> str:
    return key.name if key else ""
