"""Where labels go beside their dots: greedily, the nearest free place first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "place_labels"]

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
RINGS = (1, 3, 6, 10)
"""Distances that are tried, in gaps."""

OUTSIDE = 1e6
"""What a square pixel outside of the frame costs; one on another label costs 1."""


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels, y upwards."""

    left: float
    bottom: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Return the area that both share."""
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.bottom + self.height, other.bottom + other.height) - max(self.bottom, other.bottom)
        return max(width, 0) * max(height, 0)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the box's nearest point."""
        right, top = self.left + self.width, self.bottom + self.height
        return min(max(x, self.left), right), min(max(y, self.bottom), top)

    def distance(self, x: float, y: float) -> float:
        """Return how far a point is away; 0 inside."""
        return math.dist((x, y), self.nearest(x, y))


def place_labels(
    dots: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    *,
    gap: float,
    hidden: Sequence[Box] = (),
) -> list[Box]:
    """Find a place for the label of every dot.

    Args:
        dots: their middles.
        sizes: width and height of each dot's label.
        frame: that labels should stay in.
        gap: a dot's radius and some air.
        hidden: what else labels should not lie on.

    Returns:
        A box for each label: free of dots, of labels before it and of the frame's edge where a tried place is.
    """
    taken = [*hidden, *(Box(x - gap / 2, y - gap / 2, gap, gap) for x, y in dots)]
    found: list[Box] = []
    for dot, size in zip(dots, sizes, strict=True):
        best = min(_places(dot, size, gap), key=lambda box: _cost(box, taken, frame))  # the first of equals
        found.append(best)
        taken.append(best)
    return found


def _places(dot: tuple[float, float], size: tuple[float, float], gap: float) -> Iterator[Box]:
    (x, y), (width, height) = dot, size
    for ring in RINGS:
        for across, up in DIRECTIONS:
            far = ring * gap * (0.7 if across and up else 1)
            left = x + across * (far + width / 2) - width / 2
            yield Box(left, y + up * (far + height / 2) - height / 2, width, height)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    outside = box.width * box.height - box.overlap(frame)
    return round(OUTSIDE * outside + sum(box.overlap(other) for other in taken), 3)
