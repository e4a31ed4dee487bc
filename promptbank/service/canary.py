"""Whether a row that gets a share of the requests fails more often than the live one, or answers otherwise."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

from promptbank.engine.predictor import Prediction, ServedTask
from promptbank.errors import OverloadError
from promptbank.service.problem_answers import problem_behind
from store import RowInfo, Scope

__all__ = ["CANARY", "Canaries", "CanaryWatch", "agree", "is_failure"]

CANARY = "canary"
"""The alias that can have a share of the requests."""
LEAST_ANSWERS = 20
Z = 1.645
"""Of one-sided bounds with 95 % confidence."""


class Canaries:
    """The rows of one backbone that have a share of the requests, until one falls behind the live version.

    Args:
        fingerprint: of the backbone.
        least_agreement: from 0 to 1; a canary that agrees less often with the live version is given back. 0: never.
        give_back: is told a row that gets no more requests, and why.

    Attributes:
        by_scope: those rows.
        returned: rows that get no more requests and why, by row id.
    """

    def __init__(self, fingerprint: str, least_agreement: float, give_back: Callable[[RowInfo, str], None]) -> None:
        self._fingerprint, self._least, self._give_back = fingerprint, least_agreement, give_back
        self._watch = CanaryWatch()
        self.by_scope: dict[Scope, RowInfo] = {}
        self.returned: dict[int, tuple[RowInfo, str]] = {}

    def follow(self, infos: Iterable[RowInfo]) -> None:
        """Take over which rows of the bank have a share."""
        self.by_scope = {i.scope: i for i in infos if i.share and i.scope.fingerprint == self._fingerprint}

    @property
    def told(self) -> dict[str, str]:
        """Why rows get no more requests, by their reference."""
        return {f"{i.scope.taskname}:{i.scope.lang}@{i.version}": why for i, why in list(self.returned.values())}

    def of(self, task: ServedTask) -> RowInfo | None:
        """Return the row that has a share of a task's requests, the task's own or another."""
        info = self.by_scope.get(Scope(task.taskname, task.lang, self._fingerprint))
        return None if info is None or info.row_id in self.returned else info

    def is_compared(self, task: ServedTask) -> bool:
        """Whether the row's answers are compared with the live version's."""
        info = self.of(task)
        return bool(self._least) and info is not None and info.version == task.version

    def answered(self, task: ServedTask, live: int | None, error: BaseException | None) -> None:
        """Count an answer of a task with a canary, and give its share back when it falls behind."""
        if (info := self.of(task)) is not None:
            self._watch.note(info.scope, task.version, failed=is_failure(error))
            self._judge(info, self._watch.behind(info.scope, info.version, live))

    def compared(self, task: ServedTask, live: ServedTask, *, agrees: bool) -> None:
        """Count an answer of a canary and the live version's to the same record."""
        info = self.of(task)
        if info is not None and info.version == task.version:
            self._watch.compare(info.scope, (task.version, live.version), agrees=agrees)
            self._judge(info, self._watch.apart(info.scope, (task.version, live.version), self._least))

    def _judge(self, info: RowInfo, why: str) -> None:
        if why:
            self.returned[info.row_id] = (info, why)
            self._give_back(info, why)


class CanaryWatch:
    """Counts answers, failures and agreements of versions in this process."""

    def __init__(self) -> None:
        self._pairs: defaultdict[tuple[Scope, tuple[int, int]], list[int]] = defaultdict(lambda: [0, 0])
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

    def compare(self, scope: Scope, versions: tuple[int, int], *, agrees: bool) -> None:
        """Count one record that two versions answered."""
        counts = self._pairs[scope, versions]
        counts[0] += 1
        counts[1] += agrees

    def apart(self, scope: Scope, versions: tuple[int, int], least: float) -> str:
        """Say how two versions disagree; empty while the upper bound of their agreement is not below the least."""
        answers, agreed = self._pairs[scope, versions]
        if answers < LEAST_ANSWERS or _bounds(answers, agreed)[1] >= least:
            return ""
        return f"{agreed} of {answers} answers agree with the live version's, and {least:.0%} should"


def agree(one: Prediction, other: Prediction) -> bool:
    """Whether two answers to one record say the same: the label, or the text of an open answer."""
    return (one.label, one.text) == (other.label, other.text)


def is_failure(error: BaseException | None) -> bool:
    """Whether an answer's error is the row's or the service's fault; that there is no time for it is not."""
    return isinstance(error, Exception) and not isinstance(error, OverloadError) and problem_behind(error).status >= 500


def _bounds(n: int, k: int) -> tuple[float, float]:
    """Return Wilson's lower and upper bound of a share of which k of n were seen."""
    centre, spread = k + Z * Z / 2, Z * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return (centre - spread) / (n + Z * Z), (centre + spread) / (n + Z * Z)
