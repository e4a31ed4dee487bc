"""Two tables: what engines made of segments, and what people decided about sources.

There is no downgrade: it would throw people's decisions away.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; nothing that is there is touched."""
    _segment()
    _override()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _time(*names: str) -> "list[sa.Column[object]]":
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names]


def _segment() -> None:
    op.create_table(
        "segment",
        *_text("engine_id", "segment_key", "src", "tgt", "source_text", "target_text"),
        sa.Column("score", sa.Float(53)),
        *_time("created_at"),
        sa.PrimaryKeyConstraint("engine_id", "segment_key", name="pk_segment"),
    )


def _override() -> None:
    op.create_table(
        "override",
        *_text("src", "tgt", "source_sha256", "payload_json"),
        *_time("created_at", "updated_at"),
        sa.PrimaryKeyConstraint("src", "tgt", "source_sha256", name="pk_override"),
    )
