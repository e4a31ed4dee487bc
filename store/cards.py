"""Task cards that users added. All that were ever added are kept; the newest of a task and language counts."""

from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, func, insert, select

from store.database import Repository, bump
from store.records import StoredCard, field_names
from store.schema import card
from store.sealing import json_faults, refuse, text_faults

Cards: TypeAlias = list[StoredCard]  # inside the class, `list` is the method


class CardRepository(Repository):
    """Add and read task cards."""

    def add(self, taskname: str, lang: str, card_json: str, card_sha256: str) -> bool:
        """Store a card as the newest of its task and language.

        Returns:
            False when the very same card is the newest already; then nothing is written.

        Raises:
            InvalidRecordError: the card is no JSON, or a text cannot be stored.
        """
        key = {"taskname": taskname, "lang": lang}
        texts = key | {"card_sha256": card_sha256}
        refuse(
            f"the card of {taskname!r}", [*text_faults(texts, required=True), *json_faults({"card_json": card_json})]
        )
        with self._database.write(f"card {len(taskname)}:{taskname} {lang}") as connection:
            newest = _newest(connection, taskname, lang)
            if newest == (card_json, card_sha256):
                return False
            content = {"card_json": card_json, "card_sha256": card_sha256, "created_at": datetime.now(UTC)}
            connection.execute(insert(card).values(**key, **content))
            bump(connection)
            return True

    def list(self) -> Cards:
        """Return the newest card of each task and language, sorted by both."""
        newest = select(func.max(card.c.card_id)).group_by(card.c.taskname, card.c.lang)
        columns = (card.c[name] for name in field_names(StoredCard))
        wanted = select(*columns).where(card.c.card_id.in_(newest))
        with self._database.read() as connection:
            found = [StoredCard(**row) for row in connection.execute(wanted).mappings()]
        return sorted(found, key=lambda stored: (stored.taskname, stored.lang))


def _newest(connection: Connection, taskname: str, lang: str) -> tuple[str, str] | None:
    wanted = select(card.c.card_json, card.c.card_sha256).where(card.c.taskname == taskname, card.c.lang == lang)
    found = connection.execute(wanted.order_by(card.c.card_id.desc()).limit(1)).first()
    return None if found is None else (found.card_json, found.card_sha256)
