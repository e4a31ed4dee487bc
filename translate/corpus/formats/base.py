"""What every corpus format can do: tell its files, and read their pairs."""

import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol, cast

from translate.corpus.pairs import Pair

__all__ = ["CorpusFormat", "FileFormat", "lines_of", "text_lines"]


class CorpusFormat(Protocol):
    """A way in which pairs of sentences are kept in files."""

    def fits(self, path: Path, src: str, tgt: str) -> bool:
        """Say whether a path is kept in this way."""

    def files(self, path: Path, src: str, tgt: str) -> Sequence[Path]:
        """Return every file that is read for a path."""

    def source(self, path: Path, src: str, tgt: str) -> str:
        """Name the source of pairs that do not name theirs."""

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Yield each pair, or in its place what is wrong with it, such as ``"3: this is no JSON"``."""


class FileFormat:
    """A format whose pairs stand in one file, which names their source."""

    def files(self, path: Path, _src: str, _tgt: str) -> Sequence[Path]:
        """Return the file."""
        return [path]

    def source(self, path: Path, _src: str, _tgt: str) -> str:
        """Return the name of the file up to its first dot."""
        return path.name.partition(".")[0]


def lines_of(path: Path) -> IO[str]:
    """Open a file of lines, gzip too; see `text_lines`."""
    return text_lines(cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb"))


def text_lines(stream: IO[bytes]) -> IO[str]:
    """Return a text whose lines end at line feeds only, not at a carriage return that a sentence may have in it."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
