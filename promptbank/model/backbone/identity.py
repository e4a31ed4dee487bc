"""The identity of a backbone folder: fingerprint and tokenizer hash, remembered beside the weights.

Hashing 1 GB takes seconds and happens at every start, so the result is kept in a small JSON file next to the files it
is about, and holds for as long as each of them has the same size and modification time (in nanoseconds).
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from promptbank.files import read_json, write_file
from promptbank.model.backbone import fingerprint as weights
from promptbank.model.backbone import tokenizer_hash
from promptbank.model.backbone.folder import check_folder
from promptbank.model.backbone.pretrained import load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["IDENTITY_FILE", "MANIFEST_FILE", "Identity", "identify"]

IDENTITY_FILE = "promptbank-identity.json"
MANIFEST_FILE = "promptbank.json"
SCHEMES = f"{weights.SCHEME} {tokenizer_hash.SCHEME}"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """The two hashes that tell one backbone from another.

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
    remembered = None if fresh else _recall(path / IDENTITY_FILE, state)
    if remembered is not None:
        return remembered
    identity = Identity(weights.fingerprint(path), tokenizer_hash.hash_tokenizer(load_tokenizer(path)))
    text = json.dumps({"schemes": SCHEMES, **asdict(identity), "files": state}, indent=1)
    try:
        write_file(path / IDENTITY_FILE, text)
    except OSError as exc:
        logger.info("cannot remember the identity of %s (%s); it is hashed again next time", path, exc)
    return identity


def _state(path: Path) -> dict[str, list[int]]:
    """Return size and modification time of every file that may have a say in the identity."""
    ours = (IDENTITY_FILE, MANIFEST_FILE)
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith(ours))
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in files}


def _recall(file: Path, state: dict[str, list[int]]) -> Identity | None:
    try:
        kept = read_json(file)
        if kept["schemes"] != SCHEMES or kept["files"] != state:
            return None
        return Identity(str(kept["fingerprint"]), str(kept["tokenizer_sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, cut short or not ours: hash again
