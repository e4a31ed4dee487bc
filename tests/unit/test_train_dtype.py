"""The dtype that `auto` means: bfloat16 where the processor computes it, float32 where it would be emulated."""

import platform
from pathlib import Path

import pytest
import torch

from promptbank.train.loop import training_dtype

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.parametrize(
    ("capability", "machine", "avx512_bf16", "amx", "onednn", "expected"),
    [
        ("AVX512", "x86_64", False, False, True, "float32"),  # oneDNN emulates on any AVX-512
        ("AVX512", "x86_64", True, False, True, "bfloat16"),
        ("DEFAULT", "x86_64", True, False, True, "float32"),  # held to plain kernels
        ("AVX512", "AMD64", False, True, True, "bfloat16"),
        ("SVE256", "aarch64", False, False, True, "bfloat16"),
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
    assert (training_dtype("float32"), training_dtype("bfloat16")) == ("float32", "bfloat16")


@pytest.mark.skipif(platform.machine() != "x86_64" or not CPUINFO.is_file(), reason="needs Linux on x86_64")
def test_auto_agrees_with_what_the_kernel_says_of_this_processor() -> None:
    flags = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")).split()
    has = bool({"avx512_bf16", "amx_bf16"} & set(flags))
    assert training_dtype("auto") == ("bfloat16" if has else "float32")
