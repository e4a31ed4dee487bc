"""A table: what API keys have used of their quotas, shared by the processes of a service.

There is no downgrade: it would let keys ask more than they may.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nothing that is there is touched."""
    op.create_table(
        "quota_use",
        sa.Column("window_name", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("window_name", name="pk_quota_use"),
    )
