"""Files are written whole or not at all, JSON is read strictly, and files are hashed."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from promptbank.errors import ConfigError

__all__ = [
    "make_folder",
    "read_json",
    "sha256_of",
    "write_atomically",
    "write_file",
    "write_text",
    "write_together",
    "writing",
]


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path``, which takes its place when the block ends without an error.

    The content is flushed to the disk before the file is renamed, so that a kill or a power cut leaves the old file
    or the new one. After an error the old file is as it was and the temporary one is removed.

    Args:
        path: a file in a folder that exists. Devices and pipes, such as ``/dev/stdout``, are yielded themselves.

    Raises:
        OSError: it cannot be written, or is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"{path.name} is a folder", str(path))
    if not _can_be_replaced(path):
        yield path
        return
    place = path.resolve()  # a link stays, and leads to the new file
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(6)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _can_be_replaced(path: Path) -> bool:
    special = path.exists() and not path.is_file()
    return not special and not {Path("/dev"), Path("/proc")} & set(path.absolute().parents)


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8. See `write_atomically`."""
    write_together({path: content})


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Write several files; none takes its place before all are written. See `write_atomically`."""
    with ExitStack() as stack:
        for path, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            stack.enter_context(write_atomically(path)).write_bytes(data)


def read_json(path: Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no UTF-8, no JSON, has a key twice in an object, or holds NaN or an infinity.
    """
    from tasks import DataError, parse_json  # imports pydantic, which listing a bank does not need

    try:
        return parse_json(path.read_bytes())
    except DataError as exc:
        raise ValueError(str(exc)) from exc


def sha256_of(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write a file that the user named into one helpful line.

    Raises:
        ConfigError: it is a folder, lies in none, or cannot be written.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it with --out")
    try:
        yield
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written ({exc.strerror}); choose another --out, in a folder that is there"
        ) from exc


def make_folder(path: Path) -> None:
    """Make a folder that the user named, and those above it.

    Raises:
        ConfigError: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be made a folder ({exc.strerror}); choose another") from exc


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file that the user named, whole or not at all.

    Raises:
        ConfigError: see `writing`.
    """
    with writing(path), write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
