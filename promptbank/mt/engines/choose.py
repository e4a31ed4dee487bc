"""Which engine translates a pair: ways in a fixed order, each says what it has on this machine and why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from promptbank.mt.engines.offered import Asked, Offer
from promptbank.mt.engines.providers import WAYS
from translate import Engine, EngineError

__all__ = ["Searching", "choose_engine", "fallback_engine", "offers", "open_engine"]


@runtime_checkable
class Searching(Protocol):
    """An engine that can search in another way."""

    def greedy(self) -> Engine | None:
        """Return the same model without a beam; None where it has none."""


def offers(asked: Asked) -> list[Offer]:
    """Return every engine that can be found for a pair, in the order of ``--engine auto``."""
    return [offer for way in WAYS for offer in way.offers(asked)]


def choose_engine(name: str, asked: Asked) -> Offer:
    """Return the engine that a name means, or the first that runs here for "auto".

    Raises:
        EngineError: none translates the pair here, or the name means none; the message says how to get one.
    """
    if name == "auto":
        found = offers(asked)
        for offer in found:
            if offer.available:
                return offer
        raise EngineError(f"no engine here translates {asked.langpair}: {_reasons(found)}. {_help(asked)}")
    chosen = next(filter(None, (way.named(name, asked) for way in WAYS)), None)
    if chosen is None:
        raise EngineError(f"--engine {name!r} is no engine here ({_names(offers(asked))}). {_help(asked)}")
    if not chosen.available:
        raise EngineError(f"--engine {name!r} cannot be used: {chosen.why}")
    return chosen


def open_engine(offer: Offer, asked: Asked) -> Engine:
    """Load an engine and make sure that it translates the pair.

    Raises:
        EngineError: it cannot be loaded, or translates other pairs.
    """
    engine = offer.open()
    info = engine.info()
    if asked.langpair not in info.langpairs:
        raise EngineError(f"engine {offer.engine!r} translates {', '.join(info.langpairs)}, not {asked.langpair}")
    return engine


def fallback_engine(engine: Engine, name: str, asked: Asked) -> Engine | None:
    """Return the engine for rows of the first one that the checks doubt.

    Args:
        engine: the first one.
        name: of another; "auto" for the engine's own greedy search where it has one, "none" for none.
        asked: what engines are wanted for.

    Raises:
        EngineError: the name means no engine here.
    """
    if name == "none":
        return None
    if name == "auto":
        return engine.greedy() if isinstance(engine, Searching) else None
    return open_engine(choose_engine(name, asked), asked)


def _reasons(found: Sequence[Offer]) -> str:
    return "; ".join(f"{offer.engine}: {offer.why}" for offer in found) or "nothing is installed"


def _names(found: Sequence[Offer]) -> str:
    return ", ".join(["auto", "copy", "recorded:FILE", "task:NAME", *(offer.engine for offer in found)])


def _help(asked: Asked) -> str:
    pair = asked.langpair
    return (
        f"Ways to get one: train it (`promptbank mt corpus build --langpair {pair} --data PAIRS.tsv`, then `promptbank "
        f"mt train --corpus {pair}`); give a CTranslate2, Marian or OPUS-MT folder or hub id with --engine; install "
        "Apertium with a package for the pair; name a service with --engine libretranslate:URL, deepl or google; give "
        "known translations with --engine recorded:FILE"
    )
