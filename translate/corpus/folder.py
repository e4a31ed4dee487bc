"""A corpus as a folder: ``train.jsonl``, ``dev.jsonl`` and ``manifest.json``, which counts and hashes them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from translate.corpus.augment import AUGMENTATIONS
from translate.corpus.build import Corpus
from translate.corpus.filters import FILTERS
from translate.corpus.pairs import CorpusError, Pair
from translate.corpus.settings import CorpusSettings

__all__ = ["read_corpus", "read_manifest", "write_corpus", "write_pairs"]

MANIFEST = "manifest.json"
PARTS = ("train", "dev")


def write_corpus(folder: Path, corpus: Corpus, settings: CorpusSettings, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Write a corpus; the manifest last, so a folder with one is whole.

    Args:
        folder: made if it is not there.
        corpus: what to write.
        settings: how it was made.
        inputs: sha256 of every file it was made from, by name.

    Returns:
        The manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    hashes = {part: write_pairs(folder / f"{part}.jsonl", getattr(corpus, part)) for part in PARTS}
    manifest = {
        "langpair": f"{settings.src}-{settings.tgt}",
        "pairs": {part: len(getattr(corpus, part)) for part in PARTS},
        "sha256": hashes,
        "read": dict(sorted(corpus.read.items())),
        "dropped": {name: dict(sorted(n.items())) for name, n in sorted(corpus.dropped.items())},
        "train_by_source_and_kind": {name: dict(sorted(n.items())) for name, n in sorted(corpus.kept.items())},
        "filters": FILTERS,
        "augmentations": list(AUGMENTATIONS),
        "settings": asdict(settings),
        "inputs": dict(sorted(inputs.items())),
    }
    _write(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
    return manifest


def write_pairs(path: Path, pairs: Iterable[Pair]) -> str:
    """Write pairs as JSON lines, all or nothing; return the file's sha256."""
    fields = ({"src": p.src, "tgt": p.tgt, "source": p.source, "kind": p.kind} for p in pairs)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in fields)
    _write(path, text)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what is known of a corpus.

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


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; as `promptbank.files.write_atomically`, which this room may not import."""
    if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/stdout
        path.write_text(text, encoding="utf-8")
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
