"""Which engines there are for a language pair, in which order they are tried, and how one is chosen and opened."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from promptbank.mt.engines.external import ApertiumProvider, FixedProvider, OnlineProvider
from promptbank.mt.engines.fast import FastProvider
from promptbank.mt.engines.models import (
    FolderProvider,
    HubProvider,
    MarianProvider,
    ShippedProvider,
    TaskProvider,
    TranslatorProvider,
)
from promptbank.mt.engines.on_ray import RayProvider
from promptbank.mt.engines.provider import EngineOffer, EngineProvider, EngineRequest
from translate import Engine, EngineError

__all__ = ["PROVIDERS", "choose_engine", "fallback_engine", "offers", "open_engine"]

PROVIDERS: tuple[EngineProvider, ...] = (
    TranslatorProvider(),
    MarianProvider(),
    ShippedProvider(),
    ApertiumProvider(),
    FastProvider(),
    OnlineProvider(),
    TaskProvider(),
    FolderProvider(),
    FixedProvider(),
    RayProvider(),
    HubProvider(),
)
"""In the order of ``--engine auto``: what was trained here, what comes with promptbank, what the system has."""


@runtime_checkable
class GreedyEngine(Protocol):
    """An engine that can also search greedily."""

    def greedy(self) -> Engine | None:
        """Return the same model with a beam of one; None if that is what it has."""


def offers(request: EngineRequest) -> list[EngineOffer]:
    """Return every engine that can be found for a pair, in the order of ``--engine auto``."""
    return [offer for provider in PROVIDERS for offer in provider.offers(request)]


def choose_engine(name: str, request: EngineRequest) -> EngineOffer:
    """Return the engine that a name means, or the first that runs here for "auto".

    Raises:
        EngineError: none translates the pair here, or the name means none; the message says how to get one.
    """
    if name == "auto":
        found = offers(request)
        if chosen := next((offer for offer in found if offer.available), None):
            return chosen
        raise EngineError(f"no engine here translates {request.langpair}: {_reasons(found)}. {_help(request)}")
    chosen = next(filter(None, (provider.named(name, request) for provider in PROVIDERS)), None)
    if chosen is None:
        raise EngineError(f"--engine {name!r} is no engine here ({_names(offers(request))}). {_help(request)}")
    if not chosen.available:
        raise EngineError(f"--engine {name!r} cannot be used: {chosen.why}")
    return chosen


def open_engine(offer: EngineOffer, request: EngineRequest) -> Engine:
    """Load an engine and make sure that it translates the pair.

    Raises:
        EngineError: it cannot be loaded, or translates other pairs.
    """
    if offer.open is None:
        raise EngineError(f"--engine {offer.engine!r} cannot be used: {offer.why}")
    engine = offer.open()
    info = engine.info()
    if request.langpair not in info.langpairs:
        raise EngineError(f"engine {offer.engine!r} translates {', '.join(info.langpairs)}, not {request.langpair}")
    return engine


def fallback_engine(engine: Engine, name: str, request: EngineRequest) -> Engine | None:
    """Return the engine for records that the checks flag after the first engine.

    Args:
        engine: the first one.
        name: of another; "auto" for the engine's own greedy search where it has one, "none" for none.
        request: language pair and options.

    Raises:
        EngineError: the name means no engine here.
    """
    if name == "none":
        return None
    if name == "auto":
        return engine.greedy() if isinstance(engine, GreedyEngine) else None
    return open_engine(choose_engine(name, request), request)


def _reasons(found: Sequence[EngineOffer]) -> str:
    return "; ".join(f"{offer.engine}: {offer.why}" for offer in found) or "nothing is installed"


def _names(found: Sequence[EngineOffer]) -> str:
    return ", ".join(["auto", "copy", "recorded:FILE", "task:NAME", *(offer.engine for offer in found)])


def _help(request: EngineRequest) -> str:
    pair = request.langpair
    return (
        f"Ways to get one: train it (`promptbank mt corpus build --langpair {pair} --data PAIRS.tsv`, then `promptbank "
        f"mt train --corpus {pair}`); give a CTranslate2, Marian or OPUS-MT folder or hub id with --engine; install "
        "Apertium with a package for the pair; name a service with --engine libretranslate:URL, deepl or google; give "
        "known translations with --engine recorded:FILE"
    )
