"""Pairs of sentences in two languages: reading them, comparing them, drawing among them."""

import csv
import gzip
import hashlib
import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from translate.errors import TranslateError
from translate.records.markers import MOST_MARKED, numbered
from translate.records.record import tidy_text

__all__ = [
    "CorpusError",
    "Pair",
    "draw",
    "is_combining",
    "is_sentence",
    "likeness",
    "read_held_out",
    "read_pairs",
    "spoken_text",
]

MOST_FAULTS = 20
_SHORT = "a pair needs two texts, in columns or in {!r} and {!r}"
_ANNOTATION = re.compile(r"\[(\w+) : ([^\]]*)\]")


class CorpusError(TranslateError):
    """A corpus cannot be read, made or used."""


@dataclass(frozen=True)
class Pair:
    """A sentence in two languages.

    Attributes:
        src: in the source language, NFC, with single spaces.
        tgt: its translation.
        source: where it comes from, such as "tatoeba"; caps and counts are by source.
        kind: "plain", or the augmentation that made it.
        spans: (type, source value, target value) of annotated spans that translate each other.
        marked: both texts with these between marks, numbered in the order of the source.
        links: numbers of the space-separated words that translate each other, where they were aligned.
    """

    src: str
    tgt: str
    source: str
    kind: str = "plain"
    spans: tuple[tuple[str, str, str], ...] = ()
    marked: tuple[str, str] | None = None
    links: tuple[tuple[int, int], ...] = ()


def read_pairs(path: Path, src: str, tgt: str, *, source: str = "") -> Iterator[Pair]:
    """Read the pairs of a file: TSV (source text, translation, source name) or JSON lines; gzip too.

    JSON lines have a field for each language code, and may have ``source`` and, where spans are annotated as
    ``[type : value]``, ``<code>_annot`` for both.

    ``source`` names the source of pairs that do not name theirs; the file's name up to its first dot if empty.

    Raises:
        CorpusError: the file cannot be read, or lines of it are no pairs: the first twenty, and how many more.
    """
    stem = source or path.name.partition(".")[0]
    try:
        with _opened(path) as lines:
            rows = _json_rows(lines, src, tgt) if ".jsonl" in path.name else _tsv_rows(lines)
            faults: list[str] = []
            for number, row in rows:
                if fault := row if isinstance(row, str) else _SHORT.format(src, tgt) if len(row) < 2 else "":
                    faults.append(f"{path}:{number}: {fault}")
                elif not faults:
                    yield _pair(row, stem)
    except (OSError, UnicodeDecodeError, csv.Error, zlib.error, EOFError) as exc:
        raise CorpusError(f"{path} cannot be read as pairs: {exc}") from exc
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise CorpusError("; ".join(faults[:MOST_FAULTS]) + more)


def read_held_out(paths: Sequence[Path], src: str, tgt: str) -> frozenset[str]:
    """Return the likenesses of all sentences of both languages in files of evaluation pairs."""
    pairs = (pair for path in paths for pair in read_pairs(path, src, tgt))
    return frozenset(likeness(text) for pair in pairs for text in (pair.src, pair.tgt))


def likeness(text: str) -> str:
    """Return a text without case, punctuation and spaces, to compare it with others.

    Vowel signs and other combining marks stay: without them "दिन" (day) and "दान" (gift) would be alike.

    >>> likeness("Don't  stop at five p. m.!") == likeness("dont stop at 'five pm'")
    True
    """
    folded = text.casefold().replace("i\u0307", "i")  # what a dotted capital I becomes
    return re.sub(r"[\W_]+", lambda found: _marks_of(found[0]), folded) or text.strip()


def is_combining(char: str) -> bool:
    """Say whether a character is a combining mark: a vowel sign or an accent."""
    return unicodedata.category(char).startswith("M")


def draw(pair: Pair, purpose: str, seed: int) -> float:
    """Return a pseudo-random number from 0 to 1 that depends on the pair, the purpose and the seed alone."""
    digest = hashlib.sha256(f"{seed}\0{purpose}\0{pair.src}\0{pair.tgt}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def is_sentence(text: str) -> bool:
    """Say whether a text looks like a sentence: four words, a capital, a full stop.

    >>> [is_sentence("Close the current window."), is_sentence("Close window")]
    [True, False]
    """
    return len(text.split()) >= 4 and text[:1].isupper() and text.endswith((".", "!", "?"))


def spoken_text(text: str) -> str:
    """Return a sentence as an assistant is told it: in lower case, without commas and the final sign.

    >>> spoken_text("Well, wake me on Friday.")
    'well wake me on friday'
    """
    return re.sub(r"(?<=\w),(?= )", "", re.sub(r"\s*[.!?…]+$", "", text)).lower() or text


@lru_cache(1 << 12)
def _marks_of(run: str) -> str:
    """Return the combining marks among other signs, without variation selectors."""
    return "".join(char for char in run if is_combining(char) and not "\ufe00" <= char <= "\ufe0f")


def _opened(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _tsv_rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str] | str]]:
    yield from enumerate(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 1)


def _json_rows(lines: Iterable[str], src: str, tgt: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each line's number with its texts (none if it lacks one) or the reason why it cannot be read."""
    keys = (src, tgt, "source", f"{src}_annot", f"{tgt}_annot")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as exc:
            yield number, f"this is no JSON: {exc}"
            continue
        both = isinstance(row, dict) and isinstance(row.get(src), str) and isinstance(row.get(tgt), str)
        yield number, [str(row.get(key, "")) for key in keys] if both else []


def _pair(row: Sequence[str], stem: str) -> Pair:
    src, tgt, source, src_annotated, tgt_annotated = [*row, "", "", ""][:5]
    spans = _spans(src_annotated, tgt_annotated)
    numbers = {kind: number for number, (kind, _, _) in enumerate(spans)}
    marked = None
    if 0 < len(spans) <= MOST_MARKED:
        marked = _marked(src_annotated, numbers), _marked(tgt_annotated, numbers)
    return Pair(tidy_text(src), tidy_text(tgt), source or stem, spans=spans, marked=marked)


def _spans(src: str, tgt: str) -> tuple[tuple[str, str, str], ...]:
    """Return the spans if both texts have the same types, each once; nothing otherwise."""
    first, second = (dict(_ANNOTATION.findall(text)) for text in (src, tgt))
    once = all(len(_ANNOTATION.findall(text)) == len(found) for text, found in ((src, first), (tgt, second)))
    return tuple((k, first[k].strip(), second[k].strip()) for k in first) if once and set(first) == set(second) else ()


def _marked(annotated: str, numbers: Mapping[str, int]) -> str:
    return tidy_text(_ANNOTATION.sub(lambda found: numbered(numbers[found[1]], found[2].strip()), annotated))
