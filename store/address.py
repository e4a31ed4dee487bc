"""Reads what a user gives as a database: a path, sqlite:///..., or postgresql://..."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.backends import BACKENDS, Backend
from store.errors import StoreUnavailableError

ALLOWED = "a path such as ~/.promptbank/bank.db, sqlite:////absolute/bank.db or postgresql://user@host/database"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


@dataclass(frozen=True)
class Address:
    """A database and the backend that speaks to it."""

    url: URL
    backend: Backend

    @property
    def full(self) -> str:
        """The URL with its password, for connecting."""
        return self.url.render_as_string(hide_password=False)

    @property
    def shown(self) -> str:
        """The URL for people and logs: the password is masked."""
        return self.url.render_as_string(hide_password=True)


def read_address(text: str) -> Address:
    """Return where a bank is.

    Args:
        text: a file path (`~` is expanded), or a SQLite or PostgreSQL URL.

    Raises:
        StoreUnavailableError: the text names no database that the store can use.
    """
    if "://" not in text:
        return _file_address(text)
    scheme = text.split("://", 1)[0]
    if scheme not in DRIVERS:
        raise StoreUnavailableError(f"the store does not speak {scheme!r}; give {ALLOWED}")
    url = _parsed(text).set(drivername=DRIVERS[scheme])
    if url.get_backend_name() != "sqlite":
        return Address(url, BACKENDS["postgresql"])
    if url.query:
        raise StoreUnavailableError(f"the SQLite URL {text!r} carries options, which are not taken; give {ALLOWED}")
    return _file_address(url.database or "")


def _file_address(text: str) -> Address:
    if text in {"", ":memory:"} or "\0" in text:
        raise StoreUnavailableError(f"{text!r} names no file, and a bank must outlive the process; give {ALLOWED}")
    path = Path(text).expanduser().absolute()
    return Address(URL.create("sqlite", database=str(path)), BACKENDS["sqlite"])


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as exc:  # the text may hold a password, so it is not repeated
        raise StoreUnavailableError(f"the database URL cannot be read; give {ALLOWED}") from exc
