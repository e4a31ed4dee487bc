"""Engines: everything that satisfies ``translate.protocols.Engine``."""

from __future__ import annotations

from translate.engines.copying import CopyEngine
from translate.engines.recorded import RecordedEngine, load_recorded

__all__ = ["CopyEngine", "RecordedEngine", "load_recorded"]
