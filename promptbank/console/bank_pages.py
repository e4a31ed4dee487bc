"""The bank: all its tasks in a table, and a page for each with versions, evaluations, aliases and cards."""

import json
from urllib.parse import quote

from starlette.responses import Response

from promptbank.bank.exchange import exported_bytes
from promptbank.bank.overview import (
    RowScore,
    TaskSummary,
    TaskVersion,
    alias_moves,
    lineage,
    move_alias,
    side_by_side,
    task_summaries,
    task_versions,
    text_difference,
)
from promptbank.bank.rows import verify as verify_rows
from promptbank.bank.select import LIVE, find_scope
from promptbank.console.app import Console, Page, Visit
from promptbank.errors import InputError, UnknownTaskError
from promptbank.service.canary import CANARY
from store import AnswerKeeping, Scope
from tasks import parse_spec

__all__ = ["PAGES", "asked_scope"]

COLUMNS = ("language", "live", "metric", "requests", "bytes", "kind", "backbone", "age")
LOOK = frozenset({"infer", "train", "admin"})
TAKE = frozenset({"train", "admin"})
ADMIN = frozenset({"admin"})
UNDER_WAY = ("waiting", "running", "stopping")


def tasks(console: Console, visit: Visit) -> Response:
    """Show the table of tasks; filter and columns stand in the address."""
    words = visit.asked("q").casefold().split()
    chosen = [name for name in COLUMNS if name in visit.request.query_params.getlist("c")] or list(COLUMNS)
    known = task_summaries(console.bank.store)
    found = [one for one in known if all(word in _said(one) for word in words)]
    shown = {"found": found, "known": len(known), "columns": COLUMNS, "chosen": chosen, "query": visit.asked("q")}
    shown["requests"] = console.metrics.answered()
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
    wanted, name = _number(visit.asked("to")), f"{scope.taskname}:{scope.lang}"
    rules = [rule for rule in store.answers.rules() if f"{rule.taskname}:{rule.lang}" == name]
    queued = [one for one in store.trainings.list() if one.task == name and one.state in UNDER_WAY]
    shown = {
        "scope": scope,
        "name": name,
        "tree": lineage(versions),
        "rule": rules[0] if rules else None,
        "queued": queued,
        "canary": store.aliases.get(scope, CANARY),
        "versions": versions,
        "scores": {one.info.version: [s for e in one.evaluations if (s := RowScore.of(e))] for one in versions},
        "table": side_by_side(versions),
        "compared": side_by_side([one for one in versions if one.info.version in (live, wanted)]),
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


def _cards(visit: Visit, versions: list[TaskVersion]) -> dict[str, object]:
    """Return the card of the newest version, and how the cards of two chosen ones differ."""
    cards = {one.info.version: _pretty(one.row.card_json) for one in versions if one.row}
    pair = [_number(visit.asked(name)) for name in ("a", "b")]
    texts = [cards[version] for version in pair if version in cards]
    diff = text_difference(*texts) if len(texts) == 2 else []
    return {"cards": cards, "pair": pair, "diff": diff, "compared_cards": len(texts) == 2}


def _pretty(card_json: str) -> str:
    return json.dumps(json.loads(card_json), indent=1, ensure_ascii=False)


def move(console: Console, visit: Visit) -> Response:
    """Move, roll back or retire an alias, or give its version a share of the requests."""
    scope, form = asked_scope(console, visit), visit.form
    kind, alias, to = form.text("kind"), LIVE, _number(form.text("to"))
    share = None
    if kind in ("canary", "retire"):
        alias = CANARY
    if kind == "canary":
        share = _share(form.text("share"))
    if kind in ("move", "canary") and to is None:
        raise InputError("choose a version to move the alias to")
    reason, seen = form.text("reason"), _number(form.text(f"seen_{alias}"))
    target = to if kind in ("move", "canary") else None
    move_alias(
        console.bank.store, scope, alias, to=target, seen=seen, reason=reason, share=share, retire=kind == "retire"
    )
    return _back(visit, scope)


def _share(text: str) -> float:
    """Return a share that is written in per cent."""
    try:
        return float(text) / 100
    except ValueError:
        raise InputError(f"the share is {text!r}; give a number of per cent, over 0 and up to 100") from None


def keep(console: Console, visit: Visit) -> Response:
    """Choose which answers of the task are kept for people to decide about, or keep no more and forget them."""
    scope, form, kept = asked_scope(console, visit), visit.form, console.bank.store.answers
    if form.text("do") == "stop":
        kept.stop(scope.taskname, scope.lang)
        return _back(visit, scope)
    below, days, beside = _share(form.text("below")), _number(form.text("days")), _number(form.text("beside"))
    if days is None:
        raise InputError("say after how many days what was kept is removed")
    kept.choose(AnswerKeeping(taskname=scope.taskname, lang=scope.lang, below=below, beside=beside, days=days))
    return _back(visit, scope)


def _back(visit: Visit, scope: Scope) -> Response:
    return visit.go("/task", name=f"{scope.taskname}:{scope.lang}", backbone=scope.fingerprint)


def verify(console: Console, visit: Visit) -> Response:
    """Check the bytes of every row, every alias and every trigger, and show what is wrong."""
    return console.show(visit, "verified.html", {"found": verify_rows(console.bank)})


def download(console: Console, visit: Visit) -> Response:
    """Send a row as the file that `bank export` writes."""
    scope, version = asked_scope(console, visit), _number(visit.asked("version"))
    name = f"{scope.taskname}.{scope.lang}.v{version}.safetensors"
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    if version is None:
        raise UnknownTaskError("the address names no version")
    content = exported_bytes(console.bank.store.rows.get(scope, version))
    return Response(content, headers=headers, media_type="application/octet-stream")


PAGES = (
    Page("/tasks", tasks, LOOK),
    Page("/task", task, LOOK),
    Page("/task/move", move, ADMIN, "POST"),
    Page("/task/keep", keep, ADMIN, "POST"),
    Page("/task/row", download, TAKE),
    Page("/verify", verify, ADMIN, "POST"),
)
