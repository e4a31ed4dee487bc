"""What people decided about sources: for each source and language pair one decision, the latest.

A decision holds for every engine, so it is kept apart from what engines made. What it says is the caller's JSON.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, bindparam, insert, select, update

from store.database import Repository
from store.schema import override
from store.sealing import json_faults, refuse, storable, text_faults


class OverrideRepository(Repository):
    """Apply and list people's decisions."""

    def apply(self, src: str, tgt: str, decisions: Mapping[str, str]) -> int:
        """Keep decisions, all of them or none, in one transaction; each replaces an earlier one of its source.

        Args:
            src: language of the sources, such as "en".
            tgt: language decided for, such as "sv".
            decisions: sha256 of the source -> the decision as JSON text, which is kept letter by letter.

        Returns:
            How many are new or say something else than before; the others are not touched, their time included.

        Raises:
            InvalidRecordError: a decision is no JSON, or a language or hash is empty or cannot be stored; every fault
                is named, nothing is written.
        """
        refuse(f"the decisions for {src}-{tgt}", [*_faults(src, tgt, decisions)])
        if not decisions:
            return 0
        with self._database.write(f"overrides {len(src)}:{src} {tgt}") as connection:
            known = _listed(connection, src, tgt)
            changed = [key for key, said in decisions.items() if known.get(key) != said]
            _insert(connection, src, tgt, {key: decisions[key] for key in changed if key not in known})
            _replace(connection, src, tgt, {key: decisions[key] for key in changed if key in known})
            return len(changed)

    def list(self, src: str, tgt: str) -> dict[str, str]:
        """Return every decision for a language pair as JSON text, by the sha256 of its source, sorted."""
        if not (storable(src) and storable(tgt)):
            return {}
        with self._database.read() as connection:
            return dict(sorted(_listed(connection, src, tgt).items()))


def _listed(connection: Connection, src: str, tgt: str) -> dict[str, str]:
    wanted = select(override.c.source_sha256, override.c.payload_json)
    found = connection.execute(wanted.where(override.c.src == src, override.c.tgt == tgt))
    return {row.source_sha256: row.payload_json for row in found}


def _insert(connection: Connection, src: str, tgt: str, decisions: Mapping[str, str]) -> None:
    now = datetime.now(UTC)
    stamp = {"src": src, "tgt": tgt, "created_at": now, "updated_at": now}
    rows = [{"source_sha256": key, "payload_json": said} | stamp for key, said in decisions.items()]
    if rows:
        connection.execute(insert(override), rows)


def _replace(connection: Connection, src: str, tgt: str, decisions: Mapping[str, str]) -> None:
    this = and_(override.c.src == src, override.c.tgt == tgt, override.c.source_sha256 == bindparam("decided"))
    latest = update(override).where(this).values(payload_json=bindparam("said"), updated_at=datetime.now(UTC))
    rows = [{"decided": key, "said": said} for key, said in decisions.items()]
    if rows:
        connection.execute(latest, rows)


def _faults(src: str, tgt: str, decisions: Mapping[str, str]) -> list[str]:
    keys = {f"the source hash {key!r:.80}": key for key in decisions}
    documents = {f"the decision for source {key!r:.80}": said for key, said in decisions.items()}
    return [*text_faults({"src": src, "tgt": tgt} | keys, required=True), *json_faults(documents)]
