"""Layout: line breaks, tabs, indents, bullets and numbering, which stay while what is between them is translated.

An engine sees one line or cell of a table at a time. A text of one line without tabs has no layout, and is sent whole.
"""

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["has_layout", "join_layout", "skeleton", "split_layout", "tidy_layout", "tidy_spaces"]

_BREAK = r"\r\n|[\n\r\v\f\x85\u2028\u2029]"
_STOP = re.compile(rf"({_BREAK}|\t)")
_BULLET = r"[-*+•‣▪◦·–—>]|#{1,6}|\(?\d{1,3}(?:\.\d{1,3}){0,3}[.)]|\(?[a-zA-Z]\)|\[[ xX]\]"
_BULLETS = re.compile(rf"(?:(?:{_BULLET})[ \u00a0]+){{1,3}}")


def has_layout(text: str) -> bool:
    """Say whether a text has line breaks or tabs."""
    return _STOP.search(text) is not None


def split_layout(text: str) -> tuple[str, ...]:
    r"""Cut a text into its layout and what is to be translated, in turn; it begins and ends with layout.

    >>> split_layout("Line one\n\n- item\t1")
    ('', 'Line one', '\n\n- ', 'item', '\t1')
    >>> split_layout("- one line")
    ('', '- one line', '')
    """
    if not has_layout(text):
        return "", text, ""
    parts, fixed, begins = list[str](), "", True
    for place, cell in enumerate(_STOP.split(text)):
        if place % 2:
            fixed, begins = fixed + cell, cell != "\t" or begins
            continue
        lead, body, trail = _cell(cell, begins=begins)
        begins = begins and not body
        fixed += lead
        if body and not _is_verbatim(body):
            parts += [fixed, body]
            body = fixed = ""
        fixed += body + trail
    return (*parts, fixed) if parts else (text, "", "")


def join_layout(parts: Sequence[str], translated: Sequence[str]) -> str:
    r"""Put translations in the places of what was to be translated.

    >>> join_layout(split_layout("1. one\n2. two"), ["ett", "två"])
    '1. ett\n2. två'
    """
    rest = iter(translated)
    return "".join(next(rest) if place % 2 else part for place, part in enumerate(parts))


def skeleton(text: str) -> str:
    r"""Return the breaks, tabs and bullets of a text, with "x" for all that stands between them.

    >>> skeleton("Line one\n\n- item\t1")
    'x\n\n- x\tx'
    """
    out, begins = "", True
    for place, cell in enumerate(_STOP.split(text)):
        if place % 2:
            out, begins = out + cell, cell != "\t" or begins
            continue
        lead, body, _ = _cell(cell, begins=begins)
        out += f"{' '.join(lead.split())} x".lstrip() if body else lead.strip()
        begins = begins and not body
    return out


def tidy_spaces(run: str) -> str:
    r"""Return what is kept of a run of white space: breaks, tabs and the indent behind the last break; else a space.

    >>> [tidy_spaces(run) for run in ("  ", " \n \n  ", " \t ")]
    [' ', '\n\n  ', '\t']
    """
    breaks = list(re.finditer(_BREAK, run))
    if breaks:
        return "".join(one[0] for one in breaks) + re.sub(r"[^\t]", " ", run[breaks[-1].end() :])
    return "\t" * run.count("\t") or " "


def tidy_layout(text: str) -> str:
    """Return a text in NFC with its layout, single spaces elsewhere, and none at its ends."""
    return re.sub(r"\s+", lambda run: tidy_spaces(run[0]), unicodedata.normalize("NFC", text).strip())


def _cell(cell: str, *, begins: bool) -> tuple[str, str, str]:
    """Return the indent and bullets of a cell, its text, and the spaces behind it."""
    body = cell.strip()
    start = len(cell) - len(cell.lstrip())
    trail = cell[start + len(body) :]
    bullets = _BULLETS.match(body) if begins else None
    at = bullets.end() if bullets else 0
    return cell[:start] + body[:at], body[at:], trail


def _is_verbatim(body: str) -> bool:
    """Say whether a cell has no letters and no number that languages write differently: "-----", "17"."""
    return body.isdigit() or not any(map(str.isalnum, body))
