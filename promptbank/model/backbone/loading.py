"""The three things users do with backbones: load one, pull one into the cache, list them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from promptbank.config import Settings
from promptbank.errors import UnusableBackboneError
from promptbank.files import sha256_of
from promptbank.model.backbone.cache import BackboneCache, Manifest, size_of
from promptbank.model.backbone.catalog import CATALOG, DEFAULT_BACKBONE, BuiltIn
from promptbank.model.backbone.convert import convert_gguf
from promptbank.model.backbone.fetch import Progress, fetch_gguf
from promptbank.model.backbone.folder import check_folder
from promptbank.model.backbone.frozen import Backbone, freeze
from promptbank.model.backbone.hub import cached_repo, download_repo, probe_repo
from promptbank.model.backbone.identity import identify, load_tokenizer
from promptbank.model.backbone.quiet import quiet_transformers
from promptbank.model.backbone.reference import FolderRef, GgufRef, HubRef, InstalledRef, Reference, resolve

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = [
    "BackboneInfo",
    "Notice",
    "PulledBackbone",
    "list_backbones",
    "load_backbone",
    "local_folder",
    "open_backbone",
    "pull_backbone",
]

Notice = Callable[[str], None]
"""Called with the licence of a model that is being fetched."""

UNSTATED = "not stated; see where the model came from"


@dataclass(frozen=True)
class PulledBackbone:
    """A backbone that is ready to be loaded.

    Attributes:
        name: short name, for people.
        path: its folder.
        size_bytes: of all files in it.
        licence: short name of the terms, or what is known about them.
        source: package, repository, file or folder it came from.
        quantisation: what the weights went through, or None when nothing is known.
    """

    name: str
    path: Path
    size_bytes: int
    licence: str
    source: str
    quantisation: str | None = None


@dataclass(frozen=True)
class BackboneInfo:
    """One line of the list of backbones; ``path`` is None when it is not installed."""

    name: str
    path: Path | None
    installed: bool
    source: str
    licence: str
    default: bool


def _silent(_: str) -> None:
    """Take a message and show it to nobody."""


def open_backbone(settings: Settings, say: Notice) -> Backbone:
    """Load the backbone that the settings name, with their threads; `say` hears terms and what takes long.

    Raises:
        BackboneError: see `load_backbone`.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    return load_backbone(settings.backbone, home=settings.home, notice=say, progress=say)


def load_backbone(
    ref: str,
    *,
    home: Path,
    dtype: torch.dtype = torch.float32,
    notice: Notice = _silent,
    progress: Progress = _silent,
) -> Backbone:
    """Load a frozen backbone, fetching or converting it first when that was not done yet.

    Args:
        ref: built-in name, folder, ``.gguf`` file, installed name, or hub id "owner/name".
        home: promptbank's home; converted models are kept in ``backbones/`` under it.
        dtype: of the weights in memory; it does not change the fingerprint.
        notice: told the licence when something is fetched.
        progress: told about slow stages.

    Raises:
        BackboneError: it cannot be found, fetched, stored or used; see ``promptbank.errors``.
    """
    pulled = pull_backbone(ref, home=home, notice=notice, progress=progress)
    identity = identify(pulled.path)
    model = _load_model(pulled.path, dtype)
    return freeze(model, load_tokenizer(pulled.path), name=pulled.name, path=pulled.path, identity=identity)


def pull_backbone(ref: str, *, home: Path, notice: Notice = _silent, progress: Progress = _silent) -> PulledBackbone:
    """Make a backbone ready on this machine without loading it; nothing happens when it is.

    Args:
        ref: as in `load_backbone`.
        home: promptbank's home.
        notice: told the licence when something is fetched.
        progress: told about slow stages.

    Raises:
        BackboneError: as in `load_backbone`.
    """
    cache = BackboneCache(home)
    return _pull(resolve(ref, cache), cache, notice, progress)


def list_backbones(home: Path) -> list[BackboneInfo]:
    """Return the built-in backbones, installed or not, then whatever else is installed under a home."""
    cache = BackboneCache(home)
    built_ins = [
        BackboneInfo(
            name=entry.name,
            path=cache.folder(entry.name) if cache.manifest(entry.name) else None,
            installed=cache.manifest(entry.name) is not None,
            source=entry.source,
            licence=entry.licence,
            default=entry.name == DEFAULT_BACKBONE,
        )
        for entry in CATALOG.values()
    ]
    others = [
        BackboneInfo(entry.name, cache.folder(entry.name), True, entry.source, entry.licence, default=False)
        for entry in cache.installed()
        if entry.name not in CATALOG
    ]
    return built_ins + others


def local_folder(ref: str, home: Path) -> Path | None:
    """Return the folder of a backbone that is on this machine; None where it had to be fetched or converted first.

    Raises:
        UnknownBackboneError: the reference means nothing.
    """
    cache = BackboneCache(home)
    match resolve(ref, cache):
        case FolderRef(path):
            return path.resolve()
        case BuiltIn(name=name) | InstalledRef(name):
            return cache.folder(name) if cache.manifest(name) else None
        case HubRef(repo):
            name = _folder_name(repo)
            return cache.folder(name) if cache.manifest(name) else cached_repo(repo)
        case _:
            return None


@singledispatch
def _pull(reference: Reference, _: BackboneCache, __: Notice, ___: Progress) -> PulledBackbone:
    raise TypeError(f"no way to pull a {type(reference).__name__}")


@_pull.register
def _pull_built_in(entry: BuiltIn, cache: BackboneCache, notice: Notice, progress: Progress) -> PulledBackbone:
    def build(model: Path, work: Path) -> Manifest:
        notice(f"{entry.name} ({entry.licence}): {entry.notice}")
        gguf, terms = fetch_gguf(entry, work, progress)
        convert_gguf(gguf, model, progress)
        licence = model / "licence"
        licence.mkdir()
        for text in terms:
            shutil.copyfile(text, licence / text.name)
        return Manifest(entry.name, entry.source, entry.sha256, entry.licence, entry.quantisation)

    return _install(entry.name, cache, build, progress)


@_pull.register
def _pull_folder(reference: FolderRef, _: BackboneCache, __: Notice, ___: Progress) -> PulledBackbone:
    path = reference.path.resolve()
    check_folder(path)
    return PulledBackbone(path.name, path, size_of(path), UNSTATED, str(path))


@_pull.register
def _pull_gguf(reference: GgufRef, cache: BackboneCache, _: Notice, progress: Progress) -> PulledBackbone:
    sha256 = sha256_of(reference.path)
    name = f"{_safe(reference.path.stem)}-{sha256[:12]}"

    def build(model: Path, _: Path) -> Manifest:
        convert_gguf(reference.path.resolve(), model, progress)
        return Manifest(name, reference.path.name, sha256, UNSTATED, "dequantised from GGUF")

    return _install(name, cache, build, progress)


@_pull.register
def _pull_installed(reference: InstalledRef, cache: BackboneCache, _: Notice, __: Progress) -> PulledBackbone:
    return _pulled(reference.name, cache)


@_pull.register
def _pull_hub(reference: HubRef, cache: BackboneCache, notice: Notice, progress: Progress) -> PulledBackbone:
    name = _folder_name(reference.id)
    if cache.manifest(name) is not None:
        return _pulled(name, cache)
    found = cached_repo(reference.id)
    if found is not None:
        return PulledBackbone(name, found, size_of(found), UNSTATED, f"hub {reference.id} @ {found.name}")
    repo = probe_repo(reference.id)

    def build(model: Path, _: Path) -> Manifest:
        notice(f"{repo.ref} (licence: {repo.licence}): see https://huggingface.co/{repo.ref}")
        progress(f"downloading {repo.ref}")
        download_repo(repo, model)
        return Manifest(name, f"hub {repo.ref} @ {repo.commit}", None, repo.licence, "as published")

    return _install(name, cache, build, progress)


def _install(
    name: str, cache: BackboneCache, build: Callable[[Path, Path], Manifest], progress: Progress
) -> PulledBackbone:
    if cache.manifest(name) is None:
        cache.install(name, build, progress)
    return _pulled(name, cache)


def _pulled(name: str, cache: BackboneCache) -> PulledBackbone:
    manifest, path = cache.manifest(name), cache.folder(name)
    if manifest is None:
        raise UnusableBackboneError(f"{path} was changed while it was being read; pull {name!r} again")
    return PulledBackbone(name, path, size_of(path), manifest.licence, manifest.source, manifest.quantisation)


def _folder_name(repo: str) -> str:
    return repo.replace("/", "--")


def _safe(name: str) -> str:
    """Return a folder name that is plain on every system and never hidden."""
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "model"


def _load_model(path: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Load the weights; what the file lacks would be random, so that is an error and not the library's warning."""
    from transformers import AutoModelForCausalLM

    try:
        with quiet_transformers():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    # transformers and safetensors raise many kinds for broken weights, RuntimeError and plain Exception among them
    except Exception as exc:
        raise UnusableBackboneError(f"the model in {path} cannot be loaded: {exc}") from exc
    model: PreTrainedModel = loaded[0]
    found: dict[str, Any] = loaded[1]
    absent = sorted({*found["missing_keys"], *(str(key[0]) for key in found["mismatched_keys"])})
    if absent:
        raise UnusableBackboneError(
            f"the weights in {path} do not fit its config.json: {len(absent)} tensors are missing or of another shape "
            f"({', '.join(absent[:3])}, ...)"
        )
    return model
