"""Rows name their kind, list their tensors, and say which columns their seal covers.

Every row there is holds one float32 matrix, `virtual_tokens`, sealed with seal 1. There is no downgrade: rows of other
kinds would have no place.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {"kind": sa.Text, "layout": sa.Text, "seal_version": sa.Integer}
SHAPE = "kind <> 'rows.v1' OR length(data) = 4 * virtual_tokens * hidden_size"
FILL = (
    "UPDATE prompt_row SET kind = 'rows.v1', seal_version = 1, "
    """layout = '[["virtual_tokens", "float32", [' || virtual_tokens || ', ' || hidden_size || ']]]'"""
)


def upgrade() -> None:
    """Add the columns, fill them for the rows that are there, and let other kinds have other sizes."""
    on = " ON prompt_row" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER IF EXISTS prompt_row_no_update{on}")  # env.py brings it back in this transaction
    with op.batch_alter_table("prompt_row") as batch:
        for name, kind in COLUMNS.items():
            batch.add_column(sa.Column(name, kind))
    op.execute(FILL)  # a column without a default can only be required once it is filled
    with op.batch_alter_table("prompt_row") as batch:
        for name, kind in COLUMNS.items():
            batch.alter_column(name, existing_type=kind, nullable=False)
        batch.drop_constraint("ck_prompt_row_shape", type_="check")
        batch.create_check_constraint("ck_prompt_row_shape", SHAPE)
