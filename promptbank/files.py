"""Files that are written whole or not at all, and the hash of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptbank.errors import ConfigError

__all__ = ["sha256_of", "write_atomically", "write_text", "writing"]


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside a file; it takes the file's place when the block ends without an error.

    The content is flushed to the disk before the file is renamed, so that a kill or a power cut leaves the old file
    or the new one. After an error the old file is as it was and the temporary one is removed.

    Args:
        path: the file to write, in a folder that exists.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file that the user named, whole or not at all.

    Raises:
        ConfigError: see `writing`.
    """
    with writing(path), write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
