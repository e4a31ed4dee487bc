"""A choice of language says for what: as the default, or as the fallback for languages without a row.

There is no downgrade: it would make defaults of the fallbacks.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; every choice so far is of a default."""
    on = " ON default_language" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER IF EXISTS default_language_no_update{on}")  # env.py brings it back in this transaction
    with op.batch_alter_table("default_language") as batch:
        batch.add_column(sa.Column("role", sa.Text()))
    op.execute("UPDATE default_language SET role = 'default'")
    with op.batch_alter_table("default_language") as batch:
        batch.alter_column("role", existing_type=sa.Text, nullable=False)
        batch.drop_index("ix_default_language_task")
        batch.create_index("ix_default_language_task", ["taskname", "role", "default_id"])
