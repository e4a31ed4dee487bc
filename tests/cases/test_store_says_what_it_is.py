"""A database that is not there, not ours, or not to be written; and passwords in its address.

The kinds are known from SQLite's and libpq's own documents (sqlite.org/uri.html, "URI Filenames"; postgresql.org,
"Connection URIs") and from issues of SQLAlchemy and Alembic about unescaped passwords and files made by a typing error.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from promptbank.config import load_settings
from store import SchemaError, Store, StoreUnavailableError, migrate, open_store, schema_state
from store.address import masked, read_address
from store.sqlite_file import APPLICATION_ID
from tests.conftest import Promptbank
from tests.stores import ROOT, SCOPE, filled, new_row, outside

READING = [
    ("bank", "list"),
    ("bank", "show", "sentiment-task"),
    ("bank", "verify"),
    ("bank", "verify", "--logits"),
    ("bank", "rollback", "sentiment-task"),
    ("bank", "export", "sentiment-task"),
    ("evaluate", "--task", "sentiment-task", "--data", "data.jsonl"),
    ("predict", "--task", "sentiment-task", "--data", "data.jsonl"),
    ("serve", "--port", "0"),
    ("mt", "status"),
    ("db", "check"),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
@pytest.mark.parametrize("db", [None, "typo.db", "no/such/folder/bank.db", "file:typo.db?mode=ro", "sqlite:///typo.db"])
def test_a_command_that_reads_makes_nothing(
    promptbank: Promptbank, tmp_path: Path, command: tuple[str, ...], db: str | None
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = promptbank(*command, *(("--db", db) if db else ()))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no bank here" in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", [("tasks", "list"), ("tasks", "show", "sentiment-task")])
def test_built_in_cards_need_no_bank_but_a_named_one_must_be_there(
    promptbank: Promptbank, home: Path, command: tuple[str, ...]
) -> None:
    result = promptbank(*command)
    assert (result.exit_code, home.exists()) == (0, False)
    assert "there is no bank here" in promptbank(*command, "--db", "typo.db").stderr


def test_a_file_of_no_bytes_is_no_bank_but_may_become_one(sqlite_path: Path) -> None:
    sqlite_path.touch()
    with pytest.raises(StoreUnavailableError, match="the file is empty"):
        open_store(str(sqlite_path), create=False)
    assert sqlite_path.stat().st_size == 0
    with open_store(str(sqlite_path)) as store:
        assert store.rows.list() == []


@pytest.mark.parametrize("made", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_pipe_or_a_device_is_no_bank(sqlite_path: Path, made) -> None:
    made(sqlite_path)
    with pytest.raises(StoreUnavailableError, match="device or a pipe"):
        open_store(str(sqlite_path))


@pytest.fixture
def frozen(sqlite_template: Path, tmp_path: Path) -> Iterator[Path]:
    """A bank with two rows in a folder of its own, where nothing but it lies."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    path = Path(shutil.copy(sqlite_template, folder / "bank.db"))
    with open_store(str(path)) as store:
        filled(store, 2)
        store.aliases.move(SCOPE, 2, reason="test")
    for leftover in folder.glob("bank.db?*"):
        leftover.unlink()
    yield path
    assert list(folder.iterdir()) == [path]


def is_read(store: Store) -> bool:
    """Whether the rows can be read and nothing can be written."""
    assert [info.version for info in store.rows.list()] == [1, 2]
    assert store.rows.get(SCOPE) == store.rows.get(SCOPE, 2)
    assert store.check() == []
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        store.rows.freeze(new_row())
    return True


@pytest.mark.parametrize("form", ["file:{path}?mode=ro", "file://{path}?mode=ro", "file:{path}?immutable=1"])
def test_a_uri_opens_a_bank_to_be_read(frozen: Path, form: str) -> None:
    with open_store(form.format(path=frozen)) as store:
        assert is_read(store)


def test_a_relative_uri_and_escaped_names_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("file:my%20bank%3F.db") as store:
        assert store.rows.list() == []
    assert (tmp_path / "my bank?.db").is_file()
    with open_store("file://localhost" + quote(f"{tmp_path}/my bank?.db")) as store:
        assert store.rows.list() == []


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("file:x.db?mode=memory", "mode=memory"),
        ("file:x.db?cache=shared", "cache=shared"),
        ("file:x.db?mode=", "mode="),
        ("file:x.db?mode=rw&vfs=unix-none", "vfs=unix-none"),
        ("file://host/x.db", "names the host 'host'"),
        ("file:", "names no file"),
        ("file::memory:", "names no file"),
        ("sqlite:///file:x.db", "neither a path nor a URL"),
        ("host=h dbname=bank password=secret", "neither a path nor a URL"),
        ("x.db?mode=ro", "there is no bank here"),  # a path may have any name
    ],
)
def test_what_is_not_taken_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailableError, match=r"give|taken are|is no bank") as caught:
        open_store(uri, create="?" not in uri or uri.startswith("file:"))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_read_write_mode_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="there is no bank here"):
        open_store(f"file:{tmp_path}/x.db?mode=rw")
    open_store(f"file:{tmp_path}/x.db?mode=rwc").close()
    open_store(f"file:{tmp_path}/x.db?mode=rw").close()


def test_what_another_process_is_writing_is_read_too(frozen: Path) -> None:
    with open_store(f"file:{frozen}?mode=ro") as reader:
        with open_store(str(frozen)) as writer:
            writer.rows.freeze(new_row(fill=7))  # stands in the log beside the file, not yet in the file
            assert Path(f"{frozen}-wal").exists()
            assert [info.version for info in reader.rows.list()] == [1, 2, 3]
        assert [info.version for info in reader.rows.list()] == [1, 2, 3]


READ_AS_NOBODY = """
import os, sys
from store import StoreUnavailableError, open_store
with open_store(f"file:{sys.argv[1]}?mode=ro") as store:  # imports all that is needed
    assert store.check() == []
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with open_store(sys.argv[1]) as store:
    scope = store.rows.list()[0].scope
    assert store.rows.get(scope).version == 2 and store.check() == []
    try:
        store.aliases.move(scope, 1, reason="no")
    except StoreUnavailableError as exc:
        print(exc)
"""


@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o555), (0o644, 0o555), (0o444, 0o777)])
def test_a_bank_on_a_volume_that_cannot_be_written_is_read_as_it_is(frozen: Path, file: int, folder: int) -> None:
    frozen.chmod(file)
    frozen.parent.chmod(folder)
    for parent in list(frozen.parents)[1:5]:  # pytest's own folders are closed to others
        parent.chmod(parent.stat().st_mode | 0o055)
    command = [sys.executable, "-c", READ_AS_NOBODY, str(frozen)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the database cannot be written" in done.stdout
    frozen.parent.chmod(0o755)


def test_an_outdated_bank_that_cannot_be_written_is_told_what_to_do(frozen: Path) -> None:
    outside(str(frozen), "UPDATE alembic_version SET version_num = '0001'")
    for leftover in frozen.parent.glob("bank.db?*"):
        leftover.unlink()
    with pytest.raises(SchemaError, match="copy it into a folder of yours and run `promptbank db migrate --db COPY`"):
        open_store(f"file:{frozen}?mode=ro")


# Somebody else's file


def other_program(path: Path, *statements: str) -> bytes:
    """Make a database of another program and return its bytes."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE moz_places (id INTEGER)", "INSERT INTO moz_places VALUES (1)"),
        ("CREATE TABLE run (mine INTEGER)",),  # a name that ours has too
        ("CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('a1b2c3')"),
        ("PRAGMA application_id = 252006674", "CREATE TABLE blob (rid INTEGER)"),  # a Fossil repository
        ("PRAGMA application_id = 1196444487",),  # an empty GeoPackage
        ("PRAGMA journal_mode = WAL", "CREATE TABLE notes (text)"),
    ],
)
def test_another_programs_file_is_refused_and_left_as_it_is(sqlite_path: Path, statements: tuple[str, ...]) -> None:
    before = other_program(sqlite_path, *statements)
    for use in (open_store, migrate, schema_state, lambda path: open_store(path, create=False)):
        with pytest.raises(SchemaError, match="is a SQLite database of another program"):
            use(str(sqlite_path))
    assert sqlite_path.read_bytes() == before
    assert {path.name for path in sqlite_path.parent.iterdir()} <= {"bank.db", "bank.db.lock"}


def test_our_files_have_our_mark_and_those_without_get_it_at_the_next_migration(sqlite_path: Path) -> None:
    open_store(str(sqlite_path)).close()

    def mark() -> int:
        with sqlite3.connect(sqlite_path) as connection:
            return connection.execute("PRAGMA application_id").fetchone()[0]

    assert mark() == APPLICATION_ID == int.from_bytes(b"pbnk")
    other_program(sqlite_path, "PRAGMA application_id = 0")
    with open_store(str(sqlite_path)) as store:  # known by its tables
        filled(store, 1)
    assert mark() == 0


# Passwords

RESERVED = ":/?#[]@!$&'()*+,;= %\"<>\\^`{|}~"


@pytest.mark.parametrize("letter", RESERVED)
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@host:5432/bank",
        "postgres://me:{}@host/bank?sslmode=require",
        "postgresql://host/bank?user=me&password={}",
        "postgresql://host/bank?user=me&password={}&sslmode=require",
        "postgresql://host/bank?sslpassword={}&user=me",
        "postgresql://host/bank?user=me&PASSWORD={}",
        "postgresql+psycopg2://me:{}@host/bank",
        "host=h user=me password={} dbname=bank",
    ],
)
def test_no_part_of_a_password_is_ever_shown(url: str, letter: str) -> None:
    for password in (f"hun{letter}ter", f"{letter}hunter", f"hunter{letter}", quote(f"hun{letter}ter", safe="")):
        given = url.format(password)
        shown = [masked(given), load_settings({"home": "x", "db": given}, {})[1][1].value]
        try:
            address = read_address(given)
        except StoreUnavailableError as exc:
            shown.append(str(exc))
        else:
            shown += [address.shown, repr(address.url)] if "?" not in url else [address.shown]
        for text in shown:
            assert "hun" not in text, text
            assert "ter" not in text.replace("interfaces", "").replace("parameters", ""), text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p@ss@host/bank",
        "postgresql://me@corp:secret@host/bank",
        "postgresql://me:p@ss/word@host/bank",
        "postgresql://me:p@ss?word@host/bank",
    ],
)
def test_an_at_sign_that_is_not_escaped_is_told_with_how_to_escape_it(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="write '@' as %40") as caught:
        read_address(url)
    assert not {"ss", "word", "secret"} & set(str(caught.value).replace("@", " ").replace("/", " ").split())


@pytest.mark.parametrize("url", ["postgresql://me:p%40ss@host/bank", "postgresql://host/bank?user=a@b&password=p@ss"])
def test_escaped_at_signs_and_those_of_a_query_are_taken(url: str) -> None:
    address = read_address(url)
    assert address.url.host == "host"
    assert address.url.password in {"p@ss", None}


# What a terminal is told


@pytest.mark.parametrize("taskname", ["\x1b[31mred", "bell\x07", "\x9b2Jgone", "left\u202eright", "line\x85end"])
def test_a_taskname_never_steers_a_terminal(promptbank: Promptbank, home: Path, taskname: str) -> None:
    home.mkdir()
    scope = replace(SCOPE, taskname=taskname)
    with open_store(str(home / "bank.db")) as store:
        store.rows.freeze(new_row(scope))
        store.aliases.move(scope, 1, reason=taskname)
    escaped = taskname.encode("unicode_escape").decode()
    listed = promptbank("bank", "list")
    assert (listed.exit_code, escaped in listed.stdout) == (0, True)
    told = promptbank("bank", "show", f"{taskname}x")
    for text in (listed.stdout, listed.stderr, told.stdout, told.stderr):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
