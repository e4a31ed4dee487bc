"""Questions about one scope that rows and aliases both ask, and the errors that answer "not there"."""

import unicodedata
from difflib import get_close_matches

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, select

from store.errors import LISTED, NotFoundError, UnknownRowError, UnknownVersionError
from store.records import Scope
from store.schema import SCOPE, prompt_row
from store.sealing import LARGEST, storable


def in_scope(table: Table, scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a row of `table` belongs to the scope."""
    return and_(*(table.c[name] == getattr(scope, name) for name in SCOPE))


def scope_in(row: RowMapping) -> Scope:
    """Return the scope that a record of the database names."""
    return Scope(*(row[name] for name in SCOPE))


def lock_key(scope: Scope) -> str:
    """Return what writers of one scope wait for; lengths keep ("a", "bc") and ("ab", "c") apart."""
    return "scope " + " ".join(f"{len(part)}:{part}" for part in (scope.taskname, scope.lang, scope.fingerprint))


def findable(scope: Scope) -> bool:
    """Whether a bank could hold this scope at all; asking the database for another kind of text is an error there."""
    return all(storable(part) for part in (scope.taskname, scope.lang, scope.fingerprint))


def find_row(connection: Connection, scope: Scope, version: int) -> int | None:
    """Return the row_id of a version, or None."""
    if not findable(scope) or not 1 <= version <= LARGEST:
        return None
    wanted = select(prompt_row.c.row_id).where(in_scope(prompt_row, scope), prompt_row.c.version == version)
    return connection.execute(wanted).scalar_one_or_none()


def existing_versions(connection: Connection, scope: Scope) -> list[int]:
    """Return the versions frozen in a scope, ascending."""
    if not findable(scope):
        return []
    wanted = select(prompt_row.c.version).where(in_scope(prompt_row, scope)).order_by(prompt_row.c.version)
    return list(connection.execute(wanted).scalars())


def unknown_version(connection: Connection, scope: Scope, version: int) -> NotFoundError:
    """Return the error for a version that is not there, naming those that are."""
    versions = existing_versions(connection, scope)
    if not versions:
        return unknown_scope(connection, scope)
    return UnknownVersionError(
        f"{scope} has no version {version}; there are {', '.join(map(str, versions))}", cli=LISTED
    )


def unknown_scope(connection: Connection, scope: Scope) -> UnknownRowError:
    """Return the error for a scope without rows, naming the nearest that has some."""
    found = connection.execute(select(*(prompt_row.c[name] for name in SCOPE)).distinct())
    known = sorted(Scope(*row) for row in found)
    return UnknownRowError(f"nothing is frozen for {scope}; {_nearest(scope, known)}", cli=LISTED if known else "")


def _nearest(scope: Scope, known: list[Scope]) -> str:
    if not known:
        return "the bank is empty; train a task first"
    task = [other for other in known if other.taskname == scope.taskname]
    other_backbones = [other.fingerprint[:12] for other in task if other.lang == scope.lang]
    if other_backbones:
        return (
            f"it is frozen for other backbones ({', '.join(other_backbones)}); use one of them or train it on this one"
        )
    if task:
        return (
            f"the task is frozen in {', '.join(sorted({other.lang for other in task}))}; name that language or train it"
        )
    names = sorted({other.taskname for other in known})
    near = _near(scope.taskname, names)
    if near:
        return f"did you mean {', '.join(near)}?"
    return f"known tasks: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"


def _near(name: str, known: list[str]) -> list[str]:
    """Return the names most like one, however their letters are composed."""
    composed = {unicodedata.normalize("NFC", one): one for one in known}
    return [composed[one] for one in get_close_matches(unicodedata.normalize("NFC", name), list(composed), n=3)]
