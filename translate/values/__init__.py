"""Values that a translation must keep: numbers, money, percentages, clock times and dates.

A language is a module with a ``GRAMMAR``, which its regions ("en-GB") share. Without one only digits are compared.
"""

from translate.langcodes import lookup
from translate.values import en, is_, sv
from translate.values.compare import ValueComparison, agree, compare
from translate.values.dayparts import compare_parts, read_parts
from translate.values.digits import digits_grammar
from translate.values.grammar import ValueGrammar
from translate.values.lists import share_units
from translate.values.literals import blanked, shared_literals, without_literals
from translate.values.mention import Mention, Reading

__all__ = [
    "GRAMMARS",
    "Mention",
    "Reading",
    "ValueComparison",
    "ValueGrammar",
    "agree",
    "compare",
    "compare_texts",
    "read_values",
    "written_value",
]

GRAMMARS: dict[str, ValueGrammar] = {"en": en.GRAMMAR, "is": is_.GRAMMAR, "sv": sv.GRAMMAR}


def read_values(text: str, lang: str) -> tuple[Mention, ...]:
    """Return the values of a text, from left to right; only numbers in digits where the language has no module.

    Literals (see `translate.values.literals`) say no values.

    >>> [str(one) for one in read_values("2.5 hours with version 2.5", "en")]
    ["2.5 ('2.5')"]
    """
    return (lookup(GRAMMARS, lang) or digits_grammar(lang)).read(without_literals(text))


def compare_texts(source: str, target: str, *, src: str, tgt: str, lenient: bool = False) -> ValueComparison:
    """Compare the values of a text and its translation; of digits only, with a note, when a language has no module.

    When ``lenient``, bare numbers may agree as clock times (in a slot that is known to be a time). Literals of the
    source and their copies say no values.

    >>> compare_texts("nine am on friday", "nio på fredag", src="en", tgt="sv").compatible
    True
    >>> compare_texts("ten am", "tio på kvällen", src="en", tgt="sv").reasons()
    ("the source says 10:00 ('ten am')", "the target says 22:00 ('tio på kvällen')")
    """
    first, second = lookup(GRAMMARS, src), lookup(GRAMMARS, tgt)
    literals = shared_literals(source, target)
    source, target = blanked(source, literals), blanked(target, literals)
    if first and second:
        mine, its = _with_units(source, first), _with_units(target, second)
        parts = read_parts(source, first, mine), read_parts(target, second, its)
        return compare_parts(compare(mine, its, lenient=lenient), *parts)
    unknown = [lang for lang, grammar in ((src, first), (tgt, second)) if grammar is None]
    note = f"no value module for {', '.join(unknown)}: only numbers in digits were compared, no words, clocks or dates"
    grammar = digits_grammar(tgt)
    return compare(grammar.read(source), grammar.read(target), note=note)


def _with_units(text: str, grammar: ValueGrammar) -> tuple[Mention, ...]:
    return share_units(text, grammar.read(text), range_word=grammar.range_word, list_words=grammar.list_words)


def written_value(mention: Mention, tgt: str) -> str | None:
    """Return how a language writes a value that a source text says in digits.

    None where the language has no writer, or would not read the very value back from what it writes.

    >>> [written_value(one, "sv") for one in read_values("up 33% to $2.7 billion on Dec 13", "en")]
    ['33 %', '2,7 miljarder dollar', '13 december']
    """
    grammar = lookup(GRAMMARS, tgt)
    text = grammar.writer(mention) if grammar and grammar.writer else None
    read = grammar.read(text) if grammar and text else ()
    return text if [one.readings for one in read] == [mention.readings] else None
