"""Engines that promptbank does not train: Apertium, services on the net, recorded translations, the copying floor."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from promptbank.mt.engines.provider import RECORDED, EngineOffer, EngineProvider, EngineRequest
from translate import Engine, EngineError, Hypothesis
from translate.corpus.formats.moses import line_pairs
from translate.engines import CopyEngine, RecordedEngine, load_recorded
from translate.records.record import tidy_text

__all__ = ["ApertiumProvider", "FixedProvider", "OnlineProvider"]


class ApertiumProvider(EngineProvider):
    """Apertium, if the system has it."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:
        """Yield it, with the reason where it is not installed or does not know the pair."""
        from translate.engines.apertium import ApertiumEngine, apertium_pairs

        try:
            pairs = apertium_pairs()
        except EngineError as exc:
            yield EngineOffer("apertium", "apertium", str(exc))
            return
        if request.langpair not in pairs:
            known = ", ".join(sorted(pairs)) or "nothing"
            yield EngineOffer("apertium", "apertium", f"translates {known}, not {request.langpair}")
            return
        why = f"has {pairs[request.langpair]}, rule-based, offline"
        yield EngineOffer("apertium", "apertium", why, lambda: ApertiumEngine(request.pair))


class OnlineProvider(EngineProvider):
    """Services on the net; only ever used when named, since the texts leave the machine."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:  # noqa: ARG002 - they translate nearly all pairs
        """Yield each service as one that is not available unasked."""
        from translate.engines.online import SERVICES

        for name in SERVICES:
            yield EngineOffer(name, "online", "only when named: the texts leave the machine")

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take ``libretranslate[:URL]``, ``deepl`` or ``google``."""
        from translate.engines.online import SERVICES, OnlineEngine

        kind, _, argument = name.partition(":")
        if kind not in SERVICES:
            return None

        def opened() -> Engine:
            service = SERVICES[kind](request.pair, argument, os.environ)
            return OnlineEngine(service, request.pair, characters=request.characters)

        shown = re.sub(r"//.*@", "//", name)  # without the user and password that may stand there
        return EngineOffer(shown, "online", "a service on the net", opened)


class FixedProvider(EngineProvider):
    """Engines without a model, only when named: recorded translations, and the copy that checks must tell apart."""

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take ``copy``, ``recorded:FILE`` or ``recorded:TEXTS,TRANSLATIONS``."""
        if name == "copy":
            return EngineOffer(name, "copy", "copies", lambda: CopyEngine(*request.pair))
        if name.startswith(RECORDED):
            return EngineOffer(name, "recorded", "recorded", lambda: _recorded(name.removeprefix(RECORDED), request))
        return None


def _recorded(given: str, request: EngineRequest) -> Engine:
    """Read JSON lines of translations, or two text files: ``TEXTS,TRANSLATIONS``, a line each."""
    texts, comma, translations = given.partition(",")
    if not comma or Path(given).exists():
        return load_recorded(Path(given), *request.pair)
    try:
        pairs = [(tidy_text(pair.src), tidy_text(pair.tgt)) for pair in line_pairs(Path(texts), Path(translations))]
    except (OSError, UnicodeDecodeError) as exc:
        raise EngineError(f"{texts} and {translations} cannot be read as texts and their translations: {exc}") from exc
    known = {text: Hypothesis(translation) for text, translation in pairs}
    return RecordedEngine(Path(translations).name, *request.pair, known)
