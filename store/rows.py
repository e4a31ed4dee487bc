"""The prompt rows: frozen, written once and verified whenever they are read."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, select

from store.aliases import aliased_version
from store.database import Repository, bump, insert_one
from store.errors import LISTED, InvalidRowError, TamperedRowError, UnknownRowError
from store.records import Layout, NewRow, Row, RowInfo, Scope, field_names
from store.schema import FILLED, SCOPE, SEALS, alias, prompt_row
from store.scopes import find_row, in_scope, lock_key, scope_in, unknown_version
from store.sealing import NEWEST_SEAL, PLAIN, refuse, row_faults, seal, storable

INFO = field_names(RowInfo, "scope", "aliases", "size", "share")
RowInfos: TypeAlias = list[RowInfo]  # inside the class, `list` is the method
SAME_RECORD = ("sha256", "card_json", "training_json")


class RowRepository(Repository):
    """Freeze, read, list and import rows. No method changes or removes one."""

    def freeze(self, new: NewRow) -> Row:
        """Store a finished row under the next version of its scope; no alias moves.

        Args:
            new: the row; its bytes must match its shape and sha256.

        Returns:
            The row as stored, with its version.

        Raises:
            InvalidRowError: the row contradicts itself; every fault is named, nothing is written.
            DiskFullError: there is no room; nothing is written.
        """
        self.check(new)
        with self._database.write(lock_key(new.scope)) as connection:
            return _insert(connection, new, datetime.now(UTC))

    def check(self, new: NewRow) -> None:
        """Raise what `freeze` and `import_row` would of a row, and write nothing.

        Raises:
            InvalidRowError: the row contradicts itself, or a value is not of its type; every fault is named.
        """
        refuse(f"the row of {new.scope}", row_faults(new), InvalidRowError)

    def get(self, scope: Scope, version: int | None = None, alias: str = "live") -> Row:
        """Return one row, verified.

        Args:
            scope: task, language and backbone.
            version: which version; None takes the one that `alias` points at.
            alias: used when `version` is None.

        Raises:
            UnknownRowError: nothing is frozen in this scope.
            UnknownVersionError: this version is not there.
            UnknownAliasError: the alias points nowhere.
            TamperedRowError: the stored row is not the one that was frozen.
        """
        with self._database.read() as connection:
            chosen = aliased_version(connection, scope, alias) if version is None else version
            row_id = find_row(connection, scope, chosen)
            if row_id is None:
                raise unknown_version(connection, scope, chosen)
            return load_row(connection, row_id)

    def versions(self, scope: Scope) -> RowInfos:
        """Return what is frozen in one scope, oldest first; empty when nothing is."""
        return self.list(taskname=scope.taskname, lang=scope.lang, fingerprint=scope.fingerprint)

    def list(self, taskname: str | None = None, lang: str | None = None, fingerprint: str | None = None) -> RowInfos:
        """Return what is frozen, by task, language, backbone and version; None means any."""
        wanted = {"taskname": taskname, "lang": lang, "fingerprint": fingerprint}
        if not all(value is None or storable(value) for value in wanted.values()):
            return []
        conditions = [prompt_row.c[name] == value for name, value in wanted.items() if value is not None]
        with self._database.read() as connection:
            return _infos(connection, conditions)

    def import_row(self, row: Row) -> Row:
        """Take over a row from another bank under the next version here; importing it twice changes nothing.

        Args:
            row: from another bank; its bytes, card, settings and time of freezing are kept, its version and row_id not.

        Returns:
            The row as this bank has it: the new one, or the one with the same bytes, card and training settings. One
            that was damaged here is not taken for it, so importing it again is the way to have it back.

        Raises:
            InvalidRowError: the row contradicts itself.
        """
        self.check(row)
        with self._database.write(lock_key(row.scope)) as connection:
            same = and_(in_scope(prompt_row, row.scope), *(prompt_row.c[n] == getattr(row, n) for n in SAME_RECORD))
            known = connection.execute(select(prompt_row.c.row_id).where(same).order_by(prompt_row.c.row_id)).scalars()
            for row_id in known.all():
                with suppress(TamperedRowError):
                    return load_row(connection, row_id)
            return _insert(connection, row, row.created_at)


def load_row(connection: Connection, row_id: int) -> Row:
    """Return a row by its key.

    Raises:
        UnknownRowError: there is no such row.
        TamperedRowError: it is not what was frozen.
    """
    try:
        found = connection.execute(select(prompt_row).where(prompt_row.c.row_id == row_id)).mappings().one_or_none()
        if found is not None:
            _verify(found)
            return _row(found)
    except (TypeError, ValueError) as exc:  # SQLite lets a column hold a type that it never had
        raise TamperedRowError(f"row {row_id} cannot be read: a value has the wrong type ({exc})") from exc
    raise UnknownRowError(f"there is no row with id {row_id}", cli=LISTED)


def _insert(connection: Connection, new: NewRow, created_at: datetime) -> Row:
    last = select(func.coalesce(func.max(prompt_row.c.version), 0)).where(in_scope(prompt_row, new.scope))
    values = _values(new) | {"version": connection.execute(last).scalar_one() + 1}
    sealed = {"seal_version": NEWEST_SEAL, "record_sha256": seal({name: values[name] for name in SEALS[NEWEST_SEAL]})}
    row_id = insert_one(connection, insert(prompt_row).values(**values, **sealed, created_at=created_at))
    bump(connection)
    return load_row(connection, row_id)


def _values(new: NewRow) -> dict[str, object]:
    rows, columns = new.probe_shape
    plain = {name: getattr(new, name) for name in PLAIN} | asdict(new.scope)
    return plain | {"layout": json.dumps(new.layout), "probe_rows": rows, "probe_columns": columns}


def _verify(found: RowMapping) -> None:
    name = f"{found['taskname']}:{found['lang']}@{found['version']}"
    actual = hashlib.sha256(found["data"]).hexdigest()
    if actual != found["sha256"]:
        raise TamperedRowError(
            f"the bytes of {name} were changed after they were frozen: sha256 {actual}, frozen as {found['sha256']}; "
            f"restore the bank from a copy, or import the row again"
        )
    if not _sealed(found):
        raise TamperedRowError(
            f"something beside the bytes of {name} was changed after it was frozen (card, settings, probes or shape); "
            f"restore the bank from a copy, or import the row again"
        )


def _sealed(found: RowMapping) -> bool:
    version = found["seal_version"]
    if version not in SEALS or seal({name: found[name] for name in SEALS[version]}) != found["record_sha256"]:
        return False
    later = [name for name in SEALS[NEWEST_SEAL] if name not in SEALS[version]]
    return all(found[name] == FILLED[name](found) for name in later)


def _layout(text: str) -> Layout:
    return tuple((name, dtype, tuple(shape)) for name, dtype, shape in json.loads(text))


def _row(found: RowMapping) -> Row:
    return Row(
        **{name: found[name] for name in PLAIN},
        scope=scope_in(found),
        layout=_layout(found["layout"]),
        probe_shape=(found["probe_rows"], found["probe_columns"]),
        version=found["version"],
        created_at=found["created_at"],
        row_id=found["row_id"],
    )


def _infos(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> RowInfos:
    names, shares = _alias_names(connection)
    size = func.length(prompt_row.c.data).label("size")
    wanted = select(*(prompt_row.c[name] for name in (*INFO, *SCOPE)), size).where(*conditions)
    ordered = wanted.order_by(*(prompt_row.c[name] for name in (*SCOPE, "version")))
    found = connection.execute(ordered).mappings()
    return [
        RowInfo(
            **{name: row[name] for name in (*INFO, "size")},
            scope=scope_in(row),
            aliases=names.get((scope_in(row), row["version"]), ()),
            share=shares.get((scope_in(row), row["version"]), 0.0),
        )
        for row in found
    ]


def _alias_names(
    connection: Connection,
) -> tuple[dict[tuple[Scope, int], tuple[str, ...]], dict[tuple[Scope, int], float]]:
    """Return the aliases of each version, and the share of requests that they get together."""
    names: dict[tuple[Scope, int], tuple[str, ...]] = {}
    shares: dict[tuple[Scope, int], float] = {}
    for row in connection.execute(select(alias).order_by(alias.c.name)).mappings():
        key = (scope_in(row), row["version"])
        names[key] = (*names.get(key, ()), row["name"])
        shares[key] = shares.get(key, 0.0) + (row["share"] or 0.0)
    return names, shares
