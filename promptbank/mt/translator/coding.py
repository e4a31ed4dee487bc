"""How the numbers of a packed translator are stored: what each layer's weights changed by, in few bits.

The change of W (out, in) is kept as B A, with B (out, r) and A (r, in); component c is column c of B and row c of A.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from promptbank.errors import TrainingError

__all__ = ["CODINGS", "Bf16", "Coding", "Int4", "Int8", "Sign", "coding_of"]


class Coding(ABC):
    """A way to store a layer's change; deterministic, and free of any state."""

    names: ClassVar[tuple[str, ...]]
    """Of the tensors that a layer is stored as."""

    def rough(self, _change: Tensor) -> dict[str, Tensor]:
        """Return what is stored of a change (out, in) before the rest is factorised: here nothing."""
        return {}

    @abstractmethod
    def encode(self, b: Tensor, a: Tensor) -> dict[str, Tensor]:
        """Return factors B (out, r) and A (r, in) as stored tensors."""

    @abstractmethod
    def component_bytes(self, outputs: int, inputs: int) -> int:
        """Return the bytes of one component, without the names in the file."""

    @abstractmethod
    def decode(self, stored: Mapping[str, Tensor], outputs: int, inputs: int) -> Tensor:
        """Return the change that stored tensors stand for, float32 (outputs, inputs)."""


class Bf16(Coding):
    """Two bytes a number; B is stored transposed, as in the other codings."""

    names = ("a", "b")

    def encode(self, b: Tensor, a: Tensor) -> dict[str, Tensor]:
        """Round to bfloat16."""
        return {"a": a.bfloat16().contiguous(), "b": b.T.bfloat16().contiguous()}

    def component_bytes(self, outputs: int, inputs: int) -> int:
        """Count two bytes a number."""
        return 2 * (outputs + inputs)

    def decode(self, stored: Mapping[str, Tensor], _outputs: int, _inputs: int) -> Tensor:
        """Multiply the factors in float32."""
        return stored["b"].float().T @ stored["a"].float()


class _Integers(Coding):
    """Symmetric integers with a float32 scale for each column of B and each row of A.

    Components differ by their singular values, so a scale belongs to a component; one for each row of B kept as much of
    the change (43 % and 73 % in 8 and 4 bits, to 1 %) and takes more bytes.
    """

    names: ClassVar[tuple[str, ...]] = ("a", "a_scale", "b", "b_scale")
    largest: ClassVar[int]

    def encode(self, b: Tensor, a: Tensor) -> dict[str, Tensor]:
        """Round to the nearest multiple of each component's scale."""
        stored: dict[str, Tensor] = {}
        for name, rows in (("a", a.float()), ("b", b.T.float())):
            scale = rows.abs().amax(1) / self.largest  # (r,)
            whole = (rows / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
            stored[name] = self._pack(whole.clamp(-self.largest, self.largest).to(torch.int8))
            stored[f"{name}_scale"] = scale
        return stored

    def decode(self, stored: Mapping[str, Tensor], outputs: int, inputs: int) -> Tensor:
        """Multiply the integers by their scales, and the factors in float32."""
        b = self._unpack(stored["b"], outputs) * stored["b_scale"][:, None]  # (r, out)
        return b.T @ (self._unpack(stored["a"], inputs) * stored["a_scale"][:, None])

    @abstractmethod
    def _pack(self, whole: Tensor) -> Tensor:
        """Return int8 rows as they are stored."""

    @abstractmethod
    def _unpack(self, stored: Tensor, width: int) -> Tensor:
        """Return stored rows as float32 of this width."""


class Int8(_Integers):
    """A byte a number, -127 to 127."""

    largest = 127

    def component_bytes(self, outputs: int, inputs: int) -> int:
        """Count a byte a number, and two scales."""
        return outputs + inputs + 8

    def _pack(self, whole: Tensor) -> Tensor:
        return whole.contiguous()

    def _unpack(self, stored: Tensor, _width: int) -> Tensor:
        return stored.float()


class Int4(_Integers):
    """Half a byte a number, -7 to 7; even columns in the low halves."""

    largest = 7

    def component_bytes(self, outputs: int, inputs: int) -> int:
        """Count half a byte a number, a whole one for an odd last, and two scales."""
        return (outputs + 1) // 2 + (inputs + 1) // 2 + 8

    def _pack(self, whole: Tensor) -> Tensor:
        even = functional.pad(whole, (0, whole.shape[1] % 2)).to(torch.int16) + 8  # (r, width), 1 to 15
        return (even[:, ::2] + 16 * even[:, 1::2]).to(torch.uint8).contiguous()

    def _unpack(self, stored: Tensor, width: int) -> Tensor:
        halves = torch.stack([stored % 16, stored // 16], -1).flatten(1)  # (r, width), and one more if it is odd
        return halves[:, :width].float() - 8


class Sign(Int4):
    """One bit for each number of the change, a scale for each output, and what they miss as 4-bit factors.

    The signs are those of BitDelta (Liu et al. 2024, arXiv 2402.10193), with the mean of ``|change|`` in the place of a
    distilled scale, which is the one of least squared error. They keep 2/pi of a Gaussian change, whatever its rank,
    and that of a full tuning is nearly full. Dev losses after 261 steps (backbone 2.515, unpacked 1.790; 48 pairs): in
    18 MB int8.v1 1.930, int4.v1 1.802, sign.v1 1.795; in 13.5 MB sign.v1 1.761.
    """

    names = (*Int4.names, "sign", "scale")

    def rough(self, change: Tensor) -> dict[str, Tensor]:
        """Return a bit for each number, eight a byte, the first lowest; and bfloat16 scales (out,)."""
        bits = functional.pad((change >= 0).to(torch.uint8), (0, -change.shape[1] % 8)).reshape(len(change), -1, 8)
        sign = (bits << torch.arange(8, dtype=torch.uint8)).sum(-1).to(torch.uint8)  # (out, in / 8)
        return {"sign": sign, "scale": change.abs().mean(1).bfloat16()}

    def decode(self, stored: Mapping[str, Tensor], outputs: int, inputs: int) -> Tensor:
        """Return the signs times their scales, with the factors' product added."""
        bits = (stored["sign"][..., None] >> torch.arange(8, dtype=torch.uint8)) & 1  # (out, in / 8, 8)
        signs = 2 * bits.flatten(1)[:, :inputs].float() - 1
        rough = signs * stored["scale"].float()[:, None]
        return rough + super().decode(stored, outputs, inputs) if "a" in stored else rough


CODINGS: Mapping[str, Coding] = {"bf16.v1": Bf16(), "int8.v1": Int8(), "int4.v1": Int4(), "sign.v1": Sign()}
"""The codings by versioned name."""


def coding_of(name: str) -> Coding:
    """Return a coding.

    Raises:
        TrainingError: there is none of this name.
    """
    if name not in CODINGS:
        raise TrainingError(f"unknown coding {name!r} of a packed translator; known: {', '.join(CODINGS)}")
    return CODINGS[name]
