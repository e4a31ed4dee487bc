"""The engine of services on the net.

Texts leave the machine, so a service is never chosen unasked, and a budget of characters stops a run before it costs
more than was meant. Requests that a busy service refuses (status 429 or 5xx) are repeated after the pause that it asks
for, or a growing one (tenacity).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from translate.engines.request import SECONDS, BusyError, missing
from translate.engines.services import CHARACTERS, SERVICES, TEXTS, DeepL, Google, LibreTranslate, Service
from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Segment

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["SERVICES", "DeepL", "Google", "LibreTranslate", "OnlineEngine", "Service"]

ATTEMPTS = 6


class OnlineEngine:
    """Translates with a service; a batch that would exceed the budget of ``characters`` is not sent."""

    def __init__(
        self,
        service: Service,
        langpair: tuple[str, str],
        *,
        characters: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import tenacity
        except ImportError as exc:
            raise missing("tenacity") from exc
        self._service, self._left, self._budget = service, characters, characters
        at_once = min(TEXTS, service.at_once)  # one request, so that what came back is kept when the next one fails
        self._info = EngineInfo(service.name, ("-".join(langpair),), "bracket", at_once=at_once, rewrites=False)
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(BusyError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_pause,
            reraise=True,
            sleep=sleep,
        )

    def info(self) -> EngineInfo:
        """Describe the engine; a service may change, so its id is no promise of equal output."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments in batches, without scores.

        Raises:
            EngineError: the budget is spent, or the service refuses, stays busy or answers something else.
        """
        found = [text for batch in self._batches([s.text for s in segments]) for text in self._batch(batch)]
        return [Hypothesis(text) for text in found]

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        for text in texts:
            if batch and (len(batch) == self._service.at_once or sum(map(len, batch)) + len(text) > CHARACTERS):
                yield batch
                batch = []
            batch.append(text)
        if batch:
            yield batch

    def _batch(self, texts: Sequence[str]) -> list[str]:
        try:
            answers: list[str] = self._retrying(self._sent, texts)
        except BusyError as exc:
            raise EngineError(f"{self._service.name} was tried {ATTEMPTS} times: {exc}; try again later") from exc
        if len(answers) != len(texts):
            raise EngineError(f"{self._service.name} gave back {len(answers)} of {len(texts)} texts")
        return [" ".join(answer.split()) for answer in answers]

    def _sent(self, texts: Sequence[str]) -> list[str]:
        """Send texts once; each attempt counts, unless the service says that it took nothing."""
        size = sum(map(len, texts))
        if size > self._left:
            raise EngineError(
                f"{self._service.name}: {self._budget - self._left} of {self._budget} characters are sent, and the "
                f"next {len(texts)} texts have {size}; allow more with --characters. What was translated before is kept"
            )
        self._left -= size
        try:
            return self._service.translate(texts)
        except BusyError as exc:
            self._left += 0 if exc.taken else size
            raise


def _pause(state: RetryCallState) -> float:
    """Return the pause before the next attempt: 1, 2, 4 ... seconds, or what the service asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, BusyError) else None
    return min(SECONDS, 2.0 ** (state.attempt_number - 1) if asked is None else asked)
