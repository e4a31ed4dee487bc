"""Pairs as lines: tab-separated values, or JSON with a field for each language; gzip too."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from translate.corpus.formats.base import FileFormat, lines_of
from translate.corpus.pairs import Pair
from translate.records.markers import MOST_MARKED, numbered
from translate.records.record import tidy_text

__all__ = ["JsonLinesFormat", "TsvFormat", "pair_of_fields"]

_SHORT = "a pair needs two texts, in columns or in {!r} and {!r}"
_ANNOTATION = re.compile(r"\[(\w+) : ([^\]]*)\]")


class TsvFormat(FileFormat):
    """Tab-separated source text, translation and, if given, source name; without quotes and header."""

    def fits(self, _path: Path, _src: str, _tgt: str) -> bool:
        """Say yes: what is of no other format is taken for a table."""
        return True

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read one pair a line."""
        with lines_of(path) as lines:
            for number, line in enumerate(lines, 1):
                cells = [cell.strip() for cell in line.split("\t")]
                if len(cells) < 2:
                    yield f"{number}: {_SHORT.format(src, tgt)}"
                else:
                    yield Pair(cells[0], cells[1], cells[2] if len(cells) > 2 else "")


class JsonLinesFormat(FileFormat):
    """JSON lines, see `pair_of_fields`."""

    def fits(self, path: Path, _src: str, _tgt: str) -> bool:
        """Tell by the name."""
        return ".jsonl" in path.name

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read one pair a line; blank lines are skipped."""
        with lines_of(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield pair_of_fields(json.loads(line), src, tgt) or f"{number}: {_SHORT.format(src, tgt)}"
                except ValueError as exc:
                    yield f"{number}: this is no JSON: {exc}"


def pair_of_fields(fields: object, src: str, tgt: str) -> Pair | None:
    """Return the pair of an object with a field for each language code; None where it has not both.

    The two may stand below ``translation``, as sets on the Hugging Face hub have them. There may be ``source`` and,
    where spans are annotated as ``[type : value]``, ``<code>_annot`` for both.
    """
    if not isinstance(fields, dict):
        return None
    texts = fields["translation"] if isinstance(fields.get("translation"), dict) else fields
    first, second = texts.get(src), texts.get(tgt)
    if not (isinstance(first, str) and isinstance(second, str)):
        return None
    annotated = str(fields.get(f"{src}_annot", "")), str(fields.get(f"{tgt}_annot", ""))
    spans = _spans(*annotated)
    numbers = {kind: number for number, (kind, _, _) in enumerate(spans)}
    marked = None
    if 0 < len(spans) <= MOST_MARKED:
        marked = _marked(annotated[0], numbers), _marked(annotated[1], numbers)
    return Pair(first, second, str(fields.get("source", "")), spans=spans, marked=marked)


def _spans(src: str, tgt: str) -> tuple[tuple[str, str, str], ...]:
    """Return the spans if both texts have the same types, each once; nothing otherwise."""
    first, second = (dict(_ANNOTATION.findall(text)) for text in (src, tgt))
    once = all(len(_ANNOTATION.findall(text)) == len(found) for text, found in ((src, first), (tgt, second)))
    return tuple((k, first[k].strip(), second[k].strip()) for k in first) if once and set(first) == set(second) else ()


def _marked(annotated: str, numbers: Mapping[str, int]) -> str:
    return tidy_text(_ANNOTATION.sub(lambda found: numbered(numbers[found[1]], found[2].strip()), annotated))
