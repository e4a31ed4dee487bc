"""When two texts count as the same: names, labels, groups and duplicates, never the bytes that are stored or shown.

One letter can be written in two ways, such as "ö" as one character or as "o" with a mark (Unicode Standard Annex 15).
"""

import unicodedata
from collections.abc import Collection

__all__ = ["canonical", "folded", "is_among"]


def canonical(text: str) -> str:
    r"""Return a text in the form that is compared where case counts (NFC).

    >>> canonical("ko\u0308p") == "köp"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return a text in the form that is compared where neither case nor outer white space counts.

    This is a canonical caseless match (Unicode Standard, D145), as NFC.
    """
    plain = text.strip()
    if plain.isascii():
        return plain.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", plain).casefold())


def is_among(name: str, names: Collection[str]) -> bool:
    """Whether a name is one of several, in whichever form it is written."""
    return name in names or (not name.isascii() and canonical(name) in set(map(canonical, names)))
