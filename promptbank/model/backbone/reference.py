"""What a user means by a backbone: a built-in name, a folder, a ``.gguf`` file, something installed, a hub id.

Deciding is separate from fetching, so a typo is told from a missing file before anything is downloaded.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptbank.errors import UnknownBackboneError
from promptbank.model.backbone.catalog import CATALOG, BuiltIn

if TYPE_CHECKING:
    from promptbank.model.backbone.cache import BackboneCache

__all__ = ["FolderRef", "GgufRef", "HubRef", "InstalledRef", "Reference", "resolve"]

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class FolderRef:
    """A Hugging Face folder of the user's, used where it lies."""

    path: Path


@dataclass(frozen=True)
class GgufRef:
    """A GGUF file of the user's, converted into the cache."""

    path: Path


@dataclass(frozen=True)
class InstalledRef:
    """A backbone that is in the cache already, by its folder name."""

    name: str


@dataclass(frozen=True)
class HubRef:
    """A repository of the hub, "owner/name"."""

    id: str


Reference = BuiltIn | FolderRef | GgufRef | InstalledRef | HubRef


def resolve(ref: str, cache: BackboneCache) -> Reference:
    """Say what a reference means; nothing is fetched.

    A built-in name wins over a folder of the same name in the working directory (write ``./name`` for that one).

    Args:
        ref: as the user typed it.
        cache: where installed backbones are.

    Raises:
        UnknownBackboneError: it means nothing; near names are given.
    """
    if ref in CATALOG:
        return CATALOG[ref]
    path = os.path.expanduser(ref)
    # os.path and not Path, whose tests raise for names that are too long or hold NUL
    if os.path.isdir(path):
        return FolderRef(Path(path))
    if os.path.isfile(path):
        return _file(Path(path))
    if ref in _installed(cache):
        return InstalledRef(ref)
    if _looks_like_path(ref):
        raise UnknownBackboneError(f"there is no model folder or .gguf file {ref!r}; {_allowed()}")
    if HUB_ID.fullmatch(ref):
        return HubRef(ref)
    raise UnknownBackboneError(f"unknown backbone {ref!r}{_near(ref, cache)}; {_allowed()}")


def _file(path: Path) -> GgufRef:
    if path.suffix.lower() == ".gguf":
        return GgufRef(path)
    hint = f"; name its folder {path.parent} instead" if path.suffix == ".safetensors" else ""
    raise UnknownBackboneError(f"the file {path} is no .gguf file{hint}; {_allowed()}")


def _looks_like_path(ref: str) -> bool:
    return ref.startswith((".", "/", "~")) or ref.lower().endswith(".gguf") or ref.count("/") > 1 or "\\" in ref


def _installed(cache: BackboneCache) -> list[str]:
    return [manifest.name for manifest in cache.installed()]


def _near(ref: str, cache: BackboneCache) -> str:
    names = {*CATALOG, *_installed(cache)}
    near = difflib.get_close_matches(ref.lower(), names, n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _allowed() -> str:
    return f"allowed: {', '.join(CATALOG)}, a model folder, a .gguf file, or a hub id owner/name"
