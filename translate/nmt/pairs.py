"""Pairs of sentences from files: TSV (source, target, then anything) or JSON lines ("src" and "tgt"), gzip or not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from translate.nmt.errors import NmtError

__all__ = ["Pair", "read_pairs"]

Pair = tuple[str, str]
"""Source and target text."""


def read_pairs(path: Path) -> Iterator[Pair]:
    """Yield the pairs of one file, in order, without white space at their ends.

    Args:
        path: ``*.tsv``, ``*.tsv.gz``, ``*.jsonl`` or ``*.jsonl.gz``.

    Raises:
        NmtError: the file cannot be read, its name ends otherwise, or a line holds no pair.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind not in ("tsv", "jsonl"):
        raise NmtError(f"{path}: pairs are read from .tsv and .jsonl files (or these with .gz)")
    read = _tsv if kind == "tsv" else _jsonl
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                pair = read(line)
                if pair is None:
                    raise NmtError(f"{path} line {number} holds no pair: {line.strip()[:60]!r}")
                yield pair
    except (OSError, EOFError, UnicodeDecodeError) as exc:
        raise NmtError(f"{path} cannot be read: {exc}") from exc


def _tsv(line: str) -> Pair | None:
    columns = [column.strip() for column in line.split("\t")]
    return (columns[0], columns[1]) if len(columns) > 1 and columns[0] and columns[1] else None


def _jsonl(line: str) -> Pair | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    src, tgt = (row.get("src"), row.get("tgt")) if isinstance(row, dict) else (None, None)
    if not isinstance(src, str) or not isinstance(tgt, str):
        return None
    return (src.strip(), tgt.strip()) if src.strip() and tgt.strip() else None
