"""Moses files: one file for each language, line n of both is a pair; alone or in a zip archive, as OPUS has them."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import IO

from translate.corpus.formats.base import FileFormat, lines_of, text_lines
from translate.corpus.pairs import CorpusError, Pair

__all__ = ["MosesFormat", "MosesZipFormat", "line_pairs"]


class MosesFormat(FileFormat):
    """Two files that differ in the language at their end, such as ``tatoeba.en`` and ``tatoeba.is``; gzip too.

    A path is either of them, or what stands before the languages.
    """

    def fits(self, path: Path, src: str, tgt: str) -> bool:
        """Tell by the language at the end of the name, or by the two files that begin with it."""
        return path.name.removesuffix(".gz").endswith((f".{src}", f".{tgt}")) or (
            not path.exists() and all(side.exists() for side in self.files(path, src, tgt))
        )

    def files(self, path: Path, src: str, tgt: str) -> Sequence[Path]:
        """Return both files."""
        name, end = path.name.removesuffix(".gz"), ".gz" if path.name.endswith(".gz") else ""
        stem = next((name.removesuffix(f".{lang}") for lang in (src, tgt) if name.endswith(f".{lang}")), name)
        return [path.with_name(f"{stem}.{lang}{end}") for lang in (src, tgt)]

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read both files line by line."""
        yield from line_pairs(*self.files(path, src, tgt))


def line_pairs(first: Path, second: Path) -> Iterator[Pair]:
    """Yield line n of two files as a pair; `OSError` and `UnicodeDecodeError` are for the caller.

    Raises:
        CorpusError: one of them has more lines.
    """
    with lines_of(first) as one, lines_of(second) as other:
        yield from _pairs(f"{first} and {second}", one, other)


class MosesZipFormat(FileFormat):
    """A zip archive with such files, as OPUS offers them; the name of the files is the source of their pairs."""

    def fits(self, path: Path, _src: str, _tgt: str) -> bool:
        """Tell by the name."""
        return path.suffix == ".zip"

    def pairs(self, path: Path, src: str, tgt: str) -> Iterator[Pair | str]:
        """Read every pair of files in the archive."""
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                stems = [name.removesuffix(f".{src}") for name in names if name.endswith(f".{src}")]
                found = [stem for stem in stems if f"{stem}.{tgt}" in names]
                if not found:
                    held = ", ".join(names[:5]) or "nothing"
                    raise CorpusError(f"{path} has no two files that end in .{src} and .{tgt}; it has {held}")
                for stem in found:
                    yield from _members(archive, stem, src, tgt)
        except (zipfile.BadZipFile, RuntimeError) as exc:  # encrypted, or compressed in a way that is not read
            raise CorpusError(f"{path} cannot be read as a zip archive: {exc}") from exc


def _members(archive: zipfile.ZipFile, stem: str, src: str, tgt: str) -> Iterator[Pair | str]:
    name = Path(stem).name.partition(".")[0]
    with closing(archive.open(f"{stem}.{src}")) as one, closing(archive.open(f"{stem}.{tgt}")) as other:
        yield from _pairs(f"{archive.filename}/{stem}", text_lines(one), text_lines(other), name)


def _pairs(where: str, one: IO[str], other: IO[str], source: str = "") -> Iterator[Pair]:
    for number, (first, second) in enumerate(zip_longest(one, other), 1):
        if first is None or second is None:
            raise CorpusError(f"{where}: one of the two files has no line {number}; line n of both must be a pair")
        yield Pair(first, second, source)
