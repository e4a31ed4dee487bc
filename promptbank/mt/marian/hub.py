"""Marian models of the Hugging Face hub: the local cache first, then one question, then the download.

Without a network the hub's client retries for minutes; here it is said at once, in one line, what to do instead. Only
safetensors weights are fetched: the pickles that most OPUS-MT repositories hold can run code when they are read.
"""

import queue
import re
import threading
from collections.abc import Callable
from pathlib import Path

from promptbank.mt.marian.pieces import PIECE_FILES
from translate.errors import EngineError

__all__ = ["resolve_marian"]

PROBE_SECONDS = 8.0
"""Longest wait for the hub's first answer, name resolution included."""

WEIGHTS = "model.safetensors"
NEEDED = (WEIGHTS, "config.json", *PIECE_FILES)
FETCHED = [*NEEDED, "generation_config.json", "tokenizer_config.json", "README.md", "LICENSE*"]
_REF = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def resolve_marian(ref: str) -> Path:
    """Return the folder of a model.

    Args:
        ref: a folder, or a repository of the hub such as "owner/name" or "owner/name@revision".

    Raises:
        EngineError: there is no such folder, the hub cannot be reached, or has no such model with safetensors.
    """
    if Path(ref).is_dir():
        return Path(ref)
    if not _REF.fullmatch(ref) or ref.startswith((".", "/")):
        raise EngineError(f"{ref!r} is neither a folder nor a repository of the hub (owner/name)")
    name, _, revision = ref.partition("@")
    return _cached(name, revision) or _downloaded(name, revision)


def _cached(name: str, revision: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision or None, local_files_only=True))
    except (OSError, ValueError):
        return None
    return folder if all((folder / needed).is_file() for needed in NEEDED) else None


def _downloaded(name: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        raise _unreachable(name, "HF_HUB_OFFLINE is set")
    commit, files = _ask(name, revision)
    missing = [needed for needed in NEEDED if needed not in files]
    if missing:
        raise EngineError(_explain_missing(name, missing))
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=FETCHED, etag_timeout=5.0))
    # the client passes on the errors of whichever HTTP library it is built on
    except Exception as exc:
        raise _unreachable(name, f"the download broke off ({exc})") from exc


def _ask(name: str, revision: str) -> tuple[str, frozenset[str]]:
    """Ask in a thread of its own: name resolution knows no time limit, and a daemon thread does not hold up exit."""
    answers: queue.Queue[tuple[str, frozenset[str]] | EngineError] = queue.Queue()
    threading.Thread(target=_answer, args=(name, revision, answers.put), daemon=True).start()
    try:
        answer = answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        raise _unreachable(name, f"no answer within {PROBE_SECONDS:g} s") from None
    if isinstance(answer, EngineError):
        raise answer
    return answer


def _answer(name: str, revision: str, put: Callable[[tuple[str, frozenset[str]] | EngineError], None]) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi().model_info(name, revision=revision or None, timeout=5.0)
        put((info.sha or revision or "main", frozenset(file.rfilename for file in info.siblings or [])))
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        put(EngineError(f"the hub has no public model {name!r}{' at ' + revision if revision else ''}"))
    # the client passes on the errors of whichever HTTP library it is built on
    except Exception as exc:
        put(_unreachable(name, f"{type(exc).__name__}: {exc}"))


def _explain_missing(name: str, missing: list[str]) -> str:
    if missing == [WEIGHTS]:
        return (
            f"{name} on the hub has no {WEIGHTS}, and pickled weights are not loaded; a revision of the hub's "
            f"conversion bot may have it: see the open pull requests there and name one as {name}@refs/pr/1"
        )
    return f"{name} on the hub is no Marian: it lacks {', '.join(missing)}"


def _unreachable(name: str, why: str) -> EngineError:
    return EngineError(
        f"cannot get {name!r} from the Hugging Face hub ({why}); try again with a connection, or name the folder of a "
        "Marian or CTranslate2 model"
    )
