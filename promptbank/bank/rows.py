"""List, describe, check and roll back the rows of a bank.

Listing imports no torch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from promptbank.bank.session import Bank
from promptbank.errors import InputError

if TYPE_CHECKING:
    from promptbank.bank.verify import VerificationResult
    from store import DefaultLanguage, Row, RowInfo, Scope
    from tasks import TaskRef

__all__ = [
    "describe_row",
    "language_choices",
    "list_rows",
    "promote",
    "rollback",
    "row_facts",
    "verify",
]

LIVE = "live"
SCORES = ("accuracy", "exact_match")
"""What a list shows of a row's dev metrics."""


def list_rows(bank: Bank, *, everything: bool = False) -> list[RowInfo]:
    """Return the live rows of all backbones, or all rows."""
    return [info for info in bank.store.rows.list() if everything or LIVE in info.aliases]


def row_facts(bank: Bank, info: RowInfo) -> dict[str, object]:
    """Return what a list says of a row, as plain JSON values; its score is the newest on dev examples."""
    dev = [json.loads(one.metrics_json) for one in bank.store.evaluations.of(info.row_id) if one.split == "dev"]
    metric = next((name for name in SCORES if dev and name in dev[-1]), None)
    return {
        "taskname": info.scope.taskname,
        "lang": info.scope.lang,
        "version": info.version,
        "aliases": list(info.aliases),
        "backbone": info.backbone_name,
        "kind": info.kind,
        "bytes": info.size,
        "virtual_tokens": info.virtual_tokens,
        "sha256": info.sha256,
        "created_at": info.created_at.isoformat(timespec="seconds"),
        "metric": metric,
        "dev": dev[-1][metric] if metric else None,
    }


def describe_row(bank: Bank, spec: str) -> dict[str, object]:
    """Return all that is known of a row, its evaluations and moves of its alias included, as plain JSON values.

    Raises:
        PromptBankError: see `find_row`.
    """
    row, store = _found(bank, spec), bank.store
    info = next(i for i in store.rows.versions(row.scope) if i.version == row.version)
    return row_facts(bank, info) | {
        "fingerprint": row.scope.fingerprint,
        "tokenizer_sha256": row.tokenizer_sha256,
        "template_sha256": row.template_sha256,
        "hidden_size": row.hidden_size,
        "tensors": [{"name": name, "dtype": dtype, "shape": list(shape)} for name, dtype, shape in row.layout],
        "seed": row.seed,
        "data_sha256": row.data_sha256,
        "parent_version": row.parent_version,
        "card": json.loads(row.card_json),
        "policy": json.loads(row.policy_json),
        "training": json.loads(row.training_json),
        "packages": json.loads(row.packages_json),
        "evaluations": [
            {"split": e.split, "dtype": e.dtype, "data_sha256": e.data_sha256, "metrics": json.loads(e.metrics_json)}
            for e in store.evaluations.of(row.row_id)
        ],
        "history": [
            {"from": m.from_version, "to": m.to_version, "reason": m.reason, "moved_at": m.moved_at}
            for m in store.aliases.history(row.scope, LIVE)
        ],
    }


def verify(bank: Bank, *, logits: bool = False) -> VerificationResult:
    """Check every row and alias; with ``logits`` also compute each row's probe logits again and compare bits."""
    from promptbank.bank.verify import VerificationResult, verify_bank, verify_logits
    from promptbank.model.backbone import local_sizes

    sound = verify_bank(bank.store, local_sizes(bank.settings.backbone, bank.settings.home))
    if not logits:
        return sound
    found = verify_logits(
        bank.store, bank.backbone, lambda done, total: bank.display.count(done, total, "rows checked")
    )
    return VerificationResult(found.rows, found.skipped, (*sound.faults, *found.faults))


def rollback(bank: Bank, spec: str) -> tuple[Scope, int | None, int]:
    """Move ``live`` back, to the version that the spec names or to the one before.

    Returns:
        The scope, the version that was live, if any, and the one that is now.

    Raises:
        InputError: the named version is live already.
    """
    from promptbank.bank.select import find_scope
    from tasks import parse_spec

    ref = parse_spec(spec)
    if ref.version is not None:
        return _moved(bank, ref, ref.version, "rollback to")
    scope = find_scope(bank.store, ref, bank.settings.backbone)
    return scope, *bank.store.aliases.rollback(scope, LIVE)


def promote(bank: Bank, spec: str) -> tuple[Scope, int | None, int]:
    """Move ``live`` to the version that the spec names; see `rollback`.

    Raises:
        InputError: no version is named, or it is live already.
    """
    from tasks import parse_spec

    ref = parse_spec(spec)
    if ref.version is None:
        raise InputError(f"{spec!r} names no version; write {spec}@VERSION, see `promptbank bank list --all`")
    return _moved(bank, ref, ref.version, "promoted")


def _moved(bank: Bank, ref: TaskRef, version: int, why: str) -> tuple[Scope, int | None, int]:
    from promptbank.bank.select import find_scope

    scope, aliases = find_scope(bank.store, ref, bank.settings.backbone), bank.store.aliases
    before = aliases.get(scope, LIVE)
    if before == version:
        raise InputError(f"version {before} of {scope.taskname}:{scope.lang} is live already; name another one")
    aliases.move(scope, version, LIVE, reason=f"{why} version {version}")
    return scope, before, version


def language_choices(
    bank: Bank, taskname: str, role: str, lang: str | None = None, *, take_back: bool = False
) -> list[DefaultLanguage]:
    """Return the choices of a task's default or fallback language, oldest first, after making one if one is given."""
    from promptbank.bank.select import rows_of

    defaults, known = bank.store.defaults, rows_of(bank.store, taskname)
    taskname = known[0].scope.taskname if known else taskname  # as it is stored
    if lang is not None or take_back:
        defaults.choose(taskname, lang, reason=f"promptbank bank {role}", role=role)
    return defaults.history(taskname, role)


def _found(bank: Bank, spec: str) -> Row:
    from promptbank.bank.select import find_row
    from tasks import parse_spec

    return find_row(bank.store, parse_spec(spec), bank.settings.backbone)
