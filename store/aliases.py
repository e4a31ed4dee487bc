"""Aliases: names such as `live` that point at one version of a scope, with the whole history of where they pointed.

A rollback undoes: it goes back to the version that the alias was moved to before the present one, and a second rollback
goes one further back, rather than to and fro between two versions.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from store.database import Repository, bump, expect_revision
from store.errors import NoEarlierVersionError, UnknownAliasError
from store.records import AliasMove, Scope, field_names
from store.schema import SCOPE, alias, alias_history
from store.scopes import existing_versions, find_row, findable, in_scope, lock_key, unknown_scope, unknown_version
from store.sealing import refuse, storable, text_faults

MOVED, ROLLED_BACK, RETIRED = "move", "rollback", "retire"


class AliasRepository(Repository):
    """Move, roll back, retire and read aliases. Every change is one transaction that is logged."""

    def move(
        self,
        scope: Scope,
        version: int,
        alias: str = "live",
        *,
        reason: str,
        if_revision: int | None = None,
        share: float | None = None,
    ) -> None:
        """Point an alias at a version; pointing it where it points already changes and logs nothing but its share.

        Args:
            scope: task, language and backbone.
            version: an existing version of this scope.
            alias: made if it is new.
            reason: kept in the history.
            if_revision: the bank's, if nothing may have changed since.
            share: of the requests that name no version, over 0 and up to 1, that go to this one; None for none.

        Raises:
            RevisionConflictError: something has.
            UnknownRowError: nothing is frozen in this scope.
            UnknownVersionError: this version is not there.
            InvalidRecordError: the alias or the reason is a text that cannot be stored, or the share is none.
        """
        faults = [*text_faults({"the alias": alias}, required=True), *text_faults({"the reason": reason})]
        if share is not None and not 0 < share <= 1:
            faults.append(f"the share is {share}, not over 0 and up to 1")
        refuse(f"the move of alias {alias!r}", faults)
        with self._database.write(lock_key(scope)) as connection:
            expect_revision(connection, if_revision)
            if find_row(connection, scope, version) is None:
                raise unknown_version(connection, scope, version)
            if _pointed(connection, scope, alias) != version:
                _point(connection, scope, alias, to=version, kind=MOVED, reason=reason)
            _set_share(connection, scope, alias, share)

    def get(self, scope: Scope, alias: str = "live") -> int | None:
        """Return the version that an alias points at; None when it was never set or is retired."""
        with self._database.read() as connection:
            return _pointed(connection, scope, alias)

    def rollback(self, scope: Scope, alias: str = "live", *, reason: str = "") -> tuple[int, int]:
        """Point an alias back at the version it was moved to before the present one.

        Args:
            scope: task, language and backbone.
            alias: one that points somewhere.
            reason: kept in the history, beside where it came from.

        Returns:
            The version it left and the version it points at now.

        Raises:
            UnknownAliasError: the alias points nowhere.
            NoEarlierVersionError: there is nothing to go back to.
            InvalidRecordError: the reason is a text that cannot be stored.
        """
        refuse(f"the rollback of alias {alias!r}", [*text_faults({"the reason": reason})])
        with self._database.write(lock_key(scope)) as connection:
            current = aliased_version(connection, scope, alias)
            earlier = _undone(_history(connection, scope, alias))
            if earlier is None:
                raise NoEarlierVersionError(
                    f"alias {alias!r} of {scope} has no version before {current} to go back to",
                    cli="see `promptbank bank list` for the versions that are there",
                )
            told = f"rollback from version {current}" + (f": {reason}" if reason else "")
            _point(connection, scope, alias, to=earlier, kind=ROLLED_BACK, reason=told)
            return current, earlier

    def retire(
        self, scope: Scope, alias: str = "live", *, reason: str = "retired", if_revision: int | None = None
    ) -> None:
        """Let an alias point nowhere; its history and all rows stay, and `move` brings it back.

        Raises:
            RevisionConflictError: see `move`.
            UnknownAliasError: the alias points nowhere already.
        """
        refuse(f"the retirement of alias {alias!r}", [*text_faults({"the reason": reason})])
        with self._database.write(lock_key(scope)) as connection:
            expect_revision(connection, if_revision)
            aliased_version(connection, scope, alias)
            _point(connection, scope, alias, to=None, kind=RETIRED, reason=reason)
            _set_share(connection, scope, alias, None)

    def history(self, scope: Scope, alias: str = "live") -> list[AliasMove]:
        """Return every move of an alias, oldest first; empty when it was never set."""
        with self._database.read() as connection:
            return _history(connection, scope, alias)


def aliased_version(connection: Connection, scope: Scope, name: str) -> int:
    """Return the version that an alias points at.

    Raises:
        UnknownRowError: nothing is frozen in this scope.
        UnknownAliasError: the alias was never set or is retired.
    """
    version = _pointed(connection, scope, name)
    if version is not None:
        return version
    versions = existing_versions(connection, scope)
    if not versions:
        raise unknown_scope(connection, scope)
    why = "is retired" if _history(connection, scope, name) else "was never set"
    raise UnknownAliasError(
        f"alias {name!r} of {scope} {why}; name a version ({', '.join(map(str, versions))}), "
        f"or one of the aliases: {_names(connection, scope) or 'none is set'}"
    )


def move_of(row: RowMapping) -> AliasMove:
    """Return the move that a line of `alias_history` tells of."""
    return AliasMove(**{name: row[name] for name in field_names(AliasMove)})


def undo_stack(moves: Iterable[AliasMove]) -> list[int]:
    """Return the versions that rollbacks would walk through, the present one last.

    A move pushes, a rollback pops, a retirement leaves the stack as it is.
    """
    stack: list[int] = []
    for move in moves:
        if move.kind == ROLLED_BACK:
            del stack[-1:]
        elif move.to_version is not None and stack[-1:] != [move.to_version]:
            stack.append(move.to_version)
    return stack


def _undone(moves: list[AliasMove]) -> int | None:
    stack = undo_stack(moves)
    return stack[-2] if len(stack) > 1 else None


def _pointed(connection: Connection, scope: Scope, name: str) -> int | None:
    if not findable(scope) or not storable(name):
        return None
    wanted = select(alias.c.version).where(in_scope(alias, scope), alias.c.name == name)
    return connection.execute(wanted).scalar_one_or_none()


def _names(connection: Connection, scope: Scope) -> str:
    wanted = select(alias.c.name).where(in_scope(alias, scope), alias.c.version.is_not(None)).order_by(alias.c.name)
    return ", ".join(connection.execute(wanted).scalars())


def _point(connection: Connection, scope: Scope, name: str, *, to: int | None, kind: str, reason: str) -> None:
    """Move the pointer, write the history and bump the revision, in the caller's transaction."""
    before = _pointed(connection, scope, name)
    key = {column: getattr(scope, column) for column in SCOPE} | {"name": name}
    this = and_(in_scope(alias, scope), alias.c.name == name)
    if connection.execute(update(alias).where(this).values(version=to)).rowcount == 0:
        connection.execute(insert(alias).values(**key, version=to))
    moved = {"kind": kind, "from_version": before, "to_version": to, "reason": reason, "moved_at": datetime.now(UTC)}
    connection.execute(insert(alias_history).values(**key, **moved))
    bump(connection)


def _set_share(connection: Connection, scope: Scope, name: str, share: float | None) -> None:
    """Give an alias that is there its share, in the caller's transaction."""
    this = and_(in_scope(alias, scope), alias.c.name == name)
    if connection.execute(select(alias.c.share).where(this)).scalar_one() != share:
        connection.execute(update(alias).where(this).values(share=share))
        bump(connection)


def _history(connection: Connection, scope: Scope, name: str) -> list[AliasMove]:
    if not findable(scope) or not storable(name):
        return []
    wanted = select(alias_history).where(in_scope(alias_history, scope), alias_history.c.name == name)
    found = connection.execute(wanted.order_by(alias_history.c.move_id)).mappings()
    return [move_of(row) for row in found]
