"""Language codes with regions: what is known of a language holds in its regions too."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

__all__ = ["base_code", "lookup", "wider_codes"]

T = TypeVar("T")


def base_code(lang: str) -> str:
    """Return the code of a language without region and script.

    >>> base_code("pt-BR")
    'pt'
    """
    return lang.partition("-")[0]


def wider_codes(lang: str) -> Iterator[str]:
    """Yield a code, then itself with one part less each time, down to the base language.

    >>> list(wider_codes("zh-Hant-TW"))
    ['zh-Hant-TW', 'zh-Hant', 'zh']
    """
    while lang:
        yield lang
        lang = lang.rpartition("-")[0]


def lookup(table: Mapping[str, T], lang: str) -> T | None:
    """Return what a table has for a language, or for the nearest wider code; None if it has nothing.

    >>> lookup({"en": 1, "en-GB": 2}, "en-US"), lookup({"en": 1, "en-GB": 2}, "en-GB"), lookup({"en": 1}, "sv")
    (1, 2, None)
    """
    return next((table[code] for code in wider_codes(lang) if code in table), None)
