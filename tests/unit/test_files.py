"""Files are written whole or not at all, devices straight, and JSON is read in one way only."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest

from promptbank.files import read_json, sha256_of, write_atomically, write_file, write_together
from tasks import DataError, parse_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["å\n", b"\xff\x00", ""])
def test_a_file_holds_what_was_written_and_nothing_lies_beside_it(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "x"
    path.write_text("before")
    write_file(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert names(tmp_path) == ["x"]


def test_a_new_file_has_the_mode_that_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize("fault", ["write", "flush", "rename"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = tmp_path / "x"
    path.write_text("before")

    def fails(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    place = {"write": "pathlib.Path.write_bytes", "flush": "promptbank.files.os.fsync"}
    monkeypatch.setattr(place.get(fault, "promptbank.files.os.replace"), fails)
    with pytest.raises(OSError, match="No space left"):
        write_file(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert names(tmp_path) == ["x"]


def test_a_file_has_its_new_content_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with write_atomically(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with write_atomically(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), write_atomically(tmp_path / "gone" / "a.txt") as temporary:
        temporary.write_text("x")


def test_a_folder_of_the_same_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="folder"), write_atomically(tmp_path / "a") as temporary:
        temporary.write_text("x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_two_writers_of_one_file_write_to_different_ones(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with write_atomically(path) as one, write_atomically(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert names(tmp_path) == ["x"]


def test_several_files_change_together_or_not_at_all(tmp_path: Path) -> None:
    write_together({tmp_path / "a": "1", tmp_path / "b": "1"})
    (tmp_path / "c").mkdir()
    with pytest.raises(IsADirectoryError):
        write_together({tmp_path / "a": "2", tmp_path / "b": "2", tmp_path / "c": "2"})
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "1"]
    assert names(tmp_path) == ["a", "b", "c"]


def test_a_pipe_is_written_straight(tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    write_file(path, "through the pipe")
    reader.join()
    assert read == ["through the pipe"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_standard_output_is_written_straight_even_where_it_is_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        write_file(Path(f"/proc/self/fd/{file.fileno()}"), "printed")
        assert os.fstat(file.fileno()).st_nlink == 1  # the very file that is open, not another of its name
    assert (tmp_path / "out").read_text() == "printed"
    assert names(tmp_path) == ["out"]


def test_a_link_stays_a_link_to_the_new_content(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "x")
    write_file(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").read_text() == "after"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "a": 2}', "'a' stand twice"),
        ('{"b": [{"c": 1, "c": 1, "d": 1, "d": 2}]}', "'c', 'd' stand twice"),
        ("[NaN]", "NaN is no JSON value"),
        ('{"a": -Infinity}', "-Infinity is no JSON value"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_json(text.encode())
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read_json(tmp_path / "x.json")


def test_json_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"b": [1, 2.5, null, true], "å": {"a": "1"}}', encoding="utf-8")
    assert read_json(tmp_path / "x.json") == {"b": [1, 2.5, None, True], "å": {"a": "1"}}


def test_a_file_is_hashed_over_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # the first example of FIPS 180-2
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
