"""Quotas of API keys, and the share of a task's requests that an alias gets.

There is no downgrade: it would let keys ask more than they may.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what is there has no quota and no share."""
    op.add_column("api_key", sa.Column("records_per_minute", sa.Integer(), nullable=True))
    op.add_column("api_key", sa.Column("tokens_per_minute", sa.Integer(), nullable=True))
    op.add_column("alias", sa.Column("share", sa.Float(53), nullable=True))
