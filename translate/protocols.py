"""The protocols of engines, translation memories and word aligners, which ``promptbank`` hands to the pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Aligner", "Engine", "EngineInfo", "Hypothesis", "Markers", "Memory", "Segment"]

Markers = Literal["trained", "bracket", "none"]


@dataclass(frozen=True)
class EngineInfo:
    """Properties of an engine.

    Attributes:
        engine_id: changes whenever its output may change (model hash, decoding options).
        langpairs: such as "en-sv".
        markers: how spans can be marked in its input: ``<s0> ... </s0>`` that it was trained with, square brackets that
            it copies, or not at all.
        at_once: most texts of a call, 0 for any number.
        rewrites: whether rewritten texts may be sent too; not to a service that bills for them, or to a recording.
    """

    engine_id: str
    langpairs: tuple[str, ...]
    markers: Markers
    at_once: int = 0
    rewrites: bool = True


@dataclass(frozen=True)
class Segment:
    """A text to be translated once for each engine; equal texts of one mode share a key (``memory.segment_key``)."""

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
        """Describe the engine."""

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments, one hypothesis for each, in order."""


class Memory(Protocol):
    """Translations that are kept, so that no segment is translated twice by one engine."""

    def recall(self, engine_id: str, keys: Sequence[str]) -> dict[str, Hypothesis]:
        """Return what is known among the keys."""

    def remember(self, engine_id: str, found: Sequence[tuple[Segment, Hypothesis]]) -> None:
        """Keep translations, in one transaction."""


class Aligner(Protocol):
    """Anything that aligns words."""

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        """Return, for each (source, target) text, the pairs of word numbers that translate each other."""
