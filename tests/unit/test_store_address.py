import pytest

from store import StoreUnavailableError
from store.address import read_address


@pytest.mark.parametrize("text", ["", ":memory:", "sqlite://", "sqlite:///:memory:", "a\0b"])
def test_a_bank_must_be_a_file(text: str) -> None:
    with pytest.raises(StoreUnavailableError, match="names no file"):
        read_address(text)


def test_an_unknown_scheme_is_told_with_what_is_allowed() -> None:
    with pytest.raises(StoreUnavailableError, match=r"'mysql'; give a path.*postgresql://"):
        read_address("mysql://me:secret@host/db")


@pytest.mark.parametrize("text", ["postgresql://me:secret@host:port/db", "postgresql://me:secret@[::1/db"])
def test_a_broken_url_is_told_without_its_password(text: str) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be read") as caught:
        read_address(text)
    assert "secret" not in str(caught.value)


def test_options_of_a_sqlite_url_are_not_silently_dropped() -> None:
    with pytest.raises(StoreUnavailableError, match="carries options"):
        read_address("sqlite:////x/bank.db?mode=ro")


def test_home_is_expanded_and_a_path_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert read_address("~/x.db").url.database == read_address("x.db").url.database == str(tmp_path / "x.db")


def test_a_password_is_shown_masked() -> None:
    address = read_address("postgres://me:secret@host/db")
    assert address.shown == "postgresql+psycopg://me:***@host/db"
    assert address.full == "postgresql+psycopg://me:secret@host/db"
