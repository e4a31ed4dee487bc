"""What a user's name for a backbone means.

Deciding is separate from fetching, so a typo is told from a missing file before anything is downloaded.
"""

import difflib
import os
import re
from pathlib import Path

from promptbank.errors import UnknownBackboneError
from promptbank.model.backbone.cache import UNSTATED, BackboneCache, Manifest, PulledBackbone
from promptbank.model.backbone.catalog import CATALOG
from promptbank.model.backbone.convert import GgufFile
from promptbank.model.backbone.fetch import BuiltIn
from promptbank.model.backbone.hub import HubRepo, cached_repo

__all__ = ["Source", "resolve"]

Source = BuiltIn | GgufFile | HubRepo
"""What can be installed in the cache: each has a ``name`` (of its folder there) and a ``build`` (see `cache.Build`)."""

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def resolve(ref: str, cache: BackboneCache) -> PulledBackbone | Source:
    """Return the folder on this machine that a name means, or what has to be installed; nothing is fetched.

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
        folder = Path(path).resolve()
        return PulledBackbone(folder, Manifest(folder.name, str(folder), None, UNSTATED, None))
    if os.path.isfile(path):
        return _file(Path(path))
    installed = {found.manifest.name: found for found in cache.installed()}
    if ref in installed:
        return installed[ref]
    if _looks_like_path(ref):
        raise UnknownBackboneError(f"there is no model folder or .gguf file {ref!r}; {_allowed()}")
    if HUB_ID.fullmatch(ref):
        repo = HubRepo(ref)
        return installed.get(repo.name) or cached_repo(repo) or repo
    near = difflib.get_close_matches(ref.lower(), {*CATALOG, *installed}, n=3, cutoff=0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise UnknownBackboneError(f"unknown backbone {ref!r}{hint}; {_allowed()}")


def _file(path: Path) -> GgufFile:
    if path.suffix.lower() == ".gguf":
        return GgufFile(path)
    hint = f"; name its folder {path.parent} instead" if path.suffix == ".safetensors" else ""
    raise UnknownBackboneError(f"the file {path} is no .gguf file{hint}; {_allowed()}")


def _looks_like_path(ref: str) -> bool:
    return ref.startswith((".", "/", "~")) or ref.lower().endswith(".gguf") or ref.count("/") > 1 or "\\" in ref


def _allowed() -> str:
    return f"allowed: {', '.join(CATALOG)}, a model folder, a .gguf file, or a hub id owner/name"
