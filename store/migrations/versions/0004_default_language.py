"""A table: in which language a task is meant where none is named.

There is no downgrade: it would throw people's decisions away.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nothing that is there is touched."""
    op.create_table(
        "default_language",
        sa.Column("default_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("taskname", "lang", "reason")),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("default_id", name="pk_default_language"),
    )
    op.create_index("ix_default_language_task", "default_language", ["taskname", "default_id"])
