"""Which stored row a request means: taskname, language, version, for the backbone at hand."""

from __future__ import annotations

import difflib
import json

import torch

from promptbank.backbone import Backbone
from promptbank.engine.predictor import ServedTask
from promptbank.errors import AmbiguousLanguageError, BackboneMismatchError, UnknownTaskError
from promptbank.render import Policy, Renderer
from store import NewRow, Row, RowInfo, Scope, Store
from tasks import TaskRef, parse_card

__all__ = ["LIVE", "find_row", "frozen_tasks", "scope_of", "select_row", "served_task"]

LIVE = "live"


def frozen_tasks(store: Store, fingerprint: str | None = None) -> list[RowInfo]:
    """Return the live rows, of one backbone or of all, in order of taskname and language."""
    infos = [info for info in store.rows.list(fingerprint=fingerprint) if LIVE in info.aliases]
    return sorted(infos, key=lambda info: (info.scope.taskname, info.scope.lang, info.scope.fingerprint))


def select_row(store: Store, ref: TaskRef, backbone: Backbone, *, lang: str | None = None) -> Row:
    """Return the row that a request means, for the backbone at hand.

    The language is the reference's own, else ``lang``, else the only language frozen for the taskname. Without a
    version the live one is meant.

    Args:
        store: the bank's store.
        ref: ``taskname[:lang][@version]``.
        backbone: the one at hand.
        lang: of the record, or the default of the request.

    Raises:
        UnknownTaskError: nothing is frozen under the name, language or version.
        AmbiguousLanguageError: several languages are frozen and none is named.
        BackboneMismatchError: it is frozen, but for another backbone.
    """
    everything = _known(store, ref)
    mine = [info for info in everything if info.scope.fingerprint == backbone.fingerprint]
    if not mine:
        others = ", ".join(sorted({info.backbone_name for info in everything}))
        raise BackboneMismatchError(
            f"task {ref.taskname!r} is frozen for backbone {others}, not for {backbone.name} "
            f"({backbone.fingerprint[:12]}); use --backbone, or train it on this one"
        )
    return _choose(store, ref, mine, lang)


def find_row(store: Store, ref: TaskRef) -> Row:
    """Return the row a reference means where no backbone is loaded.

    Raises:
        UnknownTaskError: nothing is frozen under the name, language or version.
        AmbiguousLanguageError: several languages are frozen and none is named.
        BackboneMismatchError: it is frozen for several backbones, so the reference does not say which row.
    """
    infos = _known(store, ref)
    backbones = sorted({info.backbone_name for info in infos})
    if len({info.scope.fingerprint for info in infos}) > 1:
        raise BackboneMismatchError(
            f"task {ref.taskname!r} is frozen for several backbones ({', '.join(backbones)}); "
            "`promptbank bank list --all` shows them"
        )
    return _choose(store, ref, infos, None)


def _known(store: Store, ref: TaskRef) -> list[RowInfo]:
    infos = store.rows.list(taskname=ref.taskname)
    if not infos:
        raise UnknownTaskError(_unknown(store, ref.taskname))
    return infos


def _choose(store: Store, ref: TaskRef, infos: list[RowInfo], lang: str | None) -> Row:
    chosen = _language(ref, lang, infos)
    return _version(store, ref, [info for info in infos if info.scope.lang == chosen])


def _language(ref: TaskRef, lang: str | None, infos: list[RowInfo]) -> str:
    servable = [i for i in infos if ref.version is not None or LIVE in i.aliases]
    known = sorted({info.scope.lang for info in servable})
    wanted = ref.lang or lang
    if wanted is not None and wanted not in known:
        raise UnknownTaskError(
            f"task {ref.taskname!r} is not frozen in language {wanted!r}; frozen: {', '.join(known) or 'none'}"
        )
    if wanted is not None:
        return wanted
    if not known:
        raise UnknownTaskError(f"task {ref.taskname!r} has no live version; name one as {ref.taskname}@VERSION")
    if len(known) > 1:
        raise AmbiguousLanguageError(
            f"task {ref.taskname!r} is frozen in {', '.join(known)}; name the language, "
            f'as {ref.taskname}:{known[0]}, "lang" in the record, or --lang'
        )
    return known[0]


def _version(store: Store, ref: TaskRef, infos: list[RowInfo]) -> Row:
    scope = infos[0].scope
    versions = sorted(info.version for info in infos)
    if ref.version is not None and ref.version not in versions:
        listed = ", ".join(map(str, versions))
        raise UnknownTaskError(f"task {scope.taskname}:{scope.lang} has no version {ref.version}; versions: {listed}")
    return store.rows.get(scope, ref.version)


def _unknown(store: Store, taskname: str) -> str:
    known = sorted({f"{i.scope.taskname} ({i.scope.lang})" for i in frozen_tasks(store)})
    names = sorted({i.scope.taskname for i in frozen_tasks(store)})
    near = difflib.get_close_matches(taskname, names, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    listed = ", ".join(known) or "none yet (see `promptbank train --help`)"
    return f"unknown task {taskname!r}; {hint}frozen: {listed}"


def served_task(row: NewRow, version: int, backbone: Backbone) -> ServedTask:
    """Turn a row into a task that can be served; the row holds everything, no card is looked up.

    Args:
        row: stored, or about to be.
        version: its version, which answers carry.
        backbone: the one at hand.

    Raises:
        BackboneMismatchError: the row was made for another backbone or tokenizer.
    """
    name = f"{row.scope.taskname}:{row.scope.lang}@{version}"
    for what, theirs, ours in (
        ("backbone", row.scope.fingerprint, backbone.fingerprint),
        ("tokenizer", row.tokenizer_sha256, backbone.tokenizer_sha256),
    ):
        if theirs != ours:
            raise BackboneMismatchError(
                f"{name} was trained with {what} {theirs[:12]} ({row.backbone_name}); "
                f"this one is {backbone.name} with {what} {ours[:12]}"
            )
    card = parse_card(json.loads(row.card_json), source=name)
    renderer = Renderer(card, backbone.tokenizer, Policy(**json.loads(row.policy_json)), backbone.window)
    table = torch.frombuffer(bytearray(row.data), dtype=torch.float32).view(row.virtual_tokens, row.hidden_size)
    return ServedTask(row.scope.taskname, row.scope.lang, version, row.sha256, renderer, table)


def scope_of(taskname: str, lang: str, backbone: Backbone) -> Scope:
    """Return the scope in which a task's versions count."""
    return Scope(taskname, lang, backbone.fingerprint)
