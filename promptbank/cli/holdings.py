"""What the ``bank`` commands do, once their options are read."""

from __future__ import annotations

import json
from pathlib import Path

from promptbank.bank.exchange import export_row, import_row
from promptbank.bank.select import LIVE, find_row, find_scope
from promptbank.bank.verify import Verified, verify_bank, verify_logits
from promptbank.cli.output import print_json, print_table, writing
from promptbank.cli.progress import bar
from promptbank.cli.session import opened_bank, opened_store
from promptbank.config import Settings
from promptbank.errors import InputError
from store import Row, RowInfo, Scope, Store
from tasks import parse_spec

COLUMNS = ("taskname", "lang", "version", "aliases", "backbone", "virtual_tokens", "sha256", "created_at")


def list_rows(settings: Settings, *, everything: bool, as_json: bool) -> None:
    """Print live rows, or all."""
    with opened_store(settings) as store:
        infos = [info for info in store.rows.list() if everything or LIVE in info.aliases]
    print_table(map(_plain, infos), COLUMNS, as_json=as_json)


def _plain(info: RowInfo) -> dict[str, object]:
    return {
        "taskname": info.scope.taskname,
        "lang": info.scope.lang,
        "version": info.version,
        "aliases": list(info.aliases),
        "backbone": info.backbone_name,
        "virtual_tokens": info.virtual_tokens,
        "sha256": info.sha256,
        "created_at": info.created_at.isoformat(timespec="seconds"),
    }


def show_row(settings: Settings, spec: str, *, as_json: bool) -> None:
    """Print one row with its evaluations and history."""
    with opened_store(settings) as store:
        row = find_row(store, parse_spec(spec), settings.backbone)
        facts = _facts(store, row)
    if as_json:
        print_json(facts)
        return
    print_table(({"key": k, "value": _short(v)} for k, v in facts.items()), ("key", "value"), as_json=False)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _facts(store: Store, row: Row) -> dict[str, object]:
    info = next(i for i in store.rows.versions(row.scope) if i.version == row.version)
    return _plain(info) | {
        "fingerprint": row.scope.fingerprint,
        "tokenizer_sha256": row.tokenizer_sha256,
        "template_sha256": row.template_sha256,
        "hidden_size": row.hidden_size,
        "bytes": len(row.data),
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


def verify(settings: Settings, *, logits: bool) -> Verified:
    """Check the bank, and with ``logits`` what the backbone answers."""
    if not logits:
        with opened_store(settings) as store:
            return verify_bank(store)
    with opened_bank(settings) as (store, backbone), bar() as progress:
        task = progress.add_task("rows", total=None)
        sound = verify_bank(store)
        found = verify_logits(store, backbone, lambda done, total: progress.update(task, completed=done, total=total))
        return Verified(found.rows, found.skipped, (*sound.faults, *found.faults))


def rollback(settings: Settings, spec: str) -> tuple[Scope, int | None, int]:
    """Move ``live`` back, to the version that the spec names or to the one before.

    Returns:
        The scope, the version that was live, if any, and the one that is now.

    Raises:
        InputError: the named version is live already.
    """
    ref = parse_spec(spec)
    with opened_store(settings) as store:
        scope = find_scope(store, ref, settings.backbone)
        if ref.version is None:
            return scope, *store.aliases.rollback(scope, LIVE)
        before = store.aliases.get(scope, LIVE)
        if before == ref.version:
            raise InputError(f"version {before} of {scope.taskname}:{scope.lang} is live already; name an earlier one")
        store.aliases.move(scope, ref.version, LIVE, reason=f"rollback to version {ref.version}")
        return scope, before, ref.version


def export(settings: Settings, spec: str, out: Path | None) -> tuple[Row, Path]:
    """Write a row to a file."""
    with opened_store(settings) as store:
        row = find_row(store, parse_spec(spec), settings.backbone)
    path = out or Path(f"{row.scope.taskname}.{row.scope.lang}.v{row.version}.safetensors")
    with writing(path):
        export_row(row, path)
    return row, path


def import_(settings: Settings, path: Path) -> Row:
    """Read a row from a file into the bank."""
    with opened_store(settings) as store:
        return import_row(store, path)
