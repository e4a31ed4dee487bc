"""The parts of choosing an engine: a request for one, an offer of one, and a provider that makes offers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from promptbank.config import Settings
from translate import Engine

__all__ = ["CHARACTERS", "RECORDED", "EngineOffer", "EngineProvider", "EngineRequest"]

CHARACTERS = 500_000
"""A month of DeepL's free plan, about 8,000 sentences."""
RECORDED = "recorded:"
"""Prefix of ``--engine recorded:FILE``."""


@dataclass(frozen=True)
class EngineRequest:
    """The language pair to translate, and the options that engines are opened with.

    Attributes:
        src: source language.
        tgt: target language.
        beam: size of the beam search; None for the engine's own default.
        settings: home, backbone, threads.
        say: called with messages about slow steps and the terms of a backbone that is fetched.
        characters: most that are sent to a service on the net.
    """

    src: str
    tgt: str
    beam: int | None
    settings: Settings
    say: Callable[[str], None] = lambda _: None
    characters: int = CHARACTERS

    @property
    def pair(self) -> tuple[str, str]:
        """Source and target language, as engines take them."""
        return self.src, self.tgt

    @property
    def langpair(self) -> str:
        """Such as "en-sv"."""
        return f"{self.src}-{self.tgt}"


@dataclass(frozen=True)
class EngineOffer:
    """An engine that is known, whether or not it can be used here.

    Attributes:
        engine: its name for ``--engine``.
        kind: such as "backbone" or "ctranslate2".
        why: one line for a person: what it is, or why it is not available.
        open: loads it; None if it does not run here, or not for the pair.
    """

    engine: str
    kind: str
    why: str
    open: Callable[[], Engine] | None = None

    @property
    def available(self) -> bool:
        """Whether it can be opened."""
        return self.open is not None


class EngineProvider:
    """One source of engines, such as the models trained here, or Apertium.

    To add an engine, write a file with the engine and its provider, and list the provider in ``providers.PROVIDERS``.
    """

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:  # noqa: ARG002 - the default has none
        """Yield the engines that are found for a language pair, the preferred one first."""
        yield from ()

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Return the engine of a name, None if the name is not one of this provider's."""
        return next((offer for offer in self.offers(request) if offer.engine == name), None)
