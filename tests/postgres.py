"""Starts a real PostgreSQL for the tests and stops it again.

The newest server of Debian's layout (`/usr/lib/postgresql/<version>/bin`) or of PATH is used. PostgreSQL refuses to run
as root, so root hands over to the user `postgres`. The data live in a temporary folder; nothing is synced to disk.
"""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

DEBIAN = Path("/usr/lib/postgresql")
OWNER = "postgres"
START_SECONDS = 60
LOCK_SECONDS = 20


class NoPostgresqlError(Exception):
    """Why no server can be started here."""


@dataclass(frozen=True)
class Server:
    """A running server; `base` is a URL without a database name, and one database serves all tests in turn.

    A database of its own for each test was slow: each is 300 files, and removing 110 of them took 70 s on a disk
    mounted with discard.
    """

    base: str

    @property
    def url(self) -> str:
        """The tests' database."""
        return f"{self.base}/postgres"

    def empty(self) -> str:
        """Remove every table of the tests' database and return its URL."""
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        return self.url

    def execute(self, statements: str) -> None:
        """Run statements in one transaction; a transaction that a test left open ends it with an error."""
        with create_engine(self.url, poolclass=NullPool).begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; {statements}")


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server for the length of the block.

    Raises:
        NoPostgresqlError: there is no server program, or nobody to run it as.
    """
    programs, owner = _programs(), _owner()
    home = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, owner)
        with _started(programs, home, _prefix(owner)) as port:
            yield Server(f"postgresql+psycopg://{owner}@127.0.0.1:{port}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _started(programs: Path, home: Path, prefix: list[str]) -> Iterator[int]:
    data, port = home / "data", free_port()
    init = [programs / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    _run([*prefix, *map(str, init)], home)
    options = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={home}"
    control = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", str(START_SECONDS)]
    _run([*control, "-l", str(home / "log"), "-o", options, "start"], home)
    try:
        yield port
    finally:
        _run([*control, "-m", "immediate", "stop"], home)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _programs() -> Path:
    installed = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    if found is None:
        raise NoPostgresqlError(f"there is no PostgreSQL server in {DEBIAN} or on PATH")
    return Path(found).resolve().parent


def _owner() -> str:
    if os.geteuid() != 0:
        return getpass.getuser()
    try:
        return pwd.getpwnam(OWNER).pw_name
    except KeyError:
        raise NoPostgresqlError(f"PostgreSQL does not run as root, and there is no user {OWNER!r}") from None


def _prefix(owner: str) -> list[str]:
    if os.geteuid() != 0:
        return []
    runuser = shutil.which("runuser")
    if runuser is None:
        raise NoPostgresqlError("PostgreSQL does not run as root, and there is no runuser to leave root with")
    return [runuser, "-u", owner, "--"]


def _run(command: list[str], home: Path) -> None:
    log = home / "commands"  # a pipe would be kept open by the server and never end
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=home, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')}")
