"""The first tables: rows, aliases with history, evaluations, cards, runs with metrics, and the revision.

There is no downgrade: it would throw frozen rows away.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCOPE = ("taskname", "lang", "fingerprint")
ROW_KEY = ("prompt_row.taskname", "prompt_row.lang", "prompt_row.fingerprint", "prompt_row.version")


def upgrade() -> None:
    """Create the tables and start the revision at 0."""
    _prompt_row()
    _alias()
    _alias_history()
    _evaluation()
    _card()
    _runs()
    _revision()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _integer(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _time(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _prompt_row() -> None:
    op.create_table(
        "prompt_row",
        *_integer("row_id"),
        *_text(*SCOPE),
        *_integer("version"),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        *_integer("virtual_tokens", "hidden_size"),
        *_text("sha256", "tokenizer_sha256", "backbone_name", "card_json", "template_sha256", "policy_json"),
        *_text("training_json"),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        *_text("data_sha256"),
        sa.Column("parent_version", sa.Integer()),
        *_text("packages_json", "probes_json"),
        sa.Column("probe_logits", sa.LargeBinary(), nullable=False),
        *_integer("probe_rows", "probe_columns"),
        *_text("record_sha256"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("row_id", name="pk_prompt_row"),
        sa.UniqueConstraint(*SCOPE, "version", name="uq_prompt_row_version"),
        sa.CheckConstraint("version >= 1", name="ck_prompt_row_version"),
        sa.CheckConstraint("length(data) = 4 * virtual_tokens * hidden_size", name="ck_prompt_row_shape"),
    )


def _alias() -> None:
    op.create_table(
        "alias",
        *_text(*SCOPE, "name"),
        sa.Column("version", sa.Integer()),
        sa.PrimaryKeyConstraint(*SCOPE, "name", name="pk_alias"),
        sa.ForeignKeyConstraint([*SCOPE, "version"], ROW_KEY, name="fk_alias_row"),
    )


def _alias_history() -> None:
    op.create_table(
        "alias_history",
        *_integer("move_id"),
        *_text(*SCOPE, "name", "kind"),
        sa.Column("from_version", sa.Integer()),
        sa.Column("to_version", sa.Integer()),
        *_text("reason"),
        _time("moved_at"),
        sa.PrimaryKeyConstraint("move_id", name="pk_alias_history"),
        sa.ForeignKeyConstraint([*SCOPE, "to_version"], ROW_KEY, name="fk_alias_history_row"),
        sa.CheckConstraint("kind IN ('move', 'rollback', 'retire')", name="ck_alias_history_kind"),
    )
    op.create_index("ix_alias_history_alias", "alias_history", [*SCOPE, "name", "move_id"])


def _evaluation() -> None:
    op.create_table(
        "evaluation",
        *_integer("evaluation_id", "row_id"),
        *_text("data_sha256", "split", "metrics_json", "dtype", "details_json"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("evaluation_id", name="pk_evaluation"),
        sa.ForeignKeyConstraint(["row_id"], ["prompt_row.row_id"], name="fk_evaluation_row"),
    )
    op.create_index("ix_evaluation_row", "evaluation", ["row_id"])


def _card() -> None:
    op.create_table(
        "card",
        *_integer("card_id"),
        *_text("taskname", "lang", "card_json", "card_sha256"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("card_id", name="pk_card"),
    )
    op.create_index("ix_card_task", "card", ["taskname", "lang", "card_id"])


def _runs() -> None:
    op.create_table(
        "run",
        *_text("run_id", "kind", "config_json", "data_sha256", "status"),
        sa.Column("result_json", sa.Text()),
        _time("started_at"),
        _time("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("run_id", name="pk_run"),
    )
    op.create_table(
        "run_metric",
        *_text("run_id"),
        *_integer("step"),
        *_text("name"),
        sa.Column("value", sa.Float(53)),
        sa.PrimaryKeyConstraint("run_id", "step", "name", name="pk_run_metric"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_run_metric_run"),
    )


def _revision() -> None:
    table = op.create_table(
        "revision",
        *_integer("revision_id"),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision_id", name="pk_revision"),
        sa.CheckConstraint("revision_id = 1", name="ck_revision_single"),
    )
    op.bulk_insert(table, [{"revision_id": 1, "value": 0}])
