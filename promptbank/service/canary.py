"""Whether a row that gets a share of the requests fails more often than the live one."""

import math
from collections import defaultdict

from promptbank.errors import OverloadError
from promptbank.service.problem_answers import problem_behind
from store import Scope

__all__ = ["CanaryWatch", "is_failure"]

LEAST_ANSWERS = 20
Z = 1.645
"""Of one-sided bounds with 95 % confidence."""


class CanaryWatch:
    """Counts answers and failures of versions in this process."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[Scope, int], list[int]] = defaultdict(lambda: [0, 0])  # answers, failures

    def note(self, scope: Scope, version: int, *, failed: bool) -> None:
        """Count one answer."""
        counts = self._counts[scope, version]
        counts[0] += 1
        counts[1] += failed

    def behind(self, scope: Scope, canary: int, live: int | None) -> str:
        """Say how a version falls behind the live one; empty while it does not.

        It does when the lower bound of its share of failures (Wilson 1927) is above the upper bound of the live
        version's, or above a half where that has answered nothing.
        """
        answers, failures = self._counts[scope, canary]
        others, failed = self._counts[scope, live] if live is not None else (0, 0)
        above = _bounds(others, failed)[1] if others else 0.5
        if answers < LEAST_ANSWERS or _bounds(answers, failures)[0] <= above:
            return ""
        return f"{failures} of its {answers} answers failed, of the live version's {failed} of {others}"


def is_failure(error: BaseException | None) -> bool:
    """Whether an answer's error is the row's or the service's fault; that there is no time for it is not."""
    return isinstance(error, Exception) and not isinstance(error, OverloadError) and problem_behind(error).status >= 500


def _bounds(n: int, k: int) -> tuple[float, float]:
    """Return Wilson's lower and upper bound of a share of which k of n were seen."""
    centre, spread = k + Z * Z / 2, Z * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return (centre - spread) / (n + Z * Z), (centre + spread) / (n + Z * Z)
