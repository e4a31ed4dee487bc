"""Reading pairs of sentences as people have them: of the formats in ``FORMATS``, the first that fits a path."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from translate.corpus.formats.base import CorpusFormat
from translate.corpus.formats.gettext import GettextFormat
from translate.corpus.formats.moses import MosesFormat, MosesZipFormat
from translate.corpus.formats.tables import JsonLinesFormat, TsvFormat, pair_of_fields
from translate.corpus.formats.tmx import TmxFormat
from translate.corpus.pairs import CorpusError, Pair, likeness
from translate.records.record import tidy_text

__all__ = ["FORMATS", "CorpusFormat", "format_of", "likenesses", "pair_of_fields", "read_pairs"]

MOST_FAULTS = 20

FORMATS: Mapping[str, CorpusFormat] = {
    "gettext.v1": GettextFormat(),
    "tmx.v1": TmxFormat(),
    "moses-zip.v1": MosesZipFormat(),
    "moses.v1": MosesFormat(),
    "jsonl.v1": JsonLinesFormat(),
    "tsv.v1": TsvFormat(),
}
"""The corpus formats in the order in which they are tried."""


def format_of(path: Path, src: str, tgt: str, formats: Mapping[str, CorpusFormat] = FORMATS) -> CorpusFormat:
    """Return the first format that fits a path."""
    return next(found for found in formats.values() if found.fits(path, src, tgt))


def read_pairs(
    path: Path, src: str, tgt: str, *, source: str = "", formats: Mapping[str, CorpusFormat] = FORMATS
) -> Iterator[Pair]:
    """Read the pairs of a path, whatever its format; those with a `Pair.fault` too.

    ``source`` names the source of pairs that do not name theirs; the format does if it is empty.

    Raises:
        CorpusError: it cannot be read, or parts of it are no pairs: the first twenty, and how many more.
    """
    format_ = format_of(path, src, tgt, formats)
    name, faults = source or format_.source(path, src, tgt), list[str]()
    try:
        for found in format_.pairs(path, src, tgt):
            if isinstance(found, str):
                faults.append(f"{path}:{found}")
            elif not faults:
                tidied = tidy_text(found.src), tidy_text(found.tgt)
                yield replace(found, src=tidied[0], tgt=tidied[1], source=found.source or name)
    except (OSError, UnicodeDecodeError, zlib.error, EOFError) as exc:
        raise CorpusError(f"{path} cannot be read as pairs: {exc}") from exc
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise CorpusError("; ".join(faults[:MOST_FAULTS]) + more)


def likenesses(pairs: Iterable[Pair]) -> frozenset[str]:
    """Return the likenesses of all sentences of both languages, to hold them out."""
    return frozenset(likeness(text) for pair in pairs for text in (pair.src, pair.tgt))
