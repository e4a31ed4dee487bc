"""The engine that gives back what it gets: the floor that every check and every score must tell from a translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from translate.protocols import EngineInfo, Hypothesis, Markers, Segment

__all__ = ["CopyEngine"]


@dataclass(frozen=True)
class CopyEngine:
    """Copies."""

    src: str
    tgt: str
    markers: Markers = "bracket"

    def info(self) -> EngineInfo:
        """Say what this engine is."""
        return EngineInfo("copy", (f"{self.src}-{self.tgt}",), self.markers, offline=True, rewrites=False)

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Return each text as it is."""
        return [Hypothesis(segment.text) for segment in segments]
