"""The dtype that `auto` means: bfloat16 where the processor computes it, float32 where it would be emulated."""

import platform
from pathlib import Path

import pytest
import torch

from promptbank.model.forward import LanguageModel
from promptbank.training.precision import training_copy, training_dtype
from tests.tiny import Kind, tiny_backbone

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.parametrize(
    ("capability", "machine", "avx512_bf16", "amx", "onednn", "expected"),
    [
        ("AVX512", "x86_64", False, False, True, "float32"),  # oneDNN emulates on any AVX-512
        ("AVX512", "x86_64", True, False, True, "bfloat16 weights"),
        ("DEFAULT", "x86_64", True, False, True, "float32"),  # held to plain kernels
        ("AVX512", "AMD64", False, True, True, "bfloat16 weights"),
        ("SVE256", "aarch64", False, False, True, "bfloat16 weights"),
        ("DEFAULT", "aarch64", False, False, True, "float32"),
        ("SVE256", "arm64", False, False, False, "float32"),
    ],
)
def test_auto_is_bfloat16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
    machine: str,
    avx512_bf16: bool,
    amx: bool,
    onednn: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    assert training_dtype("auto") == expected
    assert (training_dtype("float32"), training_dtype("bfloat16")) == ("float32", "bfloat16 weights")


@pytest.mark.skipif(platform.machine() != "x86_64" or not CPUINFO.is_file(), reason="needs Linux on x86_64")
def test_auto_agrees_with_what_the_kernel_says_of_this_processor() -> None:
    flags = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")).split()
    has = bool({"avx512_bf16", "amx_bf16"} & set(flags))
    assert training_dtype("auto") == ("bfloat16 weights" if has else "float32")


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_a_copy_in_bfloat16_turns_by_the_same_angles_and_keeps_tied_weights_tied(kind: Kind) -> None:
    model = tiny_backbone(kind).model
    copied = training_copy(LanguageModel(model), "bfloat16").model
    assert {parameter.dtype for parameter in copied.parameters()} == {torch.bfloat16}
    frequencies = {name: buffer for name, buffer in copied.named_buffers() if "inv_freq" in name}
    assert frequencies
    for name, buffer in model.named_buffers():
        assert torch.equal(copied.get_buffer(name), buffer)
        assert copied.get_buffer(name).dtype == buffer.dtype
    embedding, head = copied.get_input_embeddings(), copied.get_output_embeddings()
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert (embedding.weight is head.weight) == tied
