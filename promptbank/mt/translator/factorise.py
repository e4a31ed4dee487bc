"""Changes of weights as few components: truncated SVD, and which layers get how many.

The change D = U S V^T of a layer is approximated by B A with B = U S^1/2 and A = S^1/2 V^T, each cut to r components,
which is the nearest matrix of this rank. Weighting the error by the second moments of a layer's inputs (SVD-LLM, Wang
et al. 2024, arXiv 2403.07378) lost more than it gained; see ``docs/adr/0005-a-translator-is-an-update-of-one-bit.md``.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Change", "DenseChange", "LowRankChange", "SvdComponents", "allocate"]


@dataclass(frozen=True, eq=False)
class SvdComponents:
    """A change as components, the largest first.

    Attributes:
        left: (out, k), orthonormal columns.
        values: (k,), singular values.
        right: (k, in), orthonormal rows.
    """

    left: Tensor
    values: Tensor
    right: Tensor

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """Return B (out, rank) and A (rank, in), which share the singular values evenly."""
        share = self.values[:rank].sqrt()
        return self.left[:, :rank] * share, share[:, None] * self.right[:rank]


class Change(Protocol):
    """What the weight of a layer changed by."""

    def dense(self) -> Tensor:
        """Return it as float32 (out, in)."""

    def spectrum(self) -> SvdComponents:
        """Return its components."""


@dataclass(frozen=True, eq=False)
class DenseChange:
    """A change of any rank, (out, in)."""

    matrix: Tensor

    def dense(self) -> Tensor:
        """Return the matrix."""
        return self.matrix

    def spectrum(self) -> SvdComponents:
        """Decompose the matrix."""
        return SvdComponents(*torch.linalg.svd(self.matrix, full_matrices=False))


@dataclass(frozen=True, eq=False)
class LowRankChange:
    """A change that is B A already: B (out, r) and A (r, in)."""

    b: Tensor
    a: Tensor

    def dense(self) -> Tensor:
        """Return the product."""
        return self.b @ self.a

    def spectrum(self) -> SvdComponents:
        """Decompose by QR of both factors and the SVD of an (r, r) core; nothing is lost."""
        q_b, r_b = torch.linalg.qr(self.b)
        q_a, r_a = torch.linalg.qr(self.a.T)
        left, values, right = torch.linalg.svd(r_b @ r_a.T, full_matrices=False)
        return SvdComponents(q_b @ left, values, right @ q_a.T)


def allocate(
    gains: Mapping[str, Tensor], each: Mapping[str, int], budget: int, first: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the rank of each layer: components are taken by gain a byte while they fit.

    The sum of gains is the largest that so many bytes can hold when components cost the same; otherwise less than one
    component's gain is lost against the best filling of the budget.

    Args:
        gains: of the components of each layer, falling.
        each: bytes of one component of each layer.
        budget: bytes of all.
        first: bytes that the first component of a layer takes more; none if absent.
    """
    more, ranks = first or {}, dict.fromkeys(sorted(gains), 0)
    queue: list[tuple[float, str, int]] = []

    def offer(name: str) -> None:
        rank = ranks[name]
        cost = each[name] + (more.get(name, 0) if rank == 0 else 0)
        if rank < len(gains[name]) and gains[name][rank] > 0:
            heapq.heappush(queue, (-float(gains[name][rank]) / cost, name, cost))

    for name in ranks:
        offer(name)
    while queue:
        _, name, cost = heapq.heappop(queue)
        if cost <= budget:  # if not, its layer has all it gets, and a smaller one may still fit
            budget -= cost
            ranks[name] += 1
            offer(name)
    return ranks
