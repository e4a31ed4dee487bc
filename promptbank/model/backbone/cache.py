"""The folder of converted backbones, ``<home>/backbones``: all or nothing, whoever else is at work.

A backbone is built in a hidden folder beside its place and renamed when it is whole, under a file lock. The lock goes
with its process, so after a kill the next one takes it, clears what was left half-built and starts again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from promptbank.errors import BackboneStorageError
from promptbank.files import read_json
from promptbank.model.backbone.fetch import Progress
from promptbank.model.backbone.identity import MANIFEST_FILE, identify

__all__ = ["BackboneCache", "Manifest", "size_of"]


@dataclass(frozen=True)
class Manifest:
    """Where a converted backbone came from; ``promptbank.json`` in its folder.

    Attributes:
        name: folder name under ``backbones/``.
        source: package, repository at a commit, or file.
        source_sha256: hex sha256 of the source file; None when the source was not one file.
        licence: short name of the terms, or what is known about them.
        quantisation: what the weights went through, such as "dequantised from 4 bits".
    """

    name: str
    source: str
    source_sha256: str | None
    licence: str
    quantisation: str


class BackboneCache:
    """Converted backbones of one home.

    Args:
        home: promptbank's home; made when something is written.
    """

    def __init__(self, home: Path) -> None:
        self.root = home / "backbones"

    def folder(self, name: str) -> Path:
        """Return the place of a backbone, there or not."""
        return self.root / name

    def manifest(self, name: str) -> Manifest | None:
        """Return what is known of an installed backbone, or None when it is not installed."""
        try:
            fields = read_json(self.folder(name) / MANIFEST_FILE)
            return Manifest(**fields)
        except (OSError, ValueError, TypeError):
            return None  # not there, or written by something else: it is installed again

    def installed(self) -> list[Manifest]:
        """Return the manifests of all installed backbones by name."""
        if not self.root.is_dir():
            return []
        names = sorted(entry.name for entry in self.root.iterdir() if not entry.name.startswith("."))
        return [manifest for name in names if (manifest := self.manifest(name)) is not None]

    def install(self, name: str, build: Callable[[Path, Path], Manifest], progress: Progress) -> Path:
        """Build a backbone unless it is there, and put it in its place in one step.

        Args:
            name: folder name.
            build: fills the first folder with a model (it exists, empty), may use the second for downloads, and
                returns the manifest.
            progress: told when another process holds the lock.

        Returns:
            The finished folder.

        Raises:
            BackboneStorageError: the cache cannot be written.
            BackboneError: what ``build`` raises, and what makes the model unusable; nothing is left behind.
        """
        with self._storage(name), self._locked(name, progress):
            if self.manifest(name) is None:
                self._build(name, build)
        return self.folder(name)

    def _build(self, name: str, build: Callable[[Path, Path], Manifest]) -> None:
        partial = self.root / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        model, work = partial / "model", partial / "work"
        try:
            model.mkdir(parents=True)
            work.mkdir()
            manifest = build(model, work)
            identify(model)  # refuses what cannot be used, and is remembered in the folder
            (model / MANIFEST_FILE).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
            self._replace(model, self.folder(name))
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @staticmethod
    def _replace(new: Path, place: Path) -> None:
        if place.is_dir():  # no manifest of ours in it: move aside into the partial folder, which goes
            place.rename(new.parent / "old")
        new.rename(place)

    @contextmanager
    def _storage(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise BackboneStorageError(
                f"backbone {name!r} cannot be stored in {self.root}: {exc}; "
                "free space or rights there, or choose another home with PROMPTBANK_HOME"
            ) from exc

    @contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(f"waiting for another process that is installing {name}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
