"""Files that are written whole or not at all, and the hash of a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["sha256_of", "write_atomically"]


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
