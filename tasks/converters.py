"""Converters from other people's formats to records, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.annotated import convert_assistant, convert_massive_en, convert_massive_sv
from tasks.convert import Conversion, convert_fiqa
from tasks.derived import convert_clock_questions, convert_headline_or_post, convert_scenarios

__all__ = ["CONVERTERS"]

CONVERTERS: dict[str, Callable[[Sequence[Path]], Conversion]] = {
    "fiqa": convert_fiqa,
    "headline-or-post": convert_headline_or_post,
    "assistant": convert_assistant,
    "massive-en": convert_massive_en,
    "massive-sv": convert_massive_sv,
    "assistant-scenario": convert_scenarios,
    "assistant-clock": convert_clock_questions,
}
"""``promptbank tasks convert NAME``."""
