"""The folder of converted backbones: each is there as a whole or not at all.

Homes may share one, see `backbones_folder`. A backbone is built in a hidden folder beside its place and renamed when it
is whole, under a file lock. The lock goes with its process, so after a kill the next one takes it, clears what was left
half-built and starts again.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from promptbank.config import backbones_folder
from promptbank.errors import BackboneStorageError
from promptbank.files import read_json
from promptbank.model.backbone.identity import MANIFEST_FILE, identify

__all__ = ["UNSTATED", "BackboneCache", "Build", "Manifest", "Progress", "PulledBackbone"]

UNSTATED = "not stated; see where the model came from"

Progress = Callable[[str], None]
"""Called with one short line at each stage that takes seconds or minutes, and with the licence of what is fetched."""


@dataclass(frozen=True)
class Manifest:
    """Where a backbone came from; ``promptbank.json`` in the folder of a converted one.

    Attributes:
        name: folder name under ``backbones/``.
        source: package, repository at a commit, file or folder.
        source_sha256: hex sha256 of the source file; None when the source was not one file.
        licence: short name of the terms, or what is known about them.
        quantisation: what the weights went through, such as "dequantised from 4 bits"; None when nothing is known.
    """

    name: str
    source: str
    source_sha256: str | None
    licence: str
    quantisation: str | None


@dataclass(frozen=True)
class PulledBackbone:
    """A backbone on this machine, ready to be loaded from ``path``."""

    path: Path
    manifest: Manifest

    @property
    def size_bytes(self) -> int:
        """Bytes of all files in the folder."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


Build = Callable[[Path, Path, Progress], Manifest]
"""Fills an empty folder with a model, may use a second one for downloads, and returns the manifest."""


class BackboneCache:
    """The converted backbones that a home uses.

    Args:
        home: promptbank's home; made when something is written.
    """

    def __init__(self, home: Path) -> None:
        self.root = backbones_folder(home, os.environ)

    def find(self, name: str) -> PulledBackbone | None:
        """Return an installed backbone, or None when there is none of this name."""
        folder = self.root / name
        try:
            return PulledBackbone(folder, Manifest(**read_json(folder / MANIFEST_FILE)))
        except (OSError, ValueError, TypeError):
            return None  # not there, or written by something else: it is installed again

    def installed(self) -> list[PulledBackbone]:
        """Return all installed backbones by name."""
        if not self.root.is_dir():
            return []
        names = sorted(entry.name for entry in self.root.iterdir() if not entry.name.startswith("."))
        return [found for name in names if (found := self.find(name)) is not None]

    def install(self, name: str, build: Build, progress: Progress) -> PulledBackbone:
        """Build a backbone unless it is there, and put it in its place in one step.

        Args:
            name: folder name.
            build: see `Build`.
            progress: passed to ``build``, and told when another process holds the lock.

        Raises:
            BackboneStorageError: the cache cannot be written.
            BackboneError: what ``build`` raises, and what makes the model unusable; nothing is left behind.
        """
        found = self.find(name)
        if found is not None:
            return found
        try:
            with self._lock(name, progress):
                return self.find(name) or self._build(name, build, progress)
        except OSError as exc:
            raise BackboneStorageError(
                f"backbone {name!r} cannot be stored in {self.root}: {exc}; "
                "free space or rights there, choose another home with PROMPTBANK_HOME, or PROMPTBANK_CACHE"
            ) from exc

    def _build(self, name: str, build: Build, progress: Progress) -> PulledBackbone:
        partial, place = self.root / f".{name}.partial", self.root / name
        shutil.rmtree(partial, ignore_errors=True)
        model, work = partial / "model", partial / "work"
        try:
            model.mkdir(parents=True)
            work.mkdir()
            manifest = build(model, work, progress)
            identify(model)  # refuses what cannot be used, and is remembered in the folder
            (model / MANIFEST_FILE).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
            if place.is_dir():  # without a manifest of ours: it is moved aside and removed
                place.rename(partial / "old")
            model.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return PulledBackbone(place, manifest)

    def _lock(self, name: str, progress: Progress) -> AbstractContextManager[BaseFileLock]:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f".{name}.lock")
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            progress(f"waiting for another process that is installing {name}")
            return lock.acquire()
