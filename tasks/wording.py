"""How messages are worded: counts with their noun, names that were probably meant, a fault of many lines once."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from tasks.equivalence import folded

__all__ = ["counted", "did_you_mean", "missing_columns", "told_once"]

PLACES = 3
"""Places that are named of a fault that several lines have."""


def counted(count: int, one: str, many: str) -> str:
    """Return a count with what is said of one, or of several.

    >>> counted(1, "text is blank", "texts are blank"), counted(0, "fault", "faults")
    ('1 text is blank', '0 faults')
    """
    return f"{count} {one if count == 1 else many}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that asks whether the nearest known name was meant; empty where none is near.

    >>> did_you_mean("message", ["Message", "Department"]), did_you_mean("x", ["Message"])
    ("; did you mean 'Message'?", '')
    """
    names = {folded(one): one for one in known}
    near = get_close_matches(folded(name), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def missing_columns(absent: Sequence[str], known: Collection[str]) -> str:
    """Say which columns a record lacks, and which it has.

    >>> missing_columns(["text"], ["Text", "Label"])
    "column 'text' is missing; the record has 'Text', 'Label'; did you mean 'Text'?"
    """
    shown, are = ", ".join(map(repr, absent)), "is" if len(absent) == 1 else "are"
    what = f"column{'' if len(absent) == 1 else 's'} {shown} {are} missing"
    return f"{what}; the record has {', '.join(map(repr, known)) or 'none'}{did_you_mean(absent[0], known)}"


def told_once(faults: Sequence[str]) -> list[str]:
    """Return faults, those that differ in their place alone as one with its first places.

    >>> told_once(["f:2: blank", "f:3: too long", "f:4: blank"])
    ['f:2, f:4: blank', 'f:3: too long']
    """
    places: dict[str, list[str]] = {}
    for fault in faults:
        place, colon, what = fault.partition(": ")
        places.setdefault(what if colon else fault, []).append(place if colon else "")
    return [f"{_places(found)}: {what}" if found[0] else what for what, found in places.items()]


def _places(found: Sequence[str]) -> str:
    left = len(found) - PLACES
    return ", ".join(found[:PLACES]) + (f" and {left} more" if left > 0 else "")
