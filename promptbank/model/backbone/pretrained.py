"""Read configuration, tokenizer and weights of a model folder through the transformers library.

Nothing is fetched, no code of the folder runs, and the library's many kinds of error become one.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from promptbank.errors import UnusableBackboneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["causal_class", "load_model", "load_tokenizer", "quiet_transformers", "read_config"]


def read_config(path: Path) -> PreTrainedConfig:
    """Read a folder's ``config.json``; the library fills in defaults and renames old keys.

    Raises:
        UnusableBackboneError: it is missing, broken, or of an architecture the library does not know.
    """
    from transformers import AutoConfig

    with _refusing(f"{path / 'config.json'} cannot be read as a model configuration"):
        config: PreTrainedConfig = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    return config


def causal_class(model_type: str) -> str | None:
    """Return the causal language model class of a model type ("Gemma3ForCausalLM"), or None if it has none."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type)


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Load a folder's tokenizer.

    Raises:
        UnusableBackboneError: it cannot be read.
    """
    from transformers import AutoTokenizer

    with _refusing(f"the tokenizer in {path} cannot be read"), quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
    return tokenizer


def load_model(path: Path, dtype: torch.dtype | None) -> PreTrainedModel:
    """Load a folder's weights, as float32 if no dtype is given.

    Raises:
        UnusableBackboneError: they cannot be read, or some are missing (the library would make random ones).
    """
    import torch
    from transformers import AutoModelForCausalLM

    with _refusing(f"the model in {path} cannot be loaded"), quiet_transformers():
        loaded = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype or torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    # a pair because of output_loading_info, which the library's annotation does not say
    model, found = cast("tuple[PreTrainedModel, Mapping[str, Iterable[str | tuple[str, ...]]]]", loaded)
    keys = [*found["missing_keys"], *found["mismatched_keys"]]
    absent = sorted({key if isinstance(key, str) else key[0] for key in keys})
    if absent:
        raise UnusableBackboneError(
            f"the weights in {path} do not fit its config.json: {len(absent)} tensors are missing or of another shape "
            f"({', '.join(absent[:3])}, ...)"
        )
    return model


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raise every error of the block as `UnusableBackboneError`; the libraries raise many kinds, bare Exception too."""
    try:
        yield
    except Exception as exc:
        raise UnusableBackboneError(f"{what}: {exc}") from exc


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Switch progress bars, advice and warnings of transformers off; promptbank reports progress itself."""
    from transformers.utils import logging as library

    bars, level = library.is_progress_bar_enabled(), library.get_verbosity()
    library.disable_progress_bar()
    library.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        library.set_verbosity(level)
        if bars:
            library.enable_progress_bar()
