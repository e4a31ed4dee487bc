"""Find and download models of the Hugging Face hub.

The hub's client retries for minutes when there is no network, so the hub is asked once, with a hard time limit, and
every failure is one line that names the ways without a hub.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from promptbank.errors import (
    BackboneError,
    FetchError,
    HubUnreachableError,
    UnknownBackboneError,
    UnusableBackboneError,
)
from promptbank.model.backbone.cache import UNSTATED, Manifest, Progress, PulledBackbone
from promptbank.model.backbone.catalog import CATALOG
from promptbank.model.backbone.folder import INDEX, WEIGHTS, check_folder

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

__all__ = ["HubRepo", "cached_repo"]

PROBE_SECONDS = 8.0
"""Longest wait for the hub's first answer, name resolution included."""

REQUEST_SECONDS = 5.0

NEEDED = re.compile(
    r"model(-\d+-of-\d+)?\.safetensors|[^/]+\.(json|model|txt|jinja)|(LICEN[CS]E|NOTICE|README)[^/]*", re.IGNORECASE
)
"""Files worth fetching: one set of weights, and the small ones beside it. Other folders hold other formats."""


@dataclass(frozen=True)
class HubRepo:
    """A model repository of the hub, ``ref`` being "owner/name"."""

    ref: str

    @property
    def name(self) -> str:
        """Folder name in the cache."""
        return self.ref.replace("/", "--")

    def build(self, model: Path, _: Path, progress: Progress) -> Manifest:
        """Download weights, configuration and tokenizer, see `cache.Build`.

        Raises:
            HubUnreachableError: offline mode is on, nothing came within `PROBE_SECONDS`, or the connection broke.
            UnknownBackboneError: the hub has no such repository.
            FetchError: its terms have to be accepted first.
            UnusableBackboneError: it holds no safetensors weights.
        """
        info = _ask(self.ref)
        names = [sibling.rfilename for sibling in info.siblings or []]
        _check_weights(self.ref, names)
        card = info.card_data
        stated = getattr(card, "license_name", None) or getattr(card, "license", None)
        licence = str(stated or f"not stated; see https://huggingface.co/{self.ref}")
        progress(f"{self.ref} (licence: {licence}): see https://huggingface.co/{self.ref}")
        progress(f"downloading {self.ref}")
        commit = info.sha or "main"
        _download(self.ref, commit, [name for name in names if NEEDED.fullmatch(name)], model)
        return Manifest(self.name, f"hub {self.ref} @ {commit}", None, licence, "as published")


def cached_repo(repo: HubRepo) -> PulledBackbone | None:
    """Return a repository that is in the hub client's own cache, or None unless it is complete and usable."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo.ref, local_files_only=True))
        check_folder(folder)
    except (OSError, ValueError, UnusableBackboneError):
        return None
    return PulledBackbone(folder, Manifest(repo.name, f"hub {repo.ref} @ {folder.name}", None, UNSTATED, None))


def _ask(ref: str) -> ModelInfo:
    """Ask in a thread of its own: name resolution has no time limit, and a daemon thread does not hold up exit."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        raise _unreachable(ref, "HF_HUB_OFFLINE is set")
    answers: list[ModelInfo | Exception] = []

    def ask() -> None:
        try:
            answers.append(HfApi().model_info(ref, timeout=REQUEST_SECONDS))
        # the client passes on the errors of whichever HTTP library it is built on
        except Exception as exc:
            answers.append(exc)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    if not answers:
        raise _unreachable(ref, f"no answer within {PROBE_SECONDS:g} s")
    if isinstance(answers[0], Exception):
        raise _explain(ref, answers[0]) from answers[0]
    return answers[0]


def _explain(ref: str, exc: Exception) -> BackboneError:
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    if isinstance(exc, GatedRepoError):
        return FetchError(
            f"{ref} asks you to accept its terms: do so at https://huggingface.co/{ref}, "
            "then log in with `hf auth login`"
        )
    if isinstance(exc, RepositoryNotFoundError | HFValidationError):
        return UnknownBackboneError(
            f"the hub has no public model {ref!r}; check the spelling at https://huggingface.co/models, "
            f"or name a built-in one ({', '.join(CATALOG)})"
        )
    return _unreachable(ref, f"{type(exc).__name__}: {exc}")


def _unreachable(ref: str, why: str) -> HubUnreachableError:
    return HubUnreachableError(
        f"cannot get {ref!r} from the Hugging Face hub ({why}); try again with a connection, "
        f"or name a model folder, a .gguf file, or a built-in backbone ({', '.join(CATALOG)})"
    )


def _download(ref: str, commit: str, files: list[str], folder: Path) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(ref, revision=commit, local_dir=folder, allow_patterns=files, etag_timeout=REQUEST_SECONDS)
    # the client passes on the errors of whichever HTTP library it is built on
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None and not isinstance(exc, ConnectionError | TimeoutError):
            raise  # the local disk, not the hub
        raise _unreachable(ref, f"the download broke off ({exc})") from exc
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    # without a connection the client may return what is there, with a log line only
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise _unreachable(ref, f"the download broke off before {', '.join(missing[:3])}")


def _check_weights(ref: str, names: Sequence[str]) -> None:
    if WEIGHTS in names or INDEX in names:
        return
    gguf = (f"it has {name}: download that file and name it" for name in names if name.endswith(".gguf"))
    hint = next(gguf, "other formats can run code when read and are not loaded")
    raise UnusableBackboneError(f"{ref} on the hub has no {WEIGHTS}; {hint}")
