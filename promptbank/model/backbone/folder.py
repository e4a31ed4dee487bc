"""What a Hugging Face folder must hold before anything is loaded from it.

The checks read names and one JSON file, so a folder that cannot work is refused in milliseconds and with all reasons,
not after a gigabyte has been read. Only safetensors weights are taken: the other formats of the hub are pickles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptbank.errors import UnusableBackboneError
from promptbank.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig

__all__ = ["INDEX", "TOKENIZER_FILES", "WEIGHTS", "architecture", "check_folder", "read_config", "weight_files"]

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
    faults = [*_config_faults(path), *_weight_faults(path)]
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
        index = read_json(path / INDEX)
        names = sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnusableBackboneError(f"{path / INDEX} does not name the weight files ({exc!r}); fetch it again") from exc
    return [path / name for name in names]


def read_config(path: Path) -> PreTrainedConfig:
    """Read ``config.json`` as the library's configuration, which fills defaults and modernises old keys.

    Raises:
        UnusableBackboneError: it is missing, broken, or of an architecture the library does not know.
    """
    from transformers import AutoConfig

    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    # each architecture checks its own values, with errors of many kinds
    except Exception as exc:
        raise UnusableBackboneError(f"{path / 'config.json'} cannot be read as a model configuration: {exc}") from exc
    return config


def architecture(config: PreTrainedConfig) -> str:
    """Return the class name that a causal model of this configuration gets, such as "Gemma3ForCausalLM".

    Raises:
        UnusableBackboneError: the library has no causal language model for it.
    """
    name = _causal_class(config.model_type)
    if name is None:
        raise UnusableBackboneError(
            f"model type {config.model_type!r} has no causal language model; use a GPT kind (GPT-2, Llama, Gemma, ...)"
        )
    return name


def _causal_class(model_type: str) -> str | None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    found: str | None = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type)
    return found


def _config_faults(path: Path) -> list[str]:
    file = path / "config.json"
    if not file.is_file():
        return ["it has no config.json"]
    try:
        config = read_json(file)
    except ValueError as exc:
        return [f"its config.json is not JSON ({exc})"]
    if not isinstance(config, dict):
        return ["its config.json is no JSON object"]
    return _kind_faults(config)


def _kind_faults(config: dict[str, Any]) -> list[str]:
    """Judge the architecture from the raw file, before the library fills in defaults."""
    kind, named = config.get("model_type"), config.get("architectures") or []
    expected = _causal_class(str(kind))
    if config.get("is_encoder_decoder"):
        return [f"it is an encoder-decoder model ({kind}), and a left-to-right one is needed"]
    if expected is None:
        code = ", or one that runs code of its own, which promptbank never does" if "auto_map" in config else ""
        return [f"its model type {kind!r} is no causal language model the library knows{code}"]
    if named and expected not in named:
        return [f"it was saved as {', '.join(map(str, named))}, which is not the causal model {expected}"]
    return []


def _weight_faults(path: Path) -> list[str]:
    if not (path / WEIGHTS).is_file() and not (path / INDEX).is_file():
        return [_no_weights(path)]
    missing = [file.name for file in weight_files(path) if not file.is_file()]
    return [f"its weight files {', '.join(missing)} are missing"] if missing else []


def _no_weights(path: Path) -> str:
    gguf = sorted(file.name for file in path.glob("*.gguf"))
    if gguf:
        return f"it has no {WEIGHTS} but {gguf[0]}: name that file instead of the folder"
    pickles = sorted(file.name for pattern in PICKLES for file in path.glob(pattern))
    if pickles:
        return (
            f"its weights ({', '.join(pickles[:3])}) are in a format that can run code when read; "
            "only safetensors are loaded (save it again with save_pretrained)"
        )
    return f"it has no weights ({WEIGHTS} or {INDEX})"
