"""How values are written on pages."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime

from tasks import counted

__all__ = ["FILTERS"]

SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def age(at: datetime) -> str:
    """Return how long ago something was, in its largest unit.

    >>> age(datetime.now(UTC)).endswith("s")
    True
    """
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    unit, name = next((pair for pair in SPANS if seconds >= pair[0]), SPANS[-1])
    return f"{seconds // unit} {name}"


def size(count: int) -> str:
    """Return a number of bytes in a unit that is easily read.

    >>> size(900), size(25_600), size(3_000_000)
    ('900 B', '25.6 kB', '3.0 MB')
    """
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def number(value: object) -> str:
    """Return a number with three decimals, and other values as JSON.

    >>> number(0.98765), number(7), number(["a"]), number(math.nan)
    ('0.988', '7', '["a"]', '-')
    """
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


FILTERS: dict[str, Callable[..., str]] = {"age": age, "size": size, "number": number, "counted": counted}
