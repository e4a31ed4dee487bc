"""Changes of weights as few components: truncated SVD, and which layers get how many.

The change D of a layer is approximated by B A of rank r so that the error ||(D - B A) C^1/2|| is least, C being the
second moment of the layer's inputs: D C^1/2 = U S V^T, B = U S^1/2, A = S^1/2 V^T C^-1/2, each cut to r components
(SVD-LLM, Wang et al. 2024, arXiv 2403.07378; its diagonal kind is that of ASVD, Yuan et al. 2023, arXiv 2312.05821).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from promptbank.errors import TrainingError

__all__ = ["WEIGHTINGS", "Change", "DenseChange", "LowRankChange", "Spectrum", "Weighting", "allocate", "weighting_of"]

RIDGE = 1e-4
"""Share of the mean moment that is added to each input's, so that inputs never seen count a little."""

Roots = tuple[Tensor, Tensor]
"""C^1/2 and C^-1/2, each (in, in)."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A change as components, the largest first.

    Attributes:
        left: (out, k), orthonormal columns.
        values: (k,), singular values under the weighting.
        right: (k, in), of the weights themselves: the weighting is undone.
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

    def spectrum(self, roots: Roots) -> Spectrum:
        """Return its components under a weighting."""


@dataclass(frozen=True, eq=False)
class DenseChange:
    """A change of any rank, (out, in)."""

    matrix: Tensor

    def dense(self) -> Tensor:
        """Return the matrix."""
        return self.matrix

    def spectrum(self, roots: Roots) -> Spectrum:
        """Decompose the matrix."""
        left, values, right = torch.linalg.svd(self.matrix @ roots[0], full_matrices=False)
        return Spectrum(left, values, right @ roots[1])


@dataclass(frozen=True, eq=False)
class LowRankChange:
    """A change that is B A already: B (out, r) and A (r, in)."""

    b: Tensor
    a: Tensor

    def dense(self) -> Tensor:
        """Return the product."""
        return self.b @ self.a

    def spectrum(self, roots: Roots) -> Spectrum:
        """Decompose by QR of both factors and the SVD of an (r, r) core; nothing is lost."""
        q_b, r_b = torch.linalg.qr(self.b)
        q_a, r_a = torch.linalg.qr((self.a @ roots[0]).T)
        left, values, right = torch.linalg.svd(r_b @ r_a.T, full_matrices=False)
        return Spectrum(q_b @ left, values, right @ q_a.T @ roots[1])


@dataclass(frozen=True)
class Weighting:
    """What an error counts.

    Attributes:
        roots: C^1/2 and C^-1/2 of a second moment C (in, in).
        needs_moments: whether inputs must have been measured. Then a layer's components compete with other layers' as
            shares of its own energy, since outputs of layers are in units of their own, above all where norms follow.
    """

    roots: Callable[[Tensor], Roots]
    needs_moments: bool

    def gains(self, values: Tensor) -> Tensor:
        """Return what each component is worth, (k,) float64."""
        energy = values.double().square()
        return energy / energy.sum().clamp(min=torch.finfo(torch.float64).tiny) if self.needs_moments else energy


def _no_roots(moment: Tensor) -> Roots:
    one = torch.eye(len(moment))
    return one, one


def _diagonal_roots(moment: Tensor) -> Roots:
    root = _ridged(moment).diagonal().sqrt().float()
    return root.diag(), (1 / root).diag()


def _full_roots(moment: Tensor) -> Roots:
    values, vectors = torch.linalg.eigh(_ridged(moment))
    root = values.clamp(min=values[-1] * 1e-12).sqrt()
    return ((vectors * root) @ vectors.T).float(), ((vectors / root) @ vectors.T).float()


def _ridged(moment: Tensor) -> Tensor:
    wide = moment.double()
    added = RIDGE * wide.diagonal().mean() + torch.finfo(torch.float32).tiny
    return wide + added * torch.eye(len(wide), dtype=wide.dtype)


WEIGHTINGS: Mapping[str, Weighting] = {
    "plain.v1": Weighting(_no_roots, needs_moments=False),
    "diagonal.v1": Weighting(_diagonal_roots, needs_moments=True),
    "inputs.v1": Weighting(_full_roots, needs_moments=True),
}
"""The weightings by versioned name.

Inputs of gemma-3-270m have a few directions of most of the energy, and weighting by them lost more than it gained: 18
MB in 8 bits of a full tuning of 261 steps had dev loss 2.03 with inputs.v1 (96 % of the mean layer's output energy) and
1.93 with plain.v1 (backbone 2.52, unpacked 1.79; 48 pairs).
"""


def weighting_of(name: str) -> Weighting:
    """Return a weighting.

    Raises:
        TrainingError: there is none of this name.
    """
    if name not in WEIGHTINGS:
        raise TrainingError(f"unknown weighting {name!r} of a factorised update; known: {', '.join(WEIGHTINGS)}")
    return WEIGHTINGS[name]


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
