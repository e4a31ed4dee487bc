"""Which stored row a request means: taskname, language, version, for the backbone at hand. Imports no torch."""

import difflib
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from promptbank.bank.listing import LIVE, RowListing
from promptbank.errors import AmbiguousLanguageError, BackboneMismatchError, UnknownTaskError
from store import Row, RowInfo, Scope, Store
from tasks import TaskRef
from tasks.equivalence import canonical

if TYPE_CHECKING:
    from promptbank.model.backbone import Backbone

__all__ = [
    "LIVE",
    "check_known",
    "find_row",
    "find_scope",
    "frozen_tasks",
    "rows_of",
    "scope_of",
    "select_info",
    "select_infos",
    "select_row",
]

LEAST_FINGERPRINT = 8
"""Characters by which a fingerprint can be named."""


def frozen_tasks(store: Store, fingerprint: str | None = None) -> list[RowInfo]:
    """Return the live rows, of one backbone or of all, in order of taskname and language."""
    return RowListing(store.rows.list(fingerprint=fingerprint)).live()


def rows_of(store: Store, taskname: str) -> list[RowInfo]:
    """Return the rows of a task; see `RowListing.of_task`."""
    return RowListing.of(store, taskname).of_task(taskname)


def select_row(store: Store, ref: TaskRef, backbone: "Backbone", *, lang: str | None = None) -> Row:
    """Return the row that a request means, for the backbone at hand; see `select_info`."""
    info = select_info(RowListing.of(store, ref.taskname), ref, backbone, lang=lang)
    return store.rows.get(info.scope, info.version)


def select_info(
    listing: RowListing,
    ref: TaskRef,
    backbone: "Backbone",
    *,
    lang: str | None = None,
    may_fall_back: bool = False,
    draw: float = 1.0,
) -> RowInfo:
    """Return what a request means of the rows that there are, for the backbone at hand.

    The language is the reference's own, else ``lang``, else the default that was chosen for the task, else the one in
    which it was frozen first: a language that is added changes no answer. Without a version the live one is meant.

    Args:
        listing: the rows, at least all of this task.
        ref: ``taskname[:lang][@version]``.
        backbone: the one at hand.
        lang: of the record, or the default of the request.
        may_fall_back: whether the task's fallback language answers, if it has one, where nothing is live in the
            language that is named, and no version is named.
        draw: from 0 to 1; below the share that an alias gives a version, that one is meant instead of the live one.

    Raises:
        UnknownTaskError: nothing is frozen under the name, language or version.
        AmbiguousLanguageError: none is named, and the default has no live version while several others have.
        BackboneMismatchError: it is frozen, but for another backbone.
    """
    mine = _of_this_backbone(listing, ref, backbone)
    if may_fall_back and ref.version is None:
        ref = _fallen_back(listing, ref, lang, mine)
    chosen = _in_language(ref, lang or _default(listing, ref, mine), mine)
    shared = [info for info in chosen if info.share > draw and ref.version is None]
    return shared[0] if shared else _version(ref, chosen)


def _fallen_back(listing: RowListing, ref: TaskRef, lang: str | None, infos: list[RowInfo]) -> TaskRef:
    """Return the reference in the task's fallback language where nothing is live in the language that is named."""
    servable = {info.scope.lang for info in infos if LIVE in info.aliases}
    if (ref.lang or lang) in {None, *servable}:
        return ref
    fallback = listing.fallbacks.get(infos[0].scope.taskname)
    return replace(ref, lang=fallback) if fallback in servable else ref


def select_infos(listing: RowListing, ref: TaskRef, backbone: "Backbone") -> list[RowInfo]:
    """Return all rows of a task, or those of the language and the version that are named, in this order.

    Raises:
        UnknownTaskError: nothing is frozen under the name, language or version.
        BackboneMismatchError: it is frozen, but for another backbone.
    """
    mine = _of_this_backbone(listing, ref, backbone)
    spoken = [info for info in mine if ref.lang in (None, info.scope.lang)] or _in_language(ref, None, mine)
    found = [info for info in spoken if ref.version in (None, info.version)]
    return sorted(found or [_version(ref, spoken)], key=lambda info: (info.scope.lang, info.version))


def _of_this_backbone(listing: RowListing, ref: TaskRef, backbone: "Backbone") -> list[RowInfo]:
    everything = _known(listing, ref)
    mine = [info for info in everything if info.scope.fingerprint == backbone.fingerprint]
    if mine:
        return mine
    others = ", ".join(sorted({info.backbone_name for info in everything}))
    raise BackboneMismatchError(
        f"task {ref.taskname!r} is frozen for backbone {others}, not for {backbone.name} ({backbone.fingerprint[:12]})",
        cli="use --backbone, or train it on this one",
        http="ask a service with that backbone; /v1/tasks lists what this one answers",
    )


def _default(listing: RowListing, ref: TaskRef, infos: list[RowInfo]) -> str | None:
    """Return the language that is meant where none is named; None where the only one is, or it has no live version."""
    servable = {i.scope.lang for i in infos if ref.version is not None or LIVE in i.aliases}
    if ref.lang is not None or len(servable) < 2:
        return None
    first = min(infos, key=lambda info: info.row_id).scope.lang
    default = listing.defaults.get(infos[0].scope.taskname, first)
    return default if default in servable else None


def check_known(store: Store, ref: TaskRef) -> None:
    """Make sure that something is frozen under a reference's name, where no backbone is loaded yet.

    Raises:
        UnknownTaskError: nothing is.
    """
    _known(RowListing.of(store, ref.taskname), ref)


def find_row(store: Store, ref: TaskRef, backbone: str = "") -> Row:
    """Return the row a reference means where no backbone is loaded; its language is chosen as in `select_row`.

    Args:
        store: the bank's store.
        ref: ``taskname[:lang][@version]``.
        backbone: as the user names it, or the beginning of its fingerprint; looked at where several have the task.

    Raises:
        UnknownTaskError: nothing is frozen under the name, language or version.
        AmbiguousLanguageError: none is named, and the default has no live version while several others have.
        BackboneMismatchError: it is frozen for several backbones, and ``backbone`` is not one of them.
    """
    info = _version(ref, _unloaded(store, ref, backbone))
    return store.rows.get(info.scope, info.version)


def find_scope(store: Store, ref: TaskRef, backbone: str = "") -> Scope:
    """Return the scope of the row that `find_row` returns, without reading it: it may be damaged.

    Raises:
        PromptBankError: see `find_row`.
    """
    return _unloaded(store, ref, backbone)[0].scope


def _unloaded(store: Store, ref: TaskRef, backbone: str) -> list[RowInfo]:
    listing = RowListing.of(store, ref.taskname)
    infos = _known(listing, ref)
    if len({info.scope.fingerprint for info in infos}) > 1:
        infos = _of_backbone(ref, infos, backbone)
    return _in_language(ref, _default(listing, ref, infos), infos)


def _of_backbone(ref: TaskRef, infos: list[RowInfo], backbone: str) -> list[RowInfo]:
    names = {backbone, Path(backbone).name, backbone.replace("/", "--")}  # as a folder, as a hub id
    is_long = len(backbone) >= LEAST_FINGERPRINT
    found = [
        info
        for info in infos
        if info.backbone_name in names or (is_long and info.scope.fingerprint.startswith(backbone))
    ]
    if len({info.scope.fingerprint for info in found}) == 1:
        return found
    known = sorted({f"{i.backbone_name} ({i.scope.fingerprint[:12]})" for i in infos})
    raise BackboneMismatchError(
        f"task {ref.taskname!r} is frozen for several backbones: {', '.join(known)} (now: {backbone or 'none'})",
        cli="say which one by --backbone, with its name or the beginning of its fingerprint",
    )


def _known(listing: RowListing, ref: TaskRef) -> list[RowInfo]:
    infos = listing.of_task(ref.taskname)
    if not infos:
        raise _unknown(listing, ref.taskname)
    return infos


def _in_language(ref: TaskRef, lang: str | None, infos: list[RowInfo]) -> list[RowInfo]:
    chosen = _language(ref, lang, infos)
    return [info for info in infos if info.scope.lang == chosen]


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
            f"task {ref.taskname!r} is frozen in {', '.join(known)}; name the language, as {ref.taskname}:{known[0]}",
            cli="or with --lang",
            http='or as "lang" of the record',
        )
    return known[0]


def _version(ref: TaskRef, infos: list[RowInfo]) -> RowInfo:
    """Return the version that is meant of those of one scope, of which one is live if none is named."""
    found = [info for info in infos if (LIVE in info.aliases if ref.version is None else info.version == ref.version)]
    if found:
        return found[0]
    scope, listed = infos[0].scope, ", ".join(map(str, sorted(info.version for info in infos)))
    raise UnknownTaskError(f"task {scope.taskname}:{scope.lang} has no version {ref.version}; versions: {listed}")


def _unknown(listing: RowListing, taskname: str) -> UnknownTaskError:
    live = listing.live()
    known = sorted({f"{i.scope.taskname} ({i.scope.lang})" for i in live})
    names = sorted({canonical(i.scope.taskname) for i in live})
    plain = unicodedata.normalize("NFKC", taskname)  # full-width letters and colons are typed by mistake
    near = difflib.get_close_matches(plain, names, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    told = f"unknown task {taskname!r}; {hint}frozen: {', '.join(known) or 'none yet'}"
    return UnknownTaskError(told, cli="" if known else "see `promptbank train --help`")


def scope_of(taskname: str, lang: str, backbone: "Backbone") -> Scope:
    """Return the scope in which a task's versions count."""
    return Scope(taskname, lang, backbone.fingerprint)
