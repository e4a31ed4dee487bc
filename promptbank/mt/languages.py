"""Language codes, their names, and pairs of them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from promptbank.errors import ConfigError, InputError
from tasks.equivalence import folded
from tasks.spec import is_lang

__all__ = ["LANGUAGE_NAMES", "Languages", "check_code"]

LANGUAGE_NAMES = {
    "ca": "Catalan", "cy": "Welsh", "da": "Danish", "de": "German", "en": "English", "eo": "Esperanto",
    "es": "Spanish", "eu": "Basque", "fi": "Finnish", "fr": "French", "gl": "Galician", "is": "Icelandic",
    "it": "Italian", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "sv": "Swedish",
}  # fmt: skip
"""How prompts of translators name languages; any other code stands for itself."""


def check_code(option: str, code: str) -> None:
    """Refuse what is no language code, such as a name.

    Raises:
        InputError: it is none.
    """
    if is_lang(code):
        return
    codes = {folded(name): known for known, name in LANGUAGE_NAMES.items()} | {known: known for known in LANGUAGE_NAMES}
    near = get_close_matches(folded(code), codes, n=1)
    hint = f"; did you mean {codes[near[0]]}?" if near else ""
    raise InputError(f"{option} is {code!r}; languages are codes such as sv or pt-BR{hint}")


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
