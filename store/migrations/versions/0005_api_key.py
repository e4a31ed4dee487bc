"""A table: keys of the HTTP service, by their hashes.

There is no downgrade: it would open services that keys protect.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nothing that is there is touched."""
    op.create_table(
        "api_key",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("name", "scopes", "key_sha256")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_api_key"),
        sa.UniqueConstraint("key_sha256", name="uq_api_key_sha256"),
    )
