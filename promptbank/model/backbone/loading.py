"""What users do with backbones: load one, pull one into the cache, list them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptbank.errors import BackboneError
from promptbank.model.backbone.cache import BackboneCache, Progress, PulledBackbone
from promptbank.model.backbone.catalog import CATALOG, DEFAULT_BACKBONE
from promptbank.model.backbone.folder import FolderSizes, check_folder, folder_sizes
from promptbank.model.backbone.frozen import Backbone, freeze
from promptbank.model.backbone.identity import identify
from promptbank.model.backbone.pretrained import load_model, load_tokenizer
from promptbank.model.backbone.reference import resolve

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from promptbank.config import Settings

__all__ = [
    "BackboneInfo",
    "list_backbones",
    "load_backbone",
    "local_folder",
    "local_sizes",
    "open_backbone",
    "pull_backbone",
]


def _ignore(_: str) -> None:
    """Show a message to nobody."""


@dataclass(frozen=True)
class BackboneInfo:
    """One line of the list of backbones; ``path`` is None when it is not installed."""

    name: str
    source: str
    licence: str
    path: Path | None

    @property
    def installed(self) -> bool:
        """Whether it is on this machine."""
        return self.path is not None

    @property
    def default(self) -> bool:
        """Whether it is used where no other is named."""
        return self.name == DEFAULT_BACKBONE


def open_backbone(settings: Settings, progress: Progress) -> Backbone:
    """Load the backbone that the settings name, with their number of threads.

    Raises:
        BackboneError: see `load_backbone`.
    """
    import torch

    if settings.threads:
        torch.set_num_threads(settings.threads)
    return load_backbone(settings.backbone, home=settings.home, progress=progress)


def load_backbone(ref: str, *, home: Path, dtype: torch.dtype | None = None, progress: Progress = _ignore) -> Backbone:
    """Load a frozen backbone, fetching or converting it first when that was not done yet.

    Args:
        ref: built-in name, folder, ``.gguf`` file, installed name, or hub id "owner/name".
        home: promptbank's home; converted models are kept in its `backbones_folder`.
        dtype: of the weights in memory, float32 if None; it does not change the fingerprint.
        progress: told about slow stages, and the licence when something is fetched.

    Raises:
        BackboneError: it cannot be found, fetched, stored or used; see ``promptbank.errors``.
    """
    pulled = pull_backbone(ref, home=home, progress=progress)
    identity = identify(pulled.path)
    model = load_model(pulled.path, dtype)
    return freeze(model, load_tokenizer(pulled.path), name=pulled.manifest.name, path=pulled.path, identity=identity)


def pull_backbone(ref: str, *, home: Path, progress: Progress = _ignore) -> PulledBackbone:
    """Make a backbone ready on this machine without loading it; nothing happens when it is.

    Arguments and errors are those of `load_backbone`.
    """
    cache = BackboneCache(home)
    source = resolve(ref, cache)
    if isinstance(source, PulledBackbone):
        check_folder(source.path)
        return source
    return cache.install(source.name, source.build, progress)


def list_backbones(home: Path) -> list[BackboneInfo]:
    """Return the built-in backbones, installed or not, then whatever else is installed under a home."""
    cache = BackboneCache(home)
    built_ins = [
        BackboneInfo(entry.name, entry.source, entry.licence, found.path if (found := cache.find(entry.name)) else None)
        for entry in CATALOG.values()
    ]
    others = [
        BackboneInfo(found.manifest.name, found.manifest.source, found.manifest.licence, found.path)
        for found in cache.installed()
        if found.manifest.name not in CATALOG
    ]
    return built_ins + others


def local_sizes(ref: str, home: Path) -> dict[str, FolderSizes]:
    """Return the sizes of a backbone by its fingerprint, without loading it; empty where it is not on this machine."""
    try:
        folder = local_folder(ref, home)
        sizes = folder_sizes(folder) if folder else None
        return {identify(folder).fingerprint: sizes} if folder and sizes else {}
    except (BackboneError, OSError, ValueError):
        return {}


def local_folder(ref: str, home: Path) -> Path | None:
    """Return the folder of a backbone that is on this machine; None where it had to be fetched or converted first.

    Raises:
        UnknownBackboneError: the reference means nothing.
    """
    cache = BackboneCache(home)
    source = resolve(ref, cache)
    found = source if isinstance(source, PulledBackbone) else cache.find(source.name)
    return found.path if found else None
