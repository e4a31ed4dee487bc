"""Corpora of sentence pairs: build one below the home, count what the rules drop, read its manifest."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from promptbank.config import make_home
from promptbank.errors import ConfigError
from promptbank.files import sha256_of, write_text, write_together
from promptbank.mt import debian
from promptbank.mt.languages import Languages
from promptbank.mt.pair_files import files_of, read_pairs
from tasks import counted
from translate.corpus.build import build_corpus
from translate.corpus.filters import sieve
from translate.corpus.folder import corpus_files, pairs_text, read_manifest
from translate.corpus.formats import likenesses
from translate.corpus.formats.gettext import catalog_language
from translate.corpus.pairs import Pair
from translate.corpus.settings import CorpusSettings
from translate.pipeline.alignment import EflomalAligner

__all__ = ["CorpusRequest", "build", "corpus_folder", "count_kept", "fetch_catalogs"]


@dataclass(frozen=True)
class CorpusRequest:
    """The pairs of a corpus, and what is made of them: the options of ``promptbank mt corpus build``.

    ``augment`` holds the shares of `CorpusSettings` by name; caps and repeats that are None are the defaults.
    """

    langpair: str
    data: Sequence[str]
    held_out: Sequence[Path] = ()
    cap: Sequence[str] | None = None
    repeat: Sequence[str] | None = None
    augment: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    @property
    def languages(self) -> Languages:
        """Source and target language."""
        return Languages.parse(self.langpair)

    @property
    def files(self) -> list[Path]:
        """Every file that is read."""
        paths = [*(path for _, path in map(_source, self.data)), *self.held_out]
        return [file for path in paths for file in files_of(path, *self.languages)]

    def settings(self) -> CorpusSettings:
        """Return the corpus's settings.

        Raises:
            ConfigError: a cap or a repeat is no ``source=N``.
        """
        src, tgt = self.languages
        numbers = {"caps": self.cap, "repeats": self.repeat}
        given: dict[str, Any] = {key: _numbers(value) for key, value in numbers.items() if value}
        return CorpusSettings(src=src, tgt=tgt, seed=self.seed, **given, **dict[str, Any](self.augment))

    def pairs(self) -> Iterator[Pair]:
        """Read all files."""
        for source, path in map(_source, self.data):
            yield from read_pairs(path, *self.languages, source=source)

    def evaluation(self) -> frozenset[str]:
        """Read the sentences that must not be learnt."""
        return likenesses(pair for path in self.held_out for pair in read_pairs(path, *self.languages))


def build(home: Path, request: CorpusRequest, name: str | None = None) -> tuple[dict[str, Any], Path]:
    """Make a corpus in ``<home>/mt/<name>/corpus``, named after the language pair unless told; for its size in memory.

    Returns:
        The manifest and the folder.
    """
    wanted = request.settings()
    corpus = build_corpus(request.pairs(), wanted, request.evaluation(), EflomalAligner() if wanted.aligned else None)
    make_home(home)
    inputs = {name: sha256_of(path) for name, path in _named(request.files).items()}
    folder = home / "mt" / (name or request.langpair) / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    write_together({folder / file: text for file, text in corpus_files(corpus, wanted, inputs).items()})
    return read_manifest(folder), folder


def fetch_catalogs(
    home: Path,
    langpair: str,
    packages: Sequence[str] | None,
    agree: Callable[[str, int], object],
    progress: Callable[[str], None],
) -> tuple[list[debian.FetchedPackage], Path]:
    """Fetch translations from Debian's packages into ``<home>/mt/<langpair>/catalogs``; go on where a fetch stopped.

    Args:
        home: of the user.
        langpair: English and another language.
        packages: names; a built-in list if None.
        agree: is told what would be downloaded, and its bytes; raises to stop it.
        progress: is told a line for each package.

    Returns:
        What became of each package, and the folder.
    """
    lang = catalog_language(*Languages.parse(langpair))
    found, unknown = debian.find_packages(packages or debian.PACKAGES, lang)
    folder, store = home / "mt" / langpair / "catalogs", home / "mt" / "debian"
    here = sum((store / package.file).is_file() for package in found)
    size = sum(package.size for package in found if not (store / package.file).is_file())
    absent = f"; not in this Debian: {', '.join(unknown)}" if unknown else ""
    packages = counted(len(found), "package", "packages")
    agree(f"{packages}, {here} of them here; {size / 1e6:.1f} MB to download into {store}{absent}", size)
    make_home(home)
    return debian.fetch(found, folder, store, lang, progress), folder


def count_kept(request: CorpusRequest, out: Path | None = None, dropped: Path | None = None) -> list[dict[str, object]]:
    """Count by source what is read, kept, and dropped for each reason; write the pairs where files are named.

    Raises:
        ConfigError: a file that is written is one that is read, or both are one.
    """
    _refuse_to_overwrite(request, out, dropped)
    found = sieve(request.pairs(), *request.languages, request.evaluation())
    if out:
        write_text(out, pairs_text(found.kept))
    if dropped:
        lines = (json.dumps({**asdict(pair), "reason": why}, ensure_ascii=False) for pair, why in found.refused)
        write_text(dropped, "".join(f"{line}\n" for line in lines))
    gone = {name: found.dropped.get(name, {}) for name in sorted(found.read)}
    return [
        {"source": name, "read": found.read[name], "kept": found.read[name] - sum(reasons.values()), **reasons}
        for name, reasons in gone.items()
    ]


def corpus_folder(home: Path, name: str) -> Path:
    """Return the folder of a corpus, given by path or by name."""
    return Path(name) if (Path(name) / "manifest.json").is_file() else home / "mt" / name / "corpus"


def _refuse_to_overwrite(request: CorpusRequest, out: Path | None, dropped: Path | None) -> None:
    """Make sure that nothing that is read is written over, and no file twice."""
    read = {path.resolve() for path in request.files}
    faults = [
        f"{name} {path} is a file that is read"
        for name, path in (("--out", out), ("--dropped", dropped))
        if path and path.resolve() in read
    ]
    if out and dropped and out.resolve() == dropped.resolve():
        faults.append(f"--out and --dropped are both {out}")
    if faults:
        raise ConfigError(f"{'; '.join(faults)}; name another file")


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Return files by the shortest ends of their paths, of as many parts for all of one name, that tell them apart."""
    named: dict[str, Path] = {}
    for _, same in groupby(sorted(set(files), key=lambda file: (file.name, file)), key=lambda file: file.name):
        alike = list(same)
        depths = range(1, 1 + max(len(file.parts) for file in alike))
        depth = next(n for n in depths if len({file.parts[-n:] for file in alike}) == len(alike))
        named |= {"/".join(file.parts[-depth:]): file for file in alike}
    return named


def _source(given: str) -> tuple[str, Path]:
    """Read ``source=FILE`` or ``FILE``."""
    name, equals, path = given.partition("=")
    return (name, Path(path)) if equals and not Path(given).exists() else ("", Path(given))


def _numbers(given: Sequence[str]) -> dict[str, int]:
    """Read ``source=N``."""
    found = {}
    for one in given:
        name, _, number = one.partition("=")
        if not name or not number.isdecimal():
            raise ConfigError(f"{one!r} is no source with a number; write for example catalogs=30000")
        found[name] = int(number)
    return found
