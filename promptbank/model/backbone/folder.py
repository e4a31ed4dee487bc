"""Check a model folder by its file names and ``config.json``, before anything is loaded from it.

A folder that cannot work is refused in milliseconds and with all reasons, not after a gigabyte has been read. Only
safetensors weights are taken: the other formats of the hub are pickles. JSON is read as transformers does, which
knows Infinity.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone.pretrained import causal_class

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["INDEX", "WEIGHTS", "FolderSizes", "check_folder", "folder_sizes", "weight_files"]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "spm.model", "vocab.json", "vocab.txt")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


def check_folder(path: Path) -> None:
    """Refuse a folder that is no complete causal language model with safetensors weights.

    Args:
        path: an existing folder.

    Raises:
        UnusableBackboneError: all that is missing or wrong, in one message.
    """
    faults = [*_config_faults(path / "config.json"), *_weight_faults(path)]
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        faults.append(f"it has no tokenizer (one of {', '.join(TOKENIZER_FILES)})")
    if faults:
        raise UnusableBackboneError(f"the folder {path} is no backbone: {'; '.join(faults)}")


def weight_files(path: Path) -> list[Path]:
    """Return the safetensors files that hold the weights: one, or the shards named by the index.

    Raises:
        UnusableBackboneError: neither is there, or the index cannot be read.
    """
    if (path / WEIGHTS).is_file():
        return [path / WEIGHTS]
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnusableBackboneError(f"{path / INDEX} does not name the weight files ({exc!r}); fetch it again") from exc
    return [path / name for name in names]


def _config_faults(file: Path) -> list[str]:
    """Judge the architecture from the raw file, before the library fills in defaults."""
    if not file.is_file():
        return ["it has no config.json"]
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as exc:
        return [f"its config.json is not JSON ({exc})"]
    if not isinstance(config, dict):
        return ["its config.json is no JSON object"]
    kind, named = config.get("model_type"), config.get("architectures") or []
    expected = causal_class(str(kind))
    if config.get("is_encoder_decoder"):
        return [f"it is an encoder-decoder model ({kind}), and a left-to-right one is needed"]
    if expected is None:
        code = ", or one that runs code of its own, which promptbank never does" if "auto_map" in config else ""
        return [f"its model type {kind!r} is no causal language model the library knows{code}"]
    if named and expected not in named:
        return [f"it was saved as {', '.join(map(str, named))}, which is not the causal model {expected}"]
    return []


def _weight_faults(path: Path) -> list[str]:
    if (path / WEIGHTS).is_file() or (path / INDEX).is_file():
        missing = [file.name for file in weight_files(path) if not file.is_file()]
        return [f"its weight files {', '.join(missing)} are missing"] if missing else []
    gguf = sorted(file.name for file in path.glob("*.gguf"))
    if gguf:
        return [f"it has no {WEIGHTS} but {gguf[0]}: name that file instead of the folder"]
    pickles = sorted(file.name for pattern in PICKLES for file in path.glob(pattern))
    if pickles:
        return [
            f"its weights ({', '.join(pickles[:3])}) are in a format that can run code when read; "
            "only safetensors are loaded (save it again with save_pretrained)"
        ]
    return [f"it has no weights ({WEIGHTS} or {INDEX})"]


@dataclass(frozen=True)
class FolderSizes:
    """Sizes of a model that is not loaded, as its ``config.json`` says.

    Attributes:
        hidden_size: H.
        vocab_size: ids are below it.
    """

    hidden_size: int
    vocab_size: int


def folder_sizes(path: Path) -> FolderSizes | None:
    """Return the sizes of a model folder; None where its configuration does not say them in a usual way."""
    config = json.loads((path / "config.json").read_bytes())
    config = config.get("text_config", config)
    hidden = next((config[key] for key in ("hidden_size", "n_embd", "d_model") if key in config), None)
    vocabulary = config.get("vocab_size")
    if not (isinstance(hidden, int) and isinstance(vocabulary, int)):
        return None
    return FolderSizes(hidden, vocabulary)
