"""The identity of a backbone folder: both hashes, remembered beside the weights.

Hashing 1 GB takes seconds and happens at every start, so the result is kept in a small JSON file next to the files it
is about, and holds for as long as each of them has the same size and modification time (in nanoseconds).
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from promptbank.errors import UnusableBackboneError
from promptbank.files import read_json, write_file
from promptbank.model.backbone import fingerprint as weights
from promptbank.model.backbone import tokenizer_hash
from promptbank.model.backbone.folder import check_folder
from promptbank.model.backbone.quiet import quiet_transformers

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

__all__ = ["IDENTITY_FILE", "MANIFEST_FILE", "Identity", "identify", "load_tokenizer"]

IDENTITY_FILE = "promptbank-identity.json"
MANIFEST_FILE = "promptbank.json"
SCHEMES = f"{weights.SCHEME} {tokenizer_hash.SCHEME}"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Which model this is.

    Attributes:
        fingerprint: hex sha256, see `promptbank.model.backbone.fingerprint`.
        tokenizer_sha256: hex sha256, see `promptbank.model.backbone.tokenizer_hash`.
    """

    fingerprint: str
    tokenizer_sha256: str


def identify(path: Path, *, fresh: bool = False) -> Identity:
    """Return both hashes of a model folder; no model is built.

    Args:
        path: a Hugging Face folder with safetensors weights.
        fresh: hash again even if the remembered result seems to hold (a file may have been changed and given its old
            time stamp back).

    Raises:
        UnusableBackboneError: the folder is no causal language model, or a file in it is broken.
    """
    check_folder(path)
    state = _state(path)
    remembered = None if fresh else _recall(path, state)
    if remembered is not None:
        return remembered
    identity = Identity(weights.fingerprint(path), tokenizer_hash.hash_tokenizer(load_tokenizer(path)))
    _remember(path, state, identity)
    return identity


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Load a folder's tokenizer; nothing is fetched and no code of the folder runs.

    Raises:
        UnusableBackboneError: it cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
    # the tokenizers library raises bare Exception for a broken file
    except Exception as exc:
        raise UnusableBackboneError(f"the tokenizer in {path} cannot be read: {exc}") from exc
    return tokenizer


def _state(path: Path) -> dict[str, list[int]]:
    """Return size and modification time of every file that may have a say in the identity."""
    ours = {IDENTITY_FILE, MANIFEST_FILE}
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(tuple(ours)))
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}


def _recall(path: Path, state: dict[str, list[int]]) -> Identity | None:
    try:
        kept = read_json(path / IDENTITY_FILE)
        if kept["schemes"] != SCHEMES or kept["files"] != state:
            return None
        return Identity(str(kept["fingerprint"]), str(kept["tokenizer_sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, cut short or not ours: hash again


def _remember(path: Path, state: dict[str, list[int]], identity: Identity) -> None:
    text = json.dumps({"schemes": SCHEMES, **asdict(identity), "files": state}, indent=1)
    try:
        write_file(path / IDENTITY_FILE, text)
    except OSError as exc:
        logger.info("cannot remember the identity of %s (%s); it is hashed again next time", path, exc)
