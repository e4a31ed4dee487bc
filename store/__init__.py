"""Frozen prompt rows and everything else that must survive, on SQLite or PostgreSQL.

Rows of virtual-token embeddings go in as bytes and come out as the same bytes, verified; nothing that was frozen is
ever changed. Begin with `open_store`. No tensor and no SQLAlchemy object passes this border.
"""

from store.bank import Store, open_store
from store.copying import back_up, move_bank
from store.defaults import FALLBACK
from store.errors import (
    DiskFullError,
    InsertOnlyError,
    InvalidRecordError,
    InvalidRowError,
    NoEarlierVersionError,
    NotFoundError,
    RevisionConflictError,
    RunConflictError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
    TamperedRowError,
    UnknownAliasError,
    UnknownApiKeyError,
    UnknownRowError,
    UnknownRunError,
    UnknownTrainingError,
    UnknownVersionError,
)
from store.migrate import migrate, schema_state
from store.quotas import QuotaRepository
from store.records import (
    ROWS_V1,
    AliasMove,
    ApiKey,
    DefaultLanguage,
    Evaluation,
    Layout,
    NewEvaluation,
    NewRow,
    NewTraining,
    QueuedTraining,
    Row,
    RowInfo,
    Run,
    SchemaState,
    Scope,
    StoredCard,
)
from store.segments import StoredEngine, StoredSegment

__all__ = [
    "FALLBACK",
    "ROWS_V1",
    "AliasMove",
    "ApiKey",
    "DefaultLanguage",
    "DiskFullError",
    "Evaluation",
    "InsertOnlyError",
    "InvalidRecordError",
    "InvalidRowError",
    "Layout",
    "NewEvaluation",
    "NewRow",
    "NewTraining",
    "NoEarlierVersionError",
    "NotFoundError",
    "QueuedTraining",
    "QuotaRepository",
    "RevisionConflictError",
    "Row",
    "RowInfo",
    "Run",
    "RunConflictError",
    "SchemaError",
    "SchemaState",
    "Scope",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "StoredCard",
    "StoredEngine",
    "StoredSegment",
    "TamperedRowError",
    "UnknownAliasError",
    "UnknownApiKeyError",
    "UnknownRowError",
    "UnknownRunError",
    "UnknownTrainingError",
    "UnknownVersionError",
    "back_up",
    "migrate",
    "move_bank",
    "open_store",
    "schema_state",
]
