"""The translation memory: what each engine made of each segment, so that no segment is translated twice by one engine.

The names of an engine and of a segment come from the caller and decide everything: another model, other decoding
options or another text must come with another name. A batch is one transaction, so a killed process loses no more.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select

from store.database import Repository
from store.records import field_names
from store.schema import segment
from store.sealing import refuse, storable, text_faults

CHUNK = 500  # keys per question; an older SQLite takes 999 parameters at most


@dataclass(frozen=True)
class StoredSegment:
    """One text and what an engine made of it.

    Attributes:
        key: of the segment, under which it is recalled.
        src: language of the text, such as "en".
        tgt: language of the translation, such as "sv".
        source_text: as the engine got it.
        target_text: as the engine gave it; may be empty.
        score: mean log-probability a token; None where the engine gives none.
    """

    key: str
    src: str
    tgt: str
    source_text: str
    target_text: str
    score: float | None = None


@dataclass(frozen=True)
class StoredEngine:
    """How much of one language pair the memory has from one engine.

    Attributes:
        engine_id: the engine's name for itself.
        langpair: such as "en-sv".
        segments: how many are kept.
        last_at: when the last of them was, aware and in UTC.
    """

    engine_id: str
    langpair: str
    segments: int
    last_at: datetime


class SegmentRepository(Repository):
    """Recall and remember translations. What was remembered first stays."""

    def recall(self, engine_id: str, keys: Sequence[str]) -> dict[str, StoredSegment]:
        """Return what an engine made of segments, by key and in the order of the keys.

        Args:
            engine_id: the engine.
            keys: any number, doubles allowed; all are looked up in one state of the bank, and unknown ones left out.
        """
        if not storable(engine_id):
            return {}
        with self._database.read() as connection:
            return _recalled(connection, engine_id, keys)

    def remember(self, engine_id: str, rows: Sequence[StoredSegment]) -> int:
        """Keep translations, all of them or none, in one transaction.

        Two processes may translate the same segments, and a model may answer the same text a little differently in
        another batch: a key that is known already is no error, and the translation that came first stays.

        Args:
            engine_id: the engine.
            rows: what it made; of two with one key the first counts.

        Returns:
            How many were new.

        Raises:
            InvalidRecordError: a text cannot be stored, a key or language is empty, a score is NaN, or a key stands for
                another text or language pair already; every fault is named, nothing is written.
        """
        what = f"a batch of engine {engine_id!r}"
        refuse(what, [*text_faults({"engine_id": engine_id}, required=True), *_faults(rows)])
        if not rows:
            return 0
        with self._database.write(f"segments {engine_id}") as connection:
            known = _recalled(connection, engine_id, [row.key for row in rows])
            kept = {row.key: row for row in reversed(rows)} | known
            refuse(what, [*_conflicts(rows, kept)])
            stamp = {"engine_id": engine_id, "created_at": datetime.now(UTC)}
            new = [stamp | _said(row) for key, row in kept.items() if key not in known]
            if new:
                connection.execute(insert(segment), new)
            return len(new)

    def engines(self) -> list[StoredEngine]:
        """Return what is kept of each engine and language pair, sorted by both; it reads the whole table."""
        group = (segment.c.engine_id, segment.c.src, segment.c.tgt)
        wanted = select(*group, func.count(), func.max(segment.c.created_at)).group_by(*group)
        with self._database.read() as connection:
            found = [
                StoredEngine(engine_id, f"{src}-{tgt}", segments, last_at)
                for engine_id, src, tgt, segments, last_at in connection.execute(wanted)
            ]
        return sorted(found, key=lambda engine: (engine.engine_id, engine.langpair))


def _recalled(connection: Connection, engine_id: str, keys: Sequence[str]) -> dict[str, StoredSegment]:
    asked = [key for key in dict.fromkeys(keys) if storable(key)]
    columns = (segment.c[name] for name in _COLUMNS)
    wanted = select(*columns).where(segment.c.engine_id == engine_id)
    found: dict[str, StoredSegment] = {}
    for start in range(0, len(asked), CHUNK):
        chunk = wanted.where(segment.c.segment_key.in_(asked[start : start + CHUNK]))
        found |= {row[0]: StoredSegment(*row) for row in connection.execute(chunk)}
    return {key: found[key] for key in asked if key in found}


def _said(row: StoredSegment) -> dict[str, object]:
    return dict(zip(_COLUMNS, astuple(row), strict=True))


def _faults(rows: Sequence[StoredSegment]) -> Iterator[str]:
    for row in rows:
        of = f"of segment {row.key!r:.80}"
        yield from text_faults({f"the key {of}": row.key, f"src {of}": row.src, f"tgt {of}": row.tgt}, required=True)
        yield from text_faults({f"source_text {of}": row.source_text, f"target_text {of}": row.target_text})
        if row.score is not None and math.isnan(row.score):
            yield f"the score {of} is NaN; give a number, or None where the engine gives no score"


def _conflicts(rows: Sequence[StoredSegment], kept: dict[str, StoredSegment]) -> Iterator[str]:
    for row in rows:
        first = kept[row.key]
        if (row.src, row.tgt, row.source_text) != (first.src, first.tgt, first.source_text):
            yield (
                f"segment {row.key!r:.80} is {row.source_text!r:.80} ({row.src}-{row.tgt}), but this key stands for "
                f"{first.source_text!r:.80} ({first.src}-{first.tgt}) already; a key must be made of all of these"
            )


_COLUMNS = ("segment_key", *field_names(StoredSegment, "key"))
