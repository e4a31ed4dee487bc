"""The tables as they are now; `migrations/` says how a database gets there, and a test compares the two.

`prompt_row`, `evaluation`, `alias_history`, `card` and `default_language` are insert-only (see `triggers.py`). An alias
refers to a row by (taskname, lang, fingerprint, version), so the database itself refuses one that points out of its
scope. `segment` and `override` belong to translation, and no trigger guards them: a person may change a decision.
Nor does one guard `queued_training` and `kept_answer`: what was trained or is too old leaves them, with its texts.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

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


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False) for name in names]


def _integers(*names: str, nullable: bool = False) -> list[Column[int]]:
    return [Column(name, Integer, nullable=nullable) for name in names]


def _times(*names: str, nullable: bool = False) -> list[Column[datetime]]:
    return [Column(name, UtcDateTime, nullable=nullable) for name in names]


metadata = MetaData()

prompt_row = Table(
    "prompt_row",
    metadata,
    *_integers("row_id"),
    *_texts(*SCOPE),
    *_integers("version"),
    Column("data", LargeBinary, nullable=False),
    *_integers("virtual_tokens", "hidden_size"),
    *_texts("sha256", "tokenizer_sha256", "backbone_name", "card_json", "template_sha256", "policy_json"),
    *_texts("training_json"),
    Column("seed", BigInteger, nullable=False),
    *_texts("data_sha256"),
    *_integers("parent_version", nullable=True),
    *_texts("packages_json", "probes_json"),
    Column("probe_logits", LargeBinary, nullable=False),
    *_integers("probe_rows", "probe_columns"),
    *_texts("record_sha256"),  # over the columns that SEALS lists
    *_times("created_at"),
    *_texts("kind", "layout"),
    *_integers("seal_version"),
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

FILLED: Mapping[str, Callable[[Mapping[Any, Any]], object]] = {
    "kind": lambda _: "rows.v1",
    "layout": lambda row: f'[["virtual_tokens", "float32", [{row["virtual_tokens"]}, {row["hidden_size"]}]]]',
}
"""What the migrations wrote into later columns of rows that were there: a seal that leaves a column out vouches for
this value alone."""

_ROW_KEY = [f"prompt_row.{name}" for name in (*SCOPE, "version")]

alias = Table(
    "alias",
    metadata,
    *_texts(*SCOPE, "name"),
    *_integers("version", nullable=True),  # NULL: retired
    Column("share", Float(53)),  # of the requests that name no version; NULL: none
    PrimaryKeyConstraint(*SCOPE, "name", name="pk_alias"),
    ForeignKeyConstraint([*SCOPE, "version"], _ROW_KEY, name="fk_alias_row"),
)

alias_history = Table(
    "alias_history",
    metadata,
    *_integers("move_id"),
    *_texts(*SCOPE, "name", "kind"),
    *_integers("from_version", "to_version", nullable=True),
    *_texts("reason"),
    *_times("moved_at"),
    PrimaryKeyConstraint("move_id", name="pk_alias_history"),
    ForeignKeyConstraint([*SCOPE, "to_version"], _ROW_KEY, name="fk_alias_history_row"),
    CheckConstraint("kind IN ('move', 'rollback', 'retire')", name="ck_alias_history_kind"),
    Index("ix_alias_history_alias", *SCOPE, "name", "move_id"),
)

evaluation = Table(
    "evaluation",
    metadata,
    *_integers("evaluation_id", "row_id"),
    *_texts("data_sha256", "split", "metrics_json", "dtype", "details_json"),
    *_times("created_at"),
    PrimaryKeyConstraint("evaluation_id", name="pk_evaluation"),
    ForeignKeyConstraint(["row_id"], ["prompt_row.row_id"], name="fk_evaluation_row"),
    Index("ix_evaluation_row", "row_id"),
)

card = Table(
    "card",
    metadata,
    *_integers("card_id"),
    *_texts("taskname", "lang", "card_json", "card_sha256"),
    *_times("created_at"),
    PrimaryKeyConstraint("card_id", name="pk_card"),
    Index("ix_card_task", "taskname", "lang", "card_id"),
)

default_language = Table(
    "default_language",
    metadata,
    *_integers("default_id"),
    *_texts("taskname", "lang", "reason"),
    *_times("chosen_at"),
    *_texts("role"),  # default or fallback, see `store.defaults`
    PrimaryKeyConstraint("default_id", name="pk_default_language"),
    Index("ix_default_language_task", "taskname", "role", "default_id"),
)

api_key = Table(
    "api_key",
    metadata,
    *_texts("name", "scopes", "key_sha256"),  # scopes: sorted, with a space between two
    *_times("created_at"),
    *_times("revoked_at", nullable=True),
    *_integers("records_per_minute", "tokens_per_minute", nullable=True),  # NULL: as many as it likes
    PrimaryKeyConstraint("name", name="pk_api_key"),
    UniqueConstraint("key_sha256", name="uq_api_key_sha256"),
)

quota_use = Table(
    "quota_use",
    metadata,
    *_texts("window_name"),
    Column("used", BigInteger, nullable=False),
    *_times("ends_at"),
    PrimaryKeyConstraint("window_name", name="pk_quota_use"),
)

run = Table(
    "run",
    metadata,
    *_texts("run_id", "kind", "config_json", "data_sha256", "status"),
    Column("result_json", Text),
    *_times("started_at"),
    *_times("finished_at", nullable=True),
    PrimaryKeyConstraint("run_id", name="pk_run"),
)

run_metric = Table(
    "run_metric",
    metadata,
    *_texts("run_id"),
    *_integers("step"),
    *_texts("name"),
    Column("value", Float(53)),  # NULL stands for NaN, which SQLite cannot hold
    PrimaryKeyConstraint("run_id", "step", "name", name="pk_run_metric"),
    ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_run_metric_run"),
)

queued_training = Table(
    "queued_training",
    metadata,
    *_integers("training_id"),
    *_texts("task", "card_json", "records", "settings_json", "live", "asked_by", "state", "told"),
    *(Column(name, Text) for name in ("owner", "run_id")),  # NULL: nobody works on it, it has not begun
    *_integers("starts"),
    *_times("created_at", "changed_at"),
    PrimaryKeyConstraint("training_id", name="pk_queued_training"),
)

answer_keeping = Table(
    "answer_keeping",
    metadata,
    *_texts("taskname", "lang"),
    Column("below", Float(53), nullable=False),
    *_integers("beside", nullable=True),  # NULL: no other version is asked
    *_integers("days"),
    PrimaryKeyConstraint("taskname", "lang", name="pk_answer_keeping"),
)

kept_answer = Table(
    "kept_answer",
    metadata,
    *_integers("answer_id"),
    *_texts("taskname", "lang"),
    *_integers("version"),
    *_texts("fields_json", "fields_sha256", "label"),
    Column("probability", Float(53), nullable=False),
    *_integers("other_version", nullable=True),
    *(Column(name, Text) for name in ("other_label", "decided", "decided_by")),  # decided: NULL while it is open
    *_times("created_at"),
    *_times("decided_at", nullable=True),
    PrimaryKeyConstraint("answer_id", name="pk_kept_answer"),
    UniqueConstraint("taskname", "lang", "fields_sha256", name="uq_kept_answer_fields"),
)

segment = Table(
    "segment",
    metadata,
    *_texts("engine_id", "segment_key", "src", "tgt", "source_text", "target_text"),
    Column("score", Float(53)),  # NULL: the engine gives none
    *_times("created_at"),
    PrimaryKeyConstraint("engine_id", "segment_key", name="pk_segment"),
)

override = Table(
    "override",
    metadata,
    *_texts("src", "tgt", "source_sha256", "payload_json"),
    *_times("created_at", "updated_at"),  # of the first decision, and of the one that counts
    PrimaryKeyConstraint("src", "tgt", "source_sha256", name="pk_override"),
)

revision = Table(
    "revision",
    metadata,
    *_integers("revision_id"),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("revision_id", name="pk_revision"),
    CheckConstraint("revision_id = 1", name="ck_revision_single"),
)

COPIED = tuple(table for table in metadata.sorted_tables if table is not quota_use)
"""What a copy of the bank has: all tables but counts that are old in a minute."""
