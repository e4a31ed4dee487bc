"""Files of sentence pairs: the formats of ``translate.corpus``, and records of any kind that ``tasks`` reads."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tasks.errors import DataError
from tasks.reading import read_records
from translate.corpus.formats import FORMATS, CorpusFormat, format_of, pair_of_fields
from translate.corpus.formats import read_pairs as read_format
from translate.corpus.formats.base import FileFormat
from translate.corpus.pairs import CorpusError, Pair

__all__ = ["files_of", "read_pairs"]

_RECORDS = re.compile(r"\.(parquet|arrow|xlsx|csv|json)(\.(gz|bz2|xz))?\Z", re.IGNORECASE)


class RecordsFormat(FileFormat):
    """Parquet, Arrow, Excel, CSV and JSON with a field for each language code, see `pair_of_fields`."""

    def fits(self, path: Path, _src: str, _tgt: str) -> bool:
        """Tell by the name; the content tells which kind it is."""
        return _RECORDS.search(path.name) is not None

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read one pair a record."""
        try:
            for number, record in enumerate(read_records(path), 1):
                if isinstance(record, DataError):
                    yield f"{number}: {record}"
                elif pair := pair_of_fields(dict(record.data), src, tgt):
                    yield pair
                else:
                    yield f"{number}: a pair needs two texts, in the fields {src!r} and {tgt!r}"
        except DataError as exc:
            raise CorpusError(str(exc)) from exc


ALL_FORMATS: Mapping[str, CorpusFormat] = {"records.v1": RecordsFormat(), **FORMATS}


def read_pairs(path: Path, src: str, tgt: str, *, source: str = "") -> Iterator[Pair]:
    """Read the pairs of a path in any format; see `translate.corpus.formats.read_pairs`."""
    return read_format(path, src, tgt, source=source, formats=ALL_FORMATS)


def files_of(path: Path, src: str, tgt: str) -> Sequence[Path]:
    """Return every file that is read for a path."""
    return format_of(path, src, tgt, ALL_FORMATS).files(path, src, tgt)
