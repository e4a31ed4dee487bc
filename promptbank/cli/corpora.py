"""What the `mt corpus` commands do, once their options are read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from promptbank.cli.output import print_json, print_table, say
from promptbank.config import Settings, make_home
from promptbank.errors import ConfigError
from promptbank.files import sha256_of, write_text, write_together
from promptbank.mt.languages import Languages
from translate.corpus.build import build_corpus
from translate.corpus.filters import sieve
from translate.corpus.folder import corpus_files, pairs_text, read_manifest
from translate.corpus.pairs import Pair, read_held_out, read_pairs
from translate.corpus.settings import CorpusSettings
from translate.pipeline.alignment import EflomalAligner

__all__ = ["CorpusAsked", "build", "columns", "corpus_folder", "corpus_stats", "sift"]


@dataclass(frozen=True)
class CorpusAsked:
    """What `corpus build` and `corpus filter` were asked for; see their options."""

    langpair: str
    data: Sequence[str]
    held_out: Sequence[Path]
    cap: Sequence[str] | None = None
    repeat: Sequence[str] | None = None
    augment: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def settings(self) -> CorpusSettings:
        """Return the corpus's settings; caps and repeats that are not given are the defaults."""
        src, tgt = Languages.parse(self.langpair)
        numbers = (("caps", self.cap), ("repeats", self.repeat))
        given: dict[str, Any] = {key: _numbers(value) for key, value in numbers if value}
        return CorpusSettings(src=src, tgt=tgt, seed=self.seed, **given, **dict[str, Any](self.augment))

    def pairs(self) -> Iterator[Pair]:
        """Read all files."""
        for source, path in map(_source, self.data):
            yield from read_pairs(path, *Languages.parse(self.langpair), source=source)

    def evaluation(self) -> frozenset[str]:
        """Read what must not be learnt."""
        return read_held_out(self.held_out, *Languages.parse(self.langpair))


def build(settings: Settings, asked: CorpusAsked, name: str | None, *, as_json: bool) -> None:
    """Make a corpus."""
    wanted = asked.settings()
    corpus = build_corpus(asked.pairs(), wanted, asked.evaluation(), EflomalAligner() if wanted.aligned else None)
    make_home(settings.home)
    files = [path for _, path in map(_source, asked.data)] + list(asked.held_out)
    names = Counter(path.name for path in files)
    inputs = {p.name if names[p.name] == 1 else f"{p.parent.name}/{p.name}": sha256_of(p) for p in files}
    folder = settings.home / "mt" / (name or asked.langpair) / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    write_together({folder / file: text for file, text in corpus_files(corpus, wanted, inputs).items()})
    _print_manifest(read_manifest(folder), as_json=as_json)
    say(f"corpus: {folder}")


def sift(asked: CorpusAsked, out: Path | None, dropped: Path | None, *, as_json: bool) -> None:
    """Count what the rules drop; write what they keep and drop if asked to."""
    _refuse_to_overwrite(asked, out, dropped)
    src, tgt = Languages.parse(asked.langpair)
    found = sieve(asked.pairs(), src, tgt, asked.evaluation())
    if out:
        write_text(out, pairs_text(found.kept))
    if dropped:
        lines = (json.dumps({**asdict(pair), "reason": why}, ensure_ascii=False) for pair, why in found.refused)
        write_text(dropped, "".join(f"{line}\n" for line in lines))
    gone = found.dropped
    rows = [
        {
            "source": name,
            "read": count,
            "kept": count - sum(gone.get(name, {}).values()),
            **gone.get(name, {}),
        }
        for name, count in sorted(found.read.items())
    ]
    print_table(rows, columns(rows), as_json=as_json)


def _refuse_to_overwrite(asked: CorpusAsked, out: Path | None, dropped: Path | None) -> None:
    """Make sure that nothing that is read is written over, and no file twice."""
    read = {path.resolve() for path in (*(path for _, path in map(_source, asked.data)), *asked.held_out)}
    faults = [
        f"{name} {path} is a file that is read"
        for name, path in (("--out", out), ("--dropped", dropped))
        if path and path.resolve() in read
    ]
    if out and dropped and out.resolve() == dropped.resolve():
        faults.append(f"--out and --dropped are both {out}")
    if faults:
        raise ConfigError(f"{'; '.join(faults)}; name another file")


def corpus_stats(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print a manifest."""
    _print_manifest(read_manifest(corpus_folder(settings, name)), as_json=as_json)


def corpus_folder(settings: Settings, name: str) -> Path:
    """Return the folder of a corpus, given by path or by name."""
    return Path(name) if (Path(name) / "manifest.json").is_file() else settings.home / "mt" / name / "corpus"


def columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the keys of all rows, each once, in order."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _print_manifest(manifest: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    rows = [
        {
            "source": name,
            "read": count,
            **manifest["dropped"].get(name, {}),
            **manifest["train_by_source_and_kind"].get(name, {}),
        }
        for name, count in manifest["read"].items()
    ]
    print_table(rows, columns(rows), as_json=False)
    say(f"{manifest['langpair']}: {manifest['pairs']['train']} pairs to learn, {manifest['pairs']['dev']} for dev")


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
