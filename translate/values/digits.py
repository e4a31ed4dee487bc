"""Values of a language without a module of its own: numbers in digits, whatever its separators, and nothing else."""

import re
from decimal import Decimal

from translate.values.grammar import ValueGrammar, phrase_rule
from translate.values.mention import Reading

__all__ = ["digits_grammar"]


def digits_grammar(lang: str) -> ValueGrammar:
    """Return the grammar of digits alone.

    >>> [str(m) for m in digits_grammar("gl").read("1.200 ou 3,5")]
    ["1.2|1200 ('1.200')", "3.5 ('3,5')"]
    """
    return ValueGrammar(
        lang, (phrase_rule(r"(?P<minus>[-\u2212\u2013])?(?P<digits>\d+(?:[.,:\u00a0\u202f]\d+)*)", _either),)
    )


def _either(found: re.Match[str]) -> list[Reading]:
    parts = re.split(r"\D", found["digits"])
    readings = [Decimal("".join(parts))] if len(parts) == 1 or all(len(p) == 3 for p in parts[1:]) else []
    if len(parts) > 1:
        readings.append(Decimal(f"{''.join(parts[:-1])}.{parts[-1]}"))
    return [Reading("number", -value if found["minus"] else value) for value in readings]
