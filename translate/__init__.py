"""Labelled sets from one language into another, with labels, slots, numbers and names intact.

Records go in and come out (``records``); only their text is shown to an engine. The way through: ``pipeline``.
"""

from translate.errors import (
    AlignError,
    EngineError,
    InventoryError,
    PolicyError,
    RecordError,
    ReviewError,
    TranslateError,
)
from translate.protocols import Aligner, Engine, EngineInfo, Hypothesis, Markers, Memory, Segment
from translate.records.record import ClassLabel, Frame, IntentLabel, Label, Record, SlotLabel, Span, source_hash, tidy

__all__ = [
    "AlignError",
    "Aligner",
    "ClassLabel",
    "Engine",
    "EngineError",
    "EngineInfo",
    "Frame",
    "Hypothesis",
    "IntentLabel",
    "InventoryError",
    "Label",
    "Markers",
    "Memory",
    "PolicyError",
    "Record",
    "RecordError",
    "ReviewError",
    "Segment",
    "SlotLabel",
    "Span",
    "TranslateError",
    "source_hash",
    "tidy",
]
