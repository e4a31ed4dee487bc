"""Accelerators: signs in interface texts that mark the key of a menu entry, as in "_File", "&File" and "~File"."""

import re

__all__ = ["without_accelerators"]

_APPENDED = re.compile(r"\s?\(([_&~])\w\)")
"""As after texts in scripts that have no such key: "文件(_F)"."""


def without_accelerators(src: str, tgt: str) -> tuple[str, str]:
    """Return a text and its translation without accelerators; one that has no word in the other form stays as it is.

    A sign counts where it stands once, before a letter or digit. In the middle of a word it counts only if the
    translation has one too and the word is another one there: "snake_case" and "R&D" are names.

    >>> without_accelerators("Save _As…", "V_ista sem…"), without_accelerators("snake_case", "snake_case")
    (('Save As…', 'Vista sem…'), ('snake_case', 'snake_case'))
    """
    for sign in "_&~":
        found, other = _place(src, sign), _place(tgt, sign)
        if found is None or (other is None and (sign in tgt or _in_word(src, found))):
            continue
        if other is not None and _in_word(src, found) and _word(src, found) == _word(tgt, other):
            continue
        src, tgt = _cut(src, sign), _cut(tgt, sign)
    return src, tgt


def _place(text: str, sign: str) -> int | None:
    """Return where a text has its one sign before a letter or digit; None where it has none, more, or an entity."""
    at = text.find(sign)
    fits = at >= 0 and text.count(sign) == 1 and re.match(r"\w", text[at + 1 :]) and not re.match(r"&\w+;", text[at:])
    return at if fits else None


def _in_word(text: str, at: int) -> bool:
    return text[at - 1 : at].isalnum()


def _word(text: str, at: int) -> str:
    """Return the word around a place."""
    return text[:at].rpartition(" ")[2] + text[at:].partition(" ")[0]


def _cut(text: str, sign: str) -> str:
    appended = _APPENDED.search(text)
    return text.replace(appended[0], "") if appended and appended[1] == sign else text.replace(sign, "", 1)
