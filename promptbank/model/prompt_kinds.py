"""The kinds of prompt: what is learnt and stored of each, what it adds inside the backbone, and how large it may be.

A kind is a small class under a versioned name. A stored row names its kind, so it means the same for ever. Every kind
has the input rows, which a prompt encoder makes; every other tensor is learnt directly, as a multiple of the backbone's
own scale at its place.
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol

from torch import Tensor

__all__ = ["INPUT_ROWS", "LAYER_VECTORS", "PROMPT_KINDS", "DeepKind", "PromptKind", "RowKind"]

INPUT_ROWS, LAYER_VECTORS = "virtual_tokens", "layer_vectors"


class PromptKind(Protocol):
    """What the prompts of one kind are made of.

    Attributes:
        largest: bytes of one prompt at most.
    """

    largest: ClassVar[int]

    def shapes(self, virtual_tokens: int, hidden_size: int, layers: int, /) -> dict[str, tuple[int, ...]]:
        """Return the shape of each tensor by name, in the order of their bytes; the last axes of all are (V, H)."""

    def layer_vectors(self, tensors: Mapping[str, Tensor], /) -> Tensor | None:
        """Return what is added at the virtual tokens to the input of every layer but the first, (L - 1, V, H).

        None for a kind that acts on the input alone.
        """


class RowKind:
    """One matrix (V, H), `virtual_tokens`: embeddings at the virtual tokens and nothing else (P-tuning)."""

    largest: ClassVar = 64 * 2**20

    def shapes(self, virtual_tokens: int, hidden_size: int, _layers: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of the matrix."""
        return {INPUT_ROWS: (virtual_tokens, hidden_size)}

    def layer_vectors(self, _tensors: Mapping[str, Tensor]) -> None:
        """Return None."""


class DeepKind:
    """Input rows (V, H), and vectors (L - 1, V, H) that are added to the hidden states between the layers.

    After P-tuning v2 (Liu et al. 2021, arXiv 2110.07602), which puts a prompt in every layer. There it takes the place
    of the hidden states; here it is added, so that vectors of zero are the prompt of kind `rows.v1`, virtual tokens
    still read the text before them, and keys turn by their true positions. The first layer has no vectors: its input
    at a virtual token is the input row itself, so they would say the same thing twice.
    """

    largest: ClassVar = 128 * 2**20

    def shapes(self, virtual_tokens: int, hidden_size: int, layers: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of input rows and vectors."""
        rows = (virtual_tokens, hidden_size)
        return {INPUT_ROWS: rows, LAYER_VECTORS: (layers - 1, *rows)}

    def layer_vectors(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the vectors."""
        return tensors[LAYER_VECTORS]


PROMPT_KINDS: dict[str, PromptKind] = {"rows.v1": RowKind(), "deep.v1": DeepKind()}
