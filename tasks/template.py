"""Prompt templates, scanned by hand into text, fields and blocks of virtual tokens.

No ``eval`` and no ``str.format``: a template is data, and the value of a field is never scanned at all. (NeMo
substitutes text first and looks for markers afterwards, so a sentence with ``{label}`` in it got the gold answer pasted
in.) ``{{`` and ``}}`` stand for literal braces.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.equivalence import canonical
from tasks.errors import Fault

__all__ = ["Field", "Segment", "Text", "VirtualBlock", "places", "scan_template"]

_PIECE = re.compile(
    r"(?P<text>(?:[^{}<]|<(?!\|VIRTUAL_PROMPT_)|\{\{|\}\})++)"
    r"|<\|VIRTUAL_PROMPT_(?P<block>0|[1-9][0-9]{0,5})\|>"  # one spelling for each number
    r"|(?P<marker><\|VIRTUAL_PROMPT_)"
    r"|\{(?P<field>[^{}]*)\}"
    r"|(?P<stray>[{}])"
)
_STRAY = {
    "{": "'{' is never closed; a literal brace is written '{{'",
    "}": "'}' without '{'; a literal brace is written '}}'",
}


@dataclass(frozen=True)
class Text:
    """Literal text of the template."""

    text: str


@dataclass(frozen=True)
class Field:
    """The place of a record's field, which may have any name without braces (compared in NFC)."""

    name: str


@dataclass(frozen=True)
class VirtualBlock:
    """A block of virtual tokens; ``virtual_token_splits[index]`` says how many."""

    index: int


Segment = Text | Field | VirtualBlock


def scan_template(template: str) -> tuple[tuple[Segment, ...], tuple[Fault, ...]]:
    """Scan a template into its segments and its faults, both in order.

    Args:
        template: such as ``"{sentence}<|VIRTUAL_PROMPT_0|> {label}"``.

    Returns:
        The segments, and the faults with their character offsets.

    >>> scan_template("{text}<|VIRTUAL_PROMPT_0|> {label}")[0]
    (Field(name='text'), VirtualBlock(index=0), Text(text=' '), Field(name='label'))
    """
    pieces = [piece for _, piece in _pieces(template)]
    segments = tuple(piece for piece in pieces if not isinstance(piece, Fault))
    return segments, tuple(piece for piece in pieces if isinstance(piece, Fault))


def places(template: str) -> dict[Segment, list[int]]:
    """Return the character offsets of each field and block of virtual tokens.

    >>> places("{{a}} {a}")
    {Field(name='a'): [6]}
    """
    found: defaultdict[Segment, list[int]] = defaultdict(list)
    for at, piece in _pieces(template):
        if isinstance(piece, (Field, VirtualBlock)):
            found[piece].append(at)
    return dict(found)


def _pieces(template: str) -> Iterator[tuple[int, Segment | Fault]]:
    for found in _PIECE.finditer(template):
        yield found.start(), _piece(found)


def _piece(found: re.Match[str]) -> Segment | Fault:
    at, text = found.start(), found[0]
    match found.lastgroup:
        case "block":
            return VirtualBlock(int(found["block"]))
        case "field":
            return _field(found["field"], at)
        case "marker":
            wrong = found.string[at : at + 24]
            says = f"{wrong!r} is no marker; markers are <|VIRTUAL_PROMPT_0|>, <|VIRTUAL_PROMPT_1|>, ..."
            return Fault("prompt_template", at, says)
        case "stray":
            return Fault("prompt_template", at, _STRAY[text])
    return Text(text.replace("{{", "{").replace("}}", "}"))


def _field(name: str, at: int) -> Field | Fault:
    if not name.strip():
        return Fault("prompt_template", at, f"{{{name}}} is no field name: it is empty; a literal brace is doubled")
    if "<|VIRTUAL_PROMPT_" in name:
        return Fault("prompt_template", at, f"{{{name}}} is no field name: it holds a marker; move that out")
    return Field(canonical(name))
