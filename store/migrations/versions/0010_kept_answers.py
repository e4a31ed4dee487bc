"""Two tables: of which tasks doubtful answers are kept for people to decide about, and those that were kept.

There is no downgrade: it would lose what people decided.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; nothing is kept until somebody asks for it."""
    op.create_table(
        "answer_keeping",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("taskname", "lang")),
        sa.Column("below", sa.Float(53), nullable=False),
        sa.Column("beside", sa.Integer(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("taskname", "lang", name="pk_answer_keeping"),
    )
    op.create_table(
        "kept_answer",
        sa.Column("answer_id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("taskname", "lang")),
        sa.Column("version", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("fields_json", "fields_sha256", "label")),
        sa.Column("probability", sa.Float(53), nullable=False),
        sa.Column("other_version", sa.Integer(), nullable=True),
        sa.Column("other_label", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("decided", "decided_by")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("answer_id", name="pk_kept_answer"),
        sa.UniqueConstraint("taskname", "lang", "fields_sha256", name="uq_kept_answer_fields"),
    )
