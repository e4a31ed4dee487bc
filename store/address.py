"""Reads what a user gives as a database: a path, a SQLite URI, sqlite:///..., or postgresql://..."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

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
SQLITE_MODES = {
    "mode=rwc": "sqlite",
    "mode=rw": "sqlite-existing",
    "mode=ro": "sqlite-read",
    "immutable=1": "sqlite-read",
}
"""The options of a SQLite URI that are taken, and the backend for each (https://sqlite.org/uri.html)."""

_SECRET = re.compile(
    r"((?:^|[?&;\s])[^=?&;\s]*(?:password|passwd|pwd|secret|token)[^=?&;\s]*=).*?"
    # a password may hold "&", so it ends where an option of libpq begins
    r"(?=[&\s](?:user|host\w*|port|dbname|options|service|application_name|client_encoding|connect_timeout|keepalives\w*"
    r"|passfile|channel_binding|target_session_attrs|ssl\w+|gss\w+)=|$)",
    re.IGNORECASE | re.DOTALL,
)
_LIBPQ = re.compile(r"(?:^|\s)(?:host|hostaddr|dbname|user|password)\s*=")


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
        """The URL for people and logs: passwords are masked."""
        return masked(self.full)


def masked(text: str) -> str:
    """Return what a user gave as a database with ``***`` for every password, whether it is a sound URL or not.

    All between the first ":" after the scheme and the last "@" is taken for a password, since an "@" in it should have
    been written "%40"; and so are the values of `password`, `sslpassword` and the like.
    """
    text = _SECRET.sub(r"\1***", text)
    scheme, mark, rest = text.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}://{user}:***@{host}" if mark and at and colon else text


def read_address(text: str) -> Address:
    """Return where a bank is.

    Args:
        text: a file path (`~` is expanded), a SQLite URI such as "file:bank.db?mode=ro", or a SQLite or PostgreSQL URL.

    Raises:
        StoreUnavailableError: the text names no database that the store can use.
    """
    if text.startswith("file:"):
        return _uri_address(text)
    if "://" not in text:
        return _file_address(text)
    scheme = text.split("://", 1)[0]
    if scheme not in DRIVERS:
        raise StoreUnavailableError(f"the store does not speak {scheme!r}; give {ALLOWED}")
    url = _parsed(text).set(drivername=DRIVERS[scheme])
    if url.get_backend_name() != "sqlite":
        _refuse_unescaped(text, url)
        return Address(url, BACKENDS["postgresql"])
    if url.query:
        raise StoreUnavailableError(
            f"the SQLite URL {text!r} carries options, which are not taken; a SQLite URI such as "
            f"'file:/absolute/bank.db?mode=ro' takes mode=ro, mode=rw and mode=rwc, or give {ALLOWED}"
        )
    return _file_address(url.database or "")


def _file_address(text: str, backend: str = "sqlite") -> Address:
    if text in {"", ":memory:"} or "\0" in text:
        raise StoreUnavailableError(f"{text!r} names no file, and a bank must outlive the process; give {ALLOWED}")
    if text.startswith("file:") or _LIBPQ.search(text):
        raise StoreUnavailableError(f"{masked(text)!r} is neither a path nor a URL; give {ALLOWED}")
    path = Path(text).expanduser().absolute()
    return Address(URL.create("sqlite", database=str(path)), BACKENDS[backend])


def _uri_address(text: str) -> Address:
    parts = urlsplit(text)
    options = ["=".join(pair) for pair in parse_qsl(parts.query, keep_blank_values=True)]
    if unknown := [option for option in options if option not in SQLITE_MODES]:
        raise StoreUnavailableError(
            f"the SQLite URI {text!r} has {', '.join(unknown)}; taken are {', '.join(SQLITE_MODES)}"
        )
    if parts.netloc not in {"", "localhost"}:
        raise StoreUnavailableError(
            f"the SQLite URI {text!r} names the host {parts.netloc!r}; give file:/absolute/bank.db, or a relative path "
            f"as file:bank.db"
        )
    chosen = {SQLITE_MODES[option] for option in options}
    return _file_address(unquote(parts.path), max(chosen, default="sqlite", key=list(SQLITE_MODES.values()).index))


def _parsed(text: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as exc:  # the text may hold a password, so it is not repeated
        raise StoreUnavailableError(f"the database URL cannot be read; give {ALLOWED}") from exc


def _refuse_unescaped(text: str, url: URL) -> None:
    """Refuse a URL with an "@" too many: the rest of the password would be taken for the host and be shown."""
    _, _, rest = text.partition("@")
    if "@" in (url.host or "") or (url.password is not None and "@" in rest.partition("=")[0]):
        raise StoreUnavailableError(
            f"the database URL {masked(text)} has an '@' in the user, the password or the database; write '@' as %40 "
            f"there, and ':' as %3A, '/' as %2F, '?' as %3F, '#' as %23, '%' as %25"
        )
