"""The engine that copies its input: the floor that checks and scores must tell from a translation."""

from collections.abc import Sequence
from dataclasses import dataclass

from translate.protocols import EngineInfo, Hypothesis, Markers, Segment

__all__ = ["CopyEngine"]


@dataclass(frozen=True)
class CopyEngine:
    """Copies its input."""

    src: str
    tgt: str
    markers: Markers = "bracket"

    def info(self) -> EngineInfo:
        """Describe the engine."""
        return EngineInfo("copy", (f"{self.src}-{self.tgt}",), self.markers, rewrites=False)

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Return each text as it is."""
        return [Hypothesis(segment.text) for segment in segments]
