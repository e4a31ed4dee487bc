"""Engines that need no machine-learning library; those that do are in ``promptbank.mt.engines``."""

from translate.engines.copying import CopyEngine
from translate.engines.recorded import RecordedEngine, load_recorded

__all__ = ["CopyEngine", "RecordedEngine", "load_recorded"]
