"""One word, one thing: class names are made of the terms of docs/glossary.md, and none occurs twice in the house."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from tests.stores import ROOT

ROOMS = ("promptbank", "store", "tasks", "translate")
GLOSSARY = ROOT / "docs" / "glossary.md"

PLAIN = """
align all ambiguous body busy by classification conflict copy data decoded dense dict disk draining
earlier eval expired failed fetch filtered fixed flagged found frozen full greedy input invalid large learnt long
mismatch mt new nmt no not online ordered other over overload packed paired plain prepared pulled queued ready
recorded remembered rendered rewritten run sampled scored shipped silent source spec spoken stopped stopping storage
stored too train trained translate unavailable unknown unreachable unusable
"""
"""English words that may stand before a term in a class name; the last word of a name is a term."""


def class_names() -> dict[str, list[str]]:
    """Return the files of each public class, by name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path.relative_to(ROOT)))
    return found


def words_of(name: str) -> list[str]:
    """Return the words of a class name, lower case and singular."""
    return [singular(word) for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*\d*", name)]


def singular(word: str) -> str:
    word = word.lower()
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word if word.endswith(("ss", "ous")) else word.removesuffix("s")


def terms() -> tuple[set[str], set[str]]:
    """Return the glossary's terms, and the words that they are made of."""
    bold = re.findall(r"\*\*(.+?)\*\*", GLOSSARY.read_text(encoding="utf-8"))
    return set(bold), {singular(word) for term in bold for word in re.split(r"[\s-]+", term)}


def strangers() -> dict[str, list[str]]:
    """Return the class names that are no terms, with the words of theirs that a reader could not look up."""
    whole, words = terms()
    found: dict[str, list[str]] = {}
    for name in set(class_names()) - whole:
        *before, last = words_of(name)
        unknown = [word for word in before if word not in words and word not in PLAIN.split()]
        unknown += [last] if last not in words else []
        if unknown:
            found[name] = unknown
    return found


def test_the_words_of_a_name_are_told_apart() -> None:
    assert words_of("BackboneMismatchError") == ["backbone", "mismatch", "error"]
    assert words_of("IntentSlotsFormat") == ["intent", "slot", "format"]
    assert words_of("Ct2Engine") == ["ct2", "engine"]
    assert words_of("Loss") == ["loss"]
    assert words_of("TaskRepositories") == ["task", "repository"]


def test_class_names_are_made_of_words_that_the_glossary_explains() -> None:
    found = strangers()
    assert found == {}, "explain the words in docs/glossary.md, or take words that are in it"


def test_no_class_name_stands_for_two_things() -> None:
    assert {name: files for name, files in class_names().items() if len(files) > 1} == {}


def test_a_term_is_explained_once() -> None:
    lines = [
        line for line in GLOSSARY.read_text(encoding="utf-8").split("## Last words")[0].splitlines() if line[:2] == "* "
    ]
    firsts = [re.match(r"\* \*\*(.+?)\*\*", line) for line in lines]
    assert [line for line, first in zip(lines, firsts, strict=True) if first is None] == []
    named = [first[1] for first in firsts if first]
    assert sorted({term for term in named if named.count(term) > 1}) == []


def test_every_file_that_the_glossary_names_exists() -> None:
    named = re.findall(r"`([\w./-]+/[\w./-]*)`", GLOSSARY.read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / Path(path)).exists()] == []
