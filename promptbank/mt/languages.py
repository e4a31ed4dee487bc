"""A language pair by its name."""

from __future__ import annotations

from typing import NamedTuple

from promptbank.errors import ConfigError

__all__ = ["Languages"]


class Languages(NamedTuple):
    """A language pair, such as en-sv."""

    src: str
    tgt: str

    @classmethod
    def parse(cls, langpair: str) -> Languages:
        """Read "en-sv".

        Raises:
            ConfigError: it is no pair of two languages.
        """
        src, dash, tgt = langpair.partition("-")
        if not (src and dash and tgt) or src == tgt:
            raise ConfigError(f"{langpair!r} is no language pair; write source and target, such as en-sv")
        return cls(src, tgt)

    def __str__(self) -> str:
        return f"{self.src}-{self.tgt}"
