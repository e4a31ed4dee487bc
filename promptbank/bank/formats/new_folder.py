"""A folder that is written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptbank.errors import ConfigError

__all__ = ["new_folder"]


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder, which becomes ``path`` when the block ends without an error.

    Raises:
        ConfigError: ``path`` is there and is no empty folder, or it cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(f"{path} is there already; name a new folder with --out")
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.absolute().parent))
        temporary.chmod(0o755)
        yield temporary
        os.replace(temporary, path)  # takes the place of an empty folder too
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written ({exc.strerror}); choose another --out") from exc
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
