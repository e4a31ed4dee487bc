"""A table: trainings that were asked for and wait for their turn.

There is no downgrade: it would lose what people asked for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXTS = ("task", "card_json", "records", "settings_json", "live", "asked_by", "state", "told")


def upgrade() -> None:
    """Create the table; nothing that is there is touched."""
    op.create_table(
        "queued_training",
        sa.Column("training_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("owner", "run_id")),
        sa.Column("starts", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("created_at", "changed_at")),
        sa.PrimaryKeyConstraint("training_id", name="pk_queued_training"),
    )
