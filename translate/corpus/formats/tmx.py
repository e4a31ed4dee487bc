"""TMX, the exchange format of translation memories (LISA, TMX 1.4b); gzip too. Units are read one at a time."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from translate.corpus.formats.base import FileFormat
from translate.corpus.pairs import CorpusError, Pair
from translate.langcodes import wider_codes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["TmxFormat"]

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = frozenset({"bpt", "ept", "it", "ph", "ut"})
"""Elements that hold formatting codes and no text."""


class TmxFormat(FileFormat):
    """Translation units with a variant for each language; a unit that lacks a language is a pair with an empty text.

    Formatting codes in a text are left out. Of a language and its regions the nearest is taken: "en" is read where a
    file has "en-GB". A file that declares entities is refused: a few lines of them can expand to gigabytes.
    """

    def fits(self, path: Path, _src: str, _tgt: str) -> bool:
        """Tell by the name."""
        return path.name.lower().removesuffix(".gz").endswith(".tmx")

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read one pair a unit."""
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            try:
                events = iterparse(stream, events=("start", "end"))
                _, root = next(events)
                for event, element in events:
                    if event == "end" and element.tag == "tu":
                        yield _unit(element, src, tgt)
                        for part in (element, *root):  # what was read is not kept in memory
                            part.clear()
            except (ParseError, DefusedXmlException, StopIteration) as exc:
                raise CorpusError(f"{path} cannot be read as TMX: {exc}") from exc


def _unit(unit: "Element", src: str, tgt: str) -> Pair:
    texts = {
        (variant.get(_LANG) or variant.get("lang") or "").casefold(): _text(segment)
        for variant in reversed(unit.findall("tuv"))  # the first of two in one language counts
        if (segment := variant.find("seg")) is not None
    }
    return Pair(_nearest(texts, src), _nearest(texts, tgt), "")


def _nearest(texts: dict[str, str], lang: str) -> str:
    """Return the text in a language, in a wider one, or in the first of its regions."""
    wanted = [code.casefold() for code in wider_codes(lang)]
    regions = (code for code in reversed(texts) if code.partition("-")[0] == wanted[0])
    found = next((code for code in (*wanted, *regions) if code in texts), None)
    return texts[found] if found else ""


def _text(segment: "Element") -> str:
    """Return the text of a segment without formatting codes."""
    parts = [segment.text or ""]
    for child in segment:
        parts += ["" if child.tag in _CODES else _text(child), child.tail or ""]
    return "".join(parts)
