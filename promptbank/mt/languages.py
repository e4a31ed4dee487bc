"""A language pair by its name."""

from __future__ import annotations

import re
from typing import NamedTuple

from promptbank.errors import ConfigError
from tasks.spec import is_lang

__all__ = ["Languages"]


class Languages(NamedTuple):
    """A language pair, such as en-sv."""

    src: str
    tgt: str

    @classmethod
    def parse(cls, langpair: str) -> Languages:
        """Read "en-sv", or "en-pt-BR".

        Raises:
            ConfigError: it is no pair of two languages, or can be read as several.
        """
        found = [
            cls(src, tgt)
            for dash in re.finditer("-", langpair)
            if is_lang(src := langpair[: dash.start()]) and is_lang(tgt := langpair[dash.end() :]) and src != tgt
        ]
        if len(found) != 1:
            readings = " or ".join(f"{pair.src} to {pair.tgt}" for pair in found)
            raise ConfigError(
                f"{langpair!r} is no language pair{f' but several ({readings})' if found else ''}; write source and "
                "target, such as en-sv or en-pt-BR"
            )
        return found[0]

    def __str__(self) -> str:
        return f"{self.src}-{self.tgt}"
