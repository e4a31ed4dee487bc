"""Convert a GGUF file to a Hugging Face folder, once.

Reading a GGUF through transformers takes most of a minute (gemma-3-270m: 36 s for the weights, 15 s for the
tokenizer); the folder written here loads in about two seconds. The weights are float32, since bfloat16 cannot hold the
dequantised values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from promptbank.errors import UnusableBackboneError
from promptbank.files import sha256_of
from promptbank.model.backbone.cache import UNSTATED, Manifest, Progress
from promptbank.model.backbone.pretrained import quiet_transformers

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

__all__ = ["GgufFile", "convert_gguf"]


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file of the user's, which is converted into the cache."""

    path: Path

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes."""
        return sha256_of(self.path)

    @property
    def name(self) -> str:
        """Folder name in the cache: plain on every system, never hidden, another one for other bytes."""
        stem = re.sub(r"[^\w.-]+", "_", self.path.stem).lstrip(".") or "model"
        return f"{stem}-{self.sha256[:12]}"

    def build(self, model: Path, _: Path, progress: Progress) -> Manifest:
        """Convert the file, see `cache.Build`."""
        convert_gguf(self.path.resolve(), model, progress)
        return Manifest(self.name, self.path.name, self.sha256, UNSTATED, "dequantised from GGUF")


def convert_gguf(gguf: Path, out: Path, progress: Progress) -> None:
    """Write the model and tokenizer of a GGUF as safetensors and JSON.

    Args:
        gguf: the file.
        out: folder to write; made if it is not there.
        progress: told about each stage.

    Raises:
        UnusableBackboneError: it is no GGUF, or of an architecture that transformers cannot read from one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with gguf.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise UnusableBackboneError(f"{gguf} is no GGUF file (it does not begin with the letters GGUF)")
    try:
        with quiet_transformers():
            progress(f"converting {gguf.name}: weights (once, up to a minute)")
            model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
            _without_quantiser(model).save_pretrained(out)
            progress(f"converting {gguf.name}: tokenizer")
            AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)
    # transformers has no error of its own for what it cannot convert: ValueError, KeyError, NotImplementedError, ...
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise  # the disk, not the file
        raise UnusableBackboneError(f"{gguf} cannot be converted: {exc}") from exc


def _without_quantiser(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model of the same weights that can be saved; one read from a GGUF refuses, as it carries a quantiser.

    The new model is built from the cleaned configuration, without memory of its own (meta), and takes over the tensors.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        config = AutoConfig.for_model(**settings)
        plain: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()  # so that tied embeddings are one tensor again, and stored once
    plain.generation_config = model.generation_config
    return plain
