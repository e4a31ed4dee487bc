"""Labelled sets from one language into another, with labels, slots, numbers and names intact.

So far this room holds its protocols only; engines, projection, checks and review come next.
"""

from translate.errors import TranslateError
from translate.protocols import Engine, EngineInfo, Hypothesis, Memory, Segment

__all__ = ["Engine", "EngineInfo", "Hypothesis", "Memory", "Segment", "TranslateError"]
