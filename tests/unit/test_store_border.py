import errno
import sqlite3
from collections.abc import Iterator

import pytest
from sqlalchemy import exc, text

from store import DiskFullError, InvalidRecordError, SchemaError, Store, StoreError, StoreUnavailableError, errors
from store.border import mapped


def descendants(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


def made(kind: type[BaseException]) -> BaseException:
    """Make an error without the constructor's arguments, which differ from class to class."""
    raised = kind.__new__(kind)
    Exception.__init__(raised, "said")
    vars(raised).update(orig=ValueError("said"))
    return raised


@pytest.mark.parametrize("kind", sorted(set(descendants(exc.SQLAlchemyError)), key=lambda kind: kind.__name__))
def test_no_sqlalchemy_error_passes_the_border(kind: type[BaseException]) -> None:
    raised = kind("SELECT 1", {}, ValueError("said")) if issubclass(kind, exc.DBAPIError) else made(kind)
    with pytest.raises(StoreError) as caught, mapped("here"):
        raise raised
    assert str(caught.value).startswith("here: ")
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "code", sorted({v for n, v in vars(sqlite3).items() if n.startswith("SQLITE_") and 0 < v < 2**16})
)
def test_every_sqlite_result_code_is_mapped(code: int) -> None:
    raised = sqlite3.DatabaseError("said")
    raised.sqlite_errorcode = code
    with pytest.raises(StoreError) as caught, mapped("here"):
        raise raised
    assert isinstance(caught.value, DiskFullError) == (code & 255 == 13)  # 13 is SQLITE_FULL


class ServerSaidError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("said")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", DiskFullError),
        ("53300", StoreUnavailableError),
        ("40P01", StoreUnavailableError),
        ("28P01", StoreUnavailableError),
        ("57P01", StoreUnavailableError),
        ("42P01", SchemaError),
        ("22003", StoreError),
    ],
)
def test_postgresql_states_are_mapped(state: str, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, mapped("here"):
        raise exc.DBAPIError("SELECT secret", {"data": b"bytes"}, ServerSaidError(state))
    assert type(caught.value) is kind
    assert "SELECT" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskFullError), (errno.EACCES, StoreUnavailableError), (errno.EROFS, StoreUnavailableError)],
)
def test_file_errors_are_mapped(number: int, kind: type[StoreError]) -> None:
    with pytest.raises(kind, match="here"), mapped("here"):
        raise OSError(number, "said")


def test_text_that_utf_8_cannot_hold_is_the_callers_fault(sqlite_path) -> None:
    with pytest.raises(InvalidRecordError, match=r"\\ud800"), mapped("here"):
        "a\ud800".encode()


def test_a_missing_table_is_a_schema_error_and_our_own_errors_pass_unchanged(fresh_store: Store) -> None:
    with pytest.raises(SchemaError, match="promptbank db migrate"), fresh_store._database.read() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    ours = errors.UnknownRowError("ours")
    with pytest.raises(errors.UnknownRowError) as caught, mapped("here"):
        raise ours
    assert caught.value is ours


def test_every_error_is_in_the_drawn_tree() -> None:
    for kind in descendants(StoreError):
        assert kind.__name__ in (errors.__doc__ or "")
