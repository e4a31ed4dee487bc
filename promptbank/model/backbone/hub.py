"""Models of the Hugging Face hub: the local cache first, then one question to the hub, then the download.

The hub's client retries for minutes when there is no network, so reachability is asked once, with a hard limit, and
everything that goes wrong is said in one line that names the ways without a hub.
"""

from __future__ import annotations

import queue
import re
import shutil
import threading
from collections.abc import Callable, Sequence
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
from promptbank.model.backbone.catalog import CATALOG
from promptbank.model.backbone.folder import INDEX, WEIGHTS, check_folder

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

__all__ = ["HubRepo", "cached_repo", "download_repo", "probe_repo"]

PROBE_SECONDS = 8.0
"""Longest wait for the hub's first answer, name resolution included."""

REQUEST_SECONDS = 5.0

NEEDED = re.compile(
    r"model(-\d+-of-\d+)?\.safetensors|[^/]+\.(json|model|txt|jinja)|(LICEN[CS]E|NOTICE|README)[^/]*", re.IGNORECASE
)
"""Files worth fetching: one set of weights, and the small ones beside it. Other folders hold other formats."""


@dataclass(frozen=True)
class HubRepo:
    """A model repository that the hub has answered for.

    Attributes:
        ref: "owner/name".
        commit: the revision to download.
        licence: from the model card, or what is known.
        files: names of the files to download.
    """

    ref: str
    commit: str
    licence: str
    files: tuple[str, ...]


def cached_repo(ref: str) -> Path | None:
    """Return the folder of a repository in the hub client's own cache, or None unless it is complete and usable."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(ref, local_files_only=True))
        check_folder(folder)
    except (OSError, ValueError, UnusableBackboneError):
        return None
    return folder


def probe_repo(ref: str) -> HubRepo:
    """Ask the hub about a repository, once.

    Args:
        ref: "owner/name".

    Raises:
        HubUnreachableError: offline mode is on, or there was no answer within `PROBE_SECONDS`.
        UnknownBackboneError: the hub has no such repository.
        FetchError: its terms have to be accepted first.
        UnusableBackboneError: it holds no safetensors weights.
    """
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        raise _unreachable(ref, "HF_HUB_OFFLINE is set")
    info = _ask(ref)
    names = [sibling.rfilename for sibling in info.siblings or []]
    _check_files(ref, names)
    card = info.card_data
    licence = getattr(card, "license_name", None) or getattr(card, "license", None)
    return HubRepo(
        ref=ref,
        commit=info.sha or "main",
        licence=str(licence or f"not stated; see https://huggingface.co/{ref}"),
        files=tuple(name for name in names if NEEDED.fullmatch(name)),
    )


def download_repo(repo: HubRepo, folder: Path) -> None:
    """Download the weights, configuration and tokenizer of a repository.

    Raises:
        HubUnreachableError: the connection broke.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            repo.ref,
            revision=repo.commit,
            local_dir=folder,
            allow_patterns=list(repo.files),
            etag_timeout=REQUEST_SECONDS,
        )
    # the client passes on the errors of whichever HTTP library it is built on
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None and not isinstance(exc, ConnectionError | TimeoutError):
            raise  # the local disk, not the hub
        raise _unreachable(repo.ref, f"the download broke off ({exc})") from exc
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    # without a connection the client may return what is there, with a log line only
    missing = [name for name in repo.files if not (folder / name).is_file()]
    if missing:
        raise _unreachable(repo.ref, f"the download broke off before {', '.join(missing[:3])}")


def _ask(ref: str) -> ModelInfo:
    """Ask in a thread of its own: name resolution knows no time limit, and a daemon thread does not hold up exit."""
    answers: queue.Queue[ModelInfo | BackboneError] = queue.Queue()
    threading.Thread(target=_answer, args=(ref, answers.put), daemon=True).start()
    try:
        answer = answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        raise _unreachable(ref, f"no answer within {PROBE_SECONDS:g} s") from None
    if isinstance(answer, BackboneError):
        raise answer
    return answer


def _answer(ref: str, put: Callable[[ModelInfo | BackboneError], None]) -> None:
    from huggingface_hub import HfApi

    try:
        put(HfApi().model_info(ref, timeout=REQUEST_SECONDS))
    # the client passes on the errors of whichever HTTP library it is built on
    except Exception as exc:
        error = _explain(ref, exc)
        error.__cause__ = exc
        put(error)


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


def _check_files(ref: str, names: Sequence[str]) -> None:
    if WEIGHTS in names or INDEX in names:
        return
    gguf = [name for name in names if name.endswith(".gguf")]
    hint = (
        f"it has {gguf[0]}: download that file and name it"
        if gguf
        else "other formats can run code when read and are not loaded"
    )
    raise UnusableBackboneError(f"{ref} on the hub has no {WEIGHTS}; {hint}")
