"""In which number format a training computes: bfloat16 passes where the processor has them, float32 elsewhere."""

import copy
import platform

import torch

from promptbank.model.forward import LanguageModel, cast_weights

__all__ = ["autocast", "cpu_has_bfloat16", "is_half", "training_copy", "training_dtype"]


def training_copy(lm: LanguageModel, dtype: str) -> LanguageModel:
    """Return the model to train prompts against: a bfloat16 copy where that pays, else the given one.

    A copy because autocast casts frozen weights again at every call (307 against 246 ms an example).
    """
    return LanguageModel(cast_weights(copy.deepcopy(lm.model), torch.bfloat16)) if is_half(dtype) else lm


def autocast(device: str, *, half: bool) -> torch.autocast:
    """Return a context of forward passes in bfloat16, or of ones as the weights are."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=half)


def is_half(dtype: str, device: str = "cpu") -> bool:
    """Whether a training of this ``dtype`` (auto, float32 or bfloat16) has forward passes in bfloat16."""
    if dtype == "auto":
        return torch.device(device).type != "cpu" or cpu_has_bfloat16()
    return dtype == "bfloat16"


def training_dtype(dtype: str) -> str:
    """Return what a training of this ``dtype`` computes in on this machine; rotary frequencies are float32 always."""
    return "bfloat16 weights" if is_half(dtype) else "float32"


def cpu_has_bfloat16() -> bool:
    """Whether bfloat16 is computed by the processor, and not emulated."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        # oneDNN says yes to any AVX-512, and emulates: 31 GFLOP/s on a processor that has 164 in float32
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
