"""Convert a GGUF file to a Hugging Face folder, once.

Reading a GGUF through transformers takes most of a minute (gemma-3-270m: 36 s for the weights, 15 s for the
tokenizer), the folder written here loads in about two seconds. The weights are kept in float32: the dequantised values
are not representable in bfloat16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from promptbank.errors import UnusableBackboneError
from promptbank.model.backbone.quiet import quiet_transformers

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

    from promptbank.model.backbone.fetch import Progress

__all__ = ["convert_gguf"]


def convert_gguf(gguf: Path, out: Path, progress: Progress) -> None:
    """Write the model and tokenizer of a GGUF as safetensors and JSON.

    Args:
        gguf: the file.
        out: folder to write; made if it is not there.
        progress: told about each stage.

    Raises:
        UnusableBackboneError: it is no GGUF, or of an architecture that transformers cannot read from one.
    """
    with gguf.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise UnusableBackboneError(f"{gguf} is no GGUF file (it does not begin with the letters GGUF)")
    try:
        with quiet_transformers():
            _convert(gguf, out, progress)
    # transformers has no error of its own for what it cannot convert: ValueError, KeyError, NotImplementedError, ...
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise  # the disk, not the file
        raise UnusableBackboneError(f"{gguf} cannot be converted: {exc}") from exc


def _convert(gguf: Path, out: Path, progress: Progress) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    progress(f"converting {gguf.name}: weights (once, up to a minute)")
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    _plain(model).save_pretrained(out)
    progress(f"converting {gguf.name}: tokenizer")
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)


def _plain(model: PreTrainedModel) -> PreTrainedModel:
    """Return the same weights in a model that does not know it was quantised.

    A model read from a GGUF refuses to be saved, since it carries a quantiser. So a new one is built from the cleaned
    configuration, without memory of its own (meta), and takes over the tensors.
    """
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
