"""A corpus as a folder: ``train.jsonl``, ``dev.jsonl`` and ``manifest.json``, which counts and hashes them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from translate.corpus.augment import AUGMENTATIONS
from translate.corpus.build import Corpus
from translate.corpus.filters import FILTERS
from translate.corpus.pairs import CorpusError, Pair
from translate.corpus.settings import CorpusSettings

__all__ = ["corpus_files", "pairs_text", "read_corpus", "read_manifest"]

MANIFEST = "manifest.json"
PARTS = ("train", "dev")


def corpus_files(corpus: Corpus, settings: CorpusSettings, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of a corpus's files by name, the manifest last.

    ``inputs`` has the sha256 of every file that the corpus was made from, by name.
    """
    pairs = {part: getattr(corpus, part) for part in PARTS}
    files = {f"{part}.jsonl": pairs_text(found) for part, found in pairs.items()}
    manifest = {
        "langpair": f"{settings.src}-{settings.tgt}",
        "pairs": {part: len(found) for part, found in pairs.items()},
        "sha256": {part: hashlib.sha256(files[f"{part}.jsonl"].encode()).hexdigest() for part in PARTS},
        "read": dict(sorted(corpus.read.items())),
        "dropped": {name: dict(sorted(n.items())) for name, n in sorted(corpus.dropped.items())},
        "train_by_source_and_kind": {name: dict(sorted(n.items())) for name, n in sorted(corpus.kept.items())},
        "filters": FILTERS,
        "augmentations": list(AUGMENTATIONS),
        "settings": asdict(settings),
        "inputs": dict(sorted(inputs.items())),
    }
    return {**files, MANIFEST: json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"}


def pairs_text(pairs: Iterable[Pair]) -> str:
    """Return pairs as JSON lines."""
    fields = ({"src": p.src, "tgt": p.tgt, "source": p.source, "kind": p.kind} for p in pairs)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in fields)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a corpus.

    Raises:
        CorpusError: the folder holds none, or one that was not finished.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CorpusError(
            f"{folder} holds no finished corpus ({exc}); make one with `promptbank mt corpus build`"
        ) from exc
    return manifest


def read_corpus(folder: Path, part: str = "train") -> list[Pair]:
    """Read the pairs of one part, checked against the manifest.

    Raises:
        CorpusError: the folder holds no finished corpus, or the file is not the one that was written.
    """
    wanted = read_manifest(folder)["sha256"].get(part)
    path = folder / f"{part}.jsonl"
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise CorpusError(f"{path} cannot be read ({exc.strerror}); make the corpus again") from exc
    if hashlib.sha256(data).hexdigest() != wanted:
        raise CorpusError(f"{path} is not the file that its manifest tells of; make the corpus again")
    return [Pair(**json.loads(line)) for line in data.splitlines()]
