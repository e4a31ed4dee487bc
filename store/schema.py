"""The tables, as they are now. How a database gets there is in `migrations/`; a test holds the two together.

`prompt_row`, `evaluation`, `alias_history` and `card` are insert-only (see `triggers.py`). An alias refers to a row by
(taskname, lang, fingerprint, version), so the database itself refuses one that points out of its scope.

`segment` and `override` belong to translation. No trigger guards them: a segment can be translated again, and a person
may think again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

SCOPE = ("taskname", "lang", "fingerprint")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept as UTC; SQLite has no time zones, so there it is written naive and read back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give a stored time back as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata = MetaData()

prompt_row = Table(
    "prompt_row",
    metadata,
    Column("row_id", Integer, nullable=False),
    Column("taskname", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("virtual_tokens", Integer, nullable=False),
    Column("hidden_size", Integer, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("tokenizer_sha256", Text, nullable=False),
    Column("backbone_name", Text, nullable=False),
    Column("card_json", Text, nullable=False),
    Column("template_sha256", Text, nullable=False),
    Column("policy_json", Text, nullable=False),
    Column("training_json", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("data_sha256", Text, nullable=False),
    Column("parent_version", Integer),
    Column("packages_json", Text, nullable=False),
    Column("probes_json", Text, nullable=False),
    Column("probe_logits", LargeBinary, nullable=False),
    Column("probe_rows", Integer, nullable=False),
    Column("probe_columns", Integer, nullable=False),
    Column("record_sha256", Text, nullable=False),  # over the columns that SEALS lists
    Column("created_at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("layout", Text, nullable=False),
    Column("seal_version", Integer, nullable=False),
    PrimaryKeyConstraint("row_id", name="pk_prompt_row"),
    UniqueConstraint(*SCOPE, "version", name="uq_prompt_row_version"),
    CheckConstraint("version >= 1", name="ck_prompt_row_version"),
    CheckConstraint("kind <> 'rows.v1' OR length(data) = 4 * virtual_tokens * hidden_size", name="ck_prompt_row_shape"),
)

_SEAL_1 = (
    *(*SCOPE, "version", "data", "virtual_tokens", "hidden_size", "sha256", "tokenizer_sha256", "backbone_name"),
    *("card_json", "template_sha256", "policy_json", "training_json", "seed", "data_sha256", "parent_version"),
    *("packages_json", "probes_json", "probe_logits", "probe_rows", "probe_columns"),
)
SEALS: Mapping[int, tuple[str, ...]] = {1: _SEAL_1, 2: (*_SEAL_1, "kind", "layout")}
"""The columns of `prompt_row` that `record_sha256` covers, by `seal_version`. New rows get the newest; a published
entry never changes. A column that is added needs a new entry, or it is not sealed."""

alias = Table(
    "alias",
    metadata,
    Column("taskname", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Integer),  # NULL: retired
    PrimaryKeyConstraint(*SCOPE, "name", name="pk_alias"),
    ForeignKeyConstraint(
        [*SCOPE, "version"], [f"prompt_row.{name}" for name in (*SCOPE, "version")], name="fk_alias_row"
    ),
)

alias_history = Table(
    "alias_history",
    metadata,
    Column("move_id", Integer, nullable=False),
    Column("taskname", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("from_version", Integer),
    Column("to_version", Integer),
    Column("reason", Text, nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("move_id", name="pk_alias_history"),
    ForeignKeyConstraint(
        [*SCOPE, "to_version"], [f"prompt_row.{name}" for name in (*SCOPE, "version")], name="fk_alias_history_row"
    ),
    CheckConstraint("kind IN ('move', 'rollback', 'retire')", name="ck_alias_history_kind"),
    Index("ix_alias_history_alias", *SCOPE, "name", "move_id"),
)

evaluation = Table(
    "evaluation",
    metadata,
    Column("evaluation_id", Integer, nullable=False),
    Column("row_id", Integer, nullable=False),
    Column("data_sha256", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("metrics_json", Text, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("details_json", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("evaluation_id", name="pk_evaluation"),
    ForeignKeyConstraint(["row_id"], ["prompt_row.row_id"], name="fk_evaluation_row"),
    Index("ix_evaluation_row", "row_id"),
)

card = Table(
    "card",
    metadata,
    Column("card_id", Integer, nullable=False),
    Column("taskname", Text, nullable=False),
    Column("lang", Text, nullable=False),
    Column("card_json", Text, nullable=False),
    Column("card_sha256", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("card_id", name="pk_card"),
    Index("ix_card_task", "taskname", "lang", "card_id"),
)

run = Table(
    "run",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("config_json", Text, nullable=False),
    Column("data_sha256", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("result_json", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    PrimaryKeyConstraint("run_id", name="pk_run"),
)

run_metric = Table(
    "run_metric",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("step", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Float(53)),  # NULL stands for NaN, which SQLite cannot hold
    PrimaryKeyConstraint("run_id", "step", "name", name="pk_run_metric"),
    ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_run_metric_run"),
)

segment = Table(
    "segment",
    metadata,
    Column("engine_id", Text, nullable=False),
    Column("segment_key", Text, nullable=False),
    Column("src", Text, nullable=False),
    Column("tgt", Text, nullable=False),
    Column("source_text", Text, nullable=False),
    Column("target_text", Text, nullable=False),
    Column("score", Float(53)),  # NULL: the engine gives none
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("engine_id", "segment_key", name="pk_segment"),
)

override = Table(
    "override",
    metadata,
    Column("src", Text, nullable=False),
    Column("tgt", Text, nullable=False),
    Column("source_sha256", Text, nullable=False),
    Column("payload_json", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),  # of the first decision
    Column("updated_at", UtcDateTime, nullable=False),  # of the one that counts
    PrimaryKeyConstraint("src", "tgt", "source_sha256", name="pk_override"),
)

revision = Table(
    "revision",
    metadata,
    Column("revision_id", Integer, nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("revision_id", name="pk_revision"),
    CheckConstraint("revision_id = 1", name="ck_revision_single"),
)
