"""The frozen records that callers pass to the store and get back.

They hold plain values only, nothing of SQLAlchemy. Times are aware and in UTC; bytes of numbers are little-endian.
"""

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TypeAlias

ROWS_V1 = "rows.v1"
Layout: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Name, dtype and shape of each tensor in a row's bytes, in their order."""


def rows_layout(virtual_tokens: int, hidden_size: int) -> Layout:
    """Return the layout of kind `rows.v1`: one float32 matrix (V, H)."""
    return (("virtual_tokens", "float32", (virtual_tokens, hidden_size)),)


def field_names(record: type, *without: str) -> tuple[str, ...]:
    """Return the names of a record's fields, in order, but for some."""
    return tuple(f.name for f in fields(record) if f.name not in without)


@dataclass(frozen=True, order=True)
class Scope:
    """Where versions and aliases count: one task in one language on one backbone.

    Attributes:
        taskname: such as "sentiment-task".
        lang: language code, such as "en".
        fingerprint: the backbone's fingerprint.
    """

    taskname: str
    lang: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.taskname}:{self.lang} (backbone {self.fingerprint[:12]})"


@dataclass(frozen=True, kw_only=True)
class NewRow:
    """A finished prompt row before the store gives it a version.

    It holds all that serving needs, so that a deleted card changes nothing. Letters: V virtual tokens, H hidden size.

    Attributes:
        scope: task, language and backbone.
        kind: the kind of prompt, a name with a version, such as "rows.v1".
        layout: the tensors in `data`.
        data: their bytes, one after the other, each in C order; of "rows.v1" the (V, H) float32 matrix.
        virtual_tokens: V.
        hidden_size: H.
        sha256: lower-case hex of the sha256 of `data`.
        tokenizer_sha256: hash of the tokenizer's canonical content.
        backbone_name: the name a person knows the backbone by.
        card_json: canonical JSON of the whole task card.
        template_sha256: hash of the prompt template.
        policy_json: whether BOS and EOS are added.
        training_json: the resolved training settings.
        seed: the training seed, within 64 signed bits.
        data_sha256: hash of the training data.
        parent_version: the version that this one was started from, if any.
        packages_json: versions of the packages that trained it.
        probes_json: a JSON list of probe inputs, `[{"fields": {...}}, ...]`.
        probe_logits: fp32 answers to the probes, float32 little-endian.
        probe_shape: shape of `probe_logits`.
    """

    scope: Scope
    kind: str
    layout: Layout
    data: bytes = field(repr=False)
    virtual_tokens: int
    hidden_size: int
    sha256: str
    tokenizer_sha256: str
    backbone_name: str
    card_json: str = field(repr=False)
    template_sha256: str
    policy_json: str = field(repr=False)
    training_json: str = field(repr=False)
    seed: int
    data_sha256: str
    parent_version: int | None
    packages_json: str = field(repr=False)
    probes_json: str = field(repr=False)
    probe_logits: bytes = field(repr=False)
    probe_shape: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Row(NewRow):
    """A stored row.

    Attributes:
        version: 1, 2, 3, ... in its scope, without gaps.
        created_at: when it was frozen; an imported row keeps the time of its first freeze.
        row_id: key inside this bank; another bank numbers differently.
    """

    version: int
    created_at: datetime
    row_id: int


@dataclass(frozen=True, kw_only=True)
class RowInfo:
    """What a list shows of a row: its short columns, without its bytes.

    Attributes:
        size: how many bytes its tensors have.
        share: of the requests that name no version, from 0 to 1, that its aliases other than the live one get.
        aliases: names of the aliases that point here now, sorted.
    """

    row_id: int
    scope: Scope
    version: int
    kind: str
    sha256: str
    created_at: datetime
    backbone_name: str
    virtual_tokens: int
    hidden_size: int
    template_sha256: str
    size: int
    aliases: tuple[str, ...]
    share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class NewEvaluation:
    """One measurement of a row, before it is stored.

    Attributes:
        data_sha256: hash of the data measured on.
        split: such as "dev" or "test".
        metrics_json: a JSON object of metric name to value.
        dtype: the arithmetic used, such as "float32".
        details_json: anything else worth keeping, as JSON.
    """

    data_sha256: str
    split: str
    metrics_json: str
    dtype: str
    details_json: str


@dataclass(frozen=True, kw_only=True)
class Evaluation(NewEvaluation):
    """A stored measurement."""

    evaluation_id: int
    row_id: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class AliasMove:
    """One line of an alias's history.

    Attributes:
        kind: "move", "rollback" or "retire".
        from_version: where it pointed before; None when nowhere.
        to_version: where it points after; None when retired.
    """

    kind: str
    from_version: int | None
    to_version: int | None
    reason: str
    moved_at: datetime


@dataclass(frozen=True, kw_only=True)
class DefaultLanguage:
    """A choice of a language in which a task answers.

    Attributes:
        role: "default": where a request names no language; "fallback": where it names one without a row.
        lang: the language, or "-" where a choice was taken back.
    """

    taskname: str
    role: str
    lang: str
    reason: str
    chosen_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """An API key as it is stored: what it may do, and the hash that it is known by.

    Attributes:
        scopes: what it may do, sorted.
        key_sha256: lower-case hex of the sha256 of the key, which is stored nowhere.
        revoked_at: None while it is valid.
        records_per_minute: None for as many as it likes, as for the tokens of their prompts.
    """

    name: str
    scopes: tuple[str, ...]
    key_sha256: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None
    records_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoredCard:
    """A task card as it was added."""

    taskname: str
    lang: str
    card_json: str
    card_sha256: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Attributes:
        status: "running" until it is finished, then what `finish` was told.
        result_json: None while it runs.
        finished_at: None while it runs.
    """

    run_id: str
    kind: str
    config_json: str
    data_sha256: str
    status: str
    result_json: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class AnswerKeeping:
    """Which answers of a task are kept for people to decide about.

    Attributes:
        below: those whose most probable label is less probable than this; 0 for none by that.
        beside: a version that is asked too: answers from which it differs are kept; None for none.
        days: after which what was kept is removed.
    """

    taskname: str
    lang: str
    below: float
    beside: int | None
    days: int


@dataclass(frozen=True, kw_only=True)
class NewAnswer:
    """An answer that is doubtful, before it is kept.

    Attributes:
        version: that answered.
        fields_json: the record, a JSON object of texts.
        label: the answer.
        probability: of the label.
        other_version: that was asked too; None where none was.
        other_label: its answer.
    """

    taskname: str
    lang: str
    version: int
    fields_json: str = field(repr=False)
    label: str
    probability: float
    other_version: int | None = None
    other_label: str | None = None


@dataclass(frozen=True, kw_only=True)
class KeptAnswer(NewAnswer):
    """An answer that is kept.

    Attributes:
        decided: the label that is right; empty where none is, None while it is open.
    """

    answer_id: int
    decided: str | None
    decided_by: str | None
    created_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewTraining:
    """A training that is asked for, before it waits in the queue.

    Attributes:
        task: ``taskname:lang``.
        card_json: canonical JSON of the task card.
        records: labelled records, a JSON object a line; empty for the card's shipped sample.
        settings_json: the training settings that are given, as a JSON object.
        live: whether the row goes live: "gated", "always" or "never".
        asked_by: who asks, for people.
    """

    task: str
    card_json: str = field(repr=False)
    records: str = field(repr=False)
    settings_json: str
    live: str
    asked_by: str


@dataclass(frozen=True, kw_only=True)
class QueuedTraining(NewTraining):
    """A training in the queue.

    Attributes:
        records: empty in a list, and once it is done.
        state: "waiting", "running", "stopping" (it runs and shall stop), "stopped", "done" or "failed".
        told: what came out, or why it failed.
        owner: whose process works on it, or did last; None before.
        run_id: of its run, once that has begun.
        starts: how often a process began with it since somebody asked for it.
    """

    training_id: int
    state: str
    told: str
    owner: str | None
    run_id: str | None
    starts: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class SchemaState:
    """Which schema a database has and which one this program wants.

    Attributes:
        current: the database's revision; None for an empty database.
        head: the newest revision that this program knows.
        pending: revisions still to apply, oldest first.
    """

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether the database fits this program as it is."""
        return self.current == self.head

    @property
    def newer(self) -> bool:
        """Whether the database was written by a program that knows more revisions than this one."""
        return not self.ready and not self.pending
