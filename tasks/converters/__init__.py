"""Converters from other people's formats to records, by name: ``promptbank tasks convert NAME``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.converters import annotated, fiqa, published, tagged
from tasks.converters.conversion import Conversion

__all__ = ["CONVERTERS", "Conversion"]

CONVERTERS: dict[str, Callable[[Sequence[Path]], Conversion]] = {
    **fiqa.CONVERTERS,
    **annotated.CONVERTERS,
    **published.CONVERTERS,
    **tagged.CONVERTERS,
}
