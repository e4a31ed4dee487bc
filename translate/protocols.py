"""What an engine and a translation memory are, to the pipeline that uses them.

An engine built on the backbone lives in ``promptbank`` and the memory in ``store``; both satisfy these protocols
without importing this room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Aligner", "Engine", "EngineInfo", "Hypothesis", "Markers", "Memory", "Segment"]

Markers = Literal["trained", "bracket", "none"]


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself.

    Attributes:
        engine_id: changes whenever its output may change (model hash, decoding options).
        langpairs: such as "en-sv".
        markers: how spans can be marked in its input: ``<s0> ... </s0>`` that it was trained with, square brackets that
            it copies, or not at all.
        offline: whether it runs without a network.
        at_once: most texts that it takes at once, 0 for any number; what came back of a call is kept before the next.
        again: whether a text may be sent in other spellings too; not to a service that bills for it, or to a recording.
    """

    engine_id: str
    langpairs: tuple[str, ...]
    markers: Markers
    offline: bool
    at_once: int = 0
    rewrites: bool = True


@dataclass(frozen=True)
class Segment:
    """One text to be translated once for each engine; equal texts of one mode share a key (``memory.segment_key``)."""

    key: str
    src: str
    tgt: str
    text: str


@dataclass(frozen=True)
class Hypothesis:
    """A translation and, where the engine gives one, its mean log-probability a token."""

    text: str
    score: float | None = None


class Engine(Protocol):
    """Anything that translates."""

    def info(self) -> EngineInfo:
        """Say what this engine is."""

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments, one hypothesis for each, in order."""


class Memory(Protocol):
    """Translations that are kept, so that no segment is translated twice by one engine."""

    def recall(self, engine_id: str, keys: Sequence[str]) -> dict[str, Hypothesis]:
        """Return what is known among the keys."""

    def remember(self, engine_id: str, found: Sequence[tuple[Segment, Hypothesis]]) -> None:
        """Keep translations, in one transaction."""


class Aligner(Protocol):
    """Anything that aligns the words of translations."""

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        """Return, for each (source, target) text, the pairs of word numbers that translate each other."""
