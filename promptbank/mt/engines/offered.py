"""What an engine is wanted for, and what a kind of engine offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from promptbank.config import Settings
from promptbank.errors import ConfigError
from translate import Engine

__all__ = ["CHARACTERS", "RECORDED", "Asked", "Offer", "Way", "no_engine"]

CHARACTERS = 500_000
"""A month of DeepL's free plan, about 8,000 sentences."""
RECORDED = "recorded:"
"""What stands before the file of an engine that only recalls."""


@dataclass(frozen=True)
class Asked:
    """What an engine is wanted for.

    Attributes:
        src: source language.
        tgt: target language.
        beam: hypotheses kept for each text, where the engine searches; None for its own choice.
        settings: home, backbone, threads.
        characters: most that are sent to a service on the net.
        say: hears what takes long, and the terms of a backbone that is fetched.
    """

    src: str
    tgt: str
    beam: int | None
    settings: Settings
    say: Callable[[str], None] = lambda _: None
    characters: int = CHARACTERS

    @property
    def langpair(self) -> str:
        """Such as "en-sv"."""
        return f"{self.src}-{self.tgt}"


@dataclass(frozen=True)
class Offer:
    """An engine that could be had.

    Attributes:
        engine: what ``--engine`` calls it.
        way: the kind.
        available: whether it runs here, for the pair.
        why: in words.
        open: loads it.
    """

    engine: str
    way: str
    available: bool
    why: str
    open: Callable[[], Engine]


class Way(Protocol):
    """A kind of engine."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield what can be found without being named, the best first."""

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Return the engine that a name means; None where it is none of this kind."""


def no_engine() -> Engine:
    """Open what is not available; `Offer.available` says so before."""
    raise ConfigError("this engine is not available")
