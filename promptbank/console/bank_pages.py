"""The bank: all its tasks in a table, and a page for each with versions, evaluations, aliases and cards."""

import difflib
import json
import tempfile
from pathlib import Path
from urllib.parse import quote

from starlette.responses import Response

from promptbank.bank.exchange import export_row
from promptbank.bank.overview import (
    RowScore,
    TaskSummary,
    TaskVersion,
    alias_moves,
    move_alias,
    task_summaries,
    task_versions,
)
from promptbank.bank.rows import verify as verify_rows
from promptbank.bank.select import LIVE, find_scope
from promptbank.console.app import Console, Page, Visit
from promptbank.errors import InputError, UnknownTaskError
from store import Scope, Store
from tasks import parse_spec

__all__ = ["PAGES", "asked_scope"]

COLUMNS = ("language", "live", "metric", "bytes", "kind", "backbone", "age")
LOOK = frozenset({"infer", "train", "admin"})
TAKE = frozenset({"train", "admin"})
ADMIN = frozenset({"admin"})


def tasks(console: Console, visit: Visit) -> Response:
    """Show the table of tasks; filter and columns stand in the address."""
    words = visit.asked("q").casefold().split()
    chosen = [name for name in COLUMNS if name in visit.request.query_params.getlist("c")] or list(COLUMNS)
    known = task_summaries(console.bank.store)
    found = [one for one in known if all(word in _said(one) for word in words)]
    shown = {"found": found, "known": len(known), "columns": COLUMNS, "chosen": chosen, "query": visit.asked("q")}
    return console.show(visit, "tasks.html", shown)


def _said(one: TaskSummary) -> str:
    """Return what the filter looks at."""
    scope = one.row.scope
    return f"{scope.taskname} {scope.lang} {one.row.kind} {one.row.backbone_name}".casefold()


def task(console: Console, visit: Visit) -> Response:
    """Show one task: versions, evaluations side by side, aliases, cards."""
    store, scope = console.bank.store, asked_scope(console, visit)
    versions = task_versions(store, scope)
    live = store.aliases.get(scope, LIVE)
    wanted = _number(visit.asked("to"))
    shown = {
        "scope": scope,
        "versions": versions,
        "scores": {one.info.version: [s for e in one.evaluations if (s := RowScore.of(e))] for one in versions},
        "table": _side_by_side(versions),
        "compared": _side_by_side([one for one in versions if one.info.version in (live, wanted)]),
        "moves": alias_moves(store, scope),
        "live": live,
        "to": wanted,
    }
    return console.show(visit, "task.html", shown | _cards(visit, versions))


def asked_scope(console: Console, visit: Visit) -> Scope:
    """Return the task that an address or a form names, by taskname and language, and the backbone's fingerprint."""
    name = visit.asked("name") or visit.form.text("name")
    backbone = visit.asked("backbone") or visit.form.text("backbone")
    return find_scope(console.bank.store, parse_spec(name), backbone or console.bank.settings.backbone)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _side_by_side(versions: list[TaskVersion]) -> list[tuple[str, str, str, list[float | None]]]:
    """Return a line for each split, set and metric, with the value of each version."""
    measured = [one.metrics() for one in versions]
    keys = sorted({(*place, metric) for found in measured for place, scores in found.items() for metric in scores})
    return [
        (split, sha, metric, [found.get((split, sha), {}).get(metric) for found in measured])
        for split, sha, metric in keys
    ]


def _cards(visit: Visit, versions: list[TaskVersion]) -> dict[str, object]:
    """Return the card of the newest version, and how the cards of two chosen ones differ."""
    cards = {one.info.version: _pretty(one.row.card_json) for one in versions if one.row}
    pair = [_number(visit.asked(name)) for name in ("a", "b")]
    texts = [cards[version].splitlines() for version in pair if version in cards]
    lines = list(difflib.unified_diff(texts[0], texts[1], lineterm="", n=2))[2:] if len(texts) == 2 else []
    return {"cards": cards, "pair": pair, "diff": lines, "compared_cards": len(texts) == 2}


def _pretty(card_json: str) -> str:
    return json.dumps(json.loads(card_json), indent=1, ensure_ascii=False)


def move(console: Console, visit: Visit) -> Response:
    """Move or roll back an alias."""
    scope, form = asked_scope(console, visit), visit.form
    back = form.text("kind") == "rollback"
    to = None if back else _number(form.text("to"))
    if not back and to is None:
        raise InputError("choose a version to move the alias to")
    seen, alias = _number(form.text("seen")), form.text("alias").strip() or LIVE
    move_alias(console.bank.store, scope, alias, to=to, seen=seen, reason=form.text("reason"))
    return visit.go("/task", name=f"{scope.taskname}:{scope.lang}", backbone=scope.fingerprint)


def verify(console: Console, visit: Visit) -> Response:
    """Check the bytes of every row, every alias and every trigger, and show what is wrong."""
    return console.show(visit, "verified.html", {"found": verify_rows(console.bank)})


def download(console: Console, visit: Visit) -> Response:
    """Send a row as the file that `bank export` writes."""
    scope, version = asked_scope(console, visit), _number(visit.asked("version"))
    name = f"{scope.taskname}.{scope.lang}.v{version}.safetensors"
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(
        _exported(console.bank.store, scope, version), headers=headers, media_type="application/octet-stream"
    )


def _exported(store: Store, scope: Scope, version: int | None) -> bytes:
    if version is None:
        raise UnknownTaskError("the address names no version")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.safetensors"
        export_row(store.rows.get(scope, version), path)
        return path.read_bytes()


PAGES = (
    Page("/tasks", tasks, LOOK),
    Page("/task", task, LOOK),
    Page("/task/move", move, ADMIN, "POST"),
    Page("/task/row", download, TAKE),
    Page("/verify", verify, ADMIN, "POST"),
)
