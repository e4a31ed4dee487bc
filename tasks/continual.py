"""Scores of a stream of tasks: average accuracy, backward transfer and forgetting, from an accuracy matrix.

R[i][j] is the score on task j after task i was learnt, for j <= i (Lopez-Paz and Ranzato 2017; Chaudhry et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

__all__ = ["StreamScores", "stream_scores"]


@dataclass(frozen=True)
class StreamScores:
    """Scores of a whole stream of T tasks.

    Attributes:
        average: mean of R[T-1][j] over all tasks.
        backward_transfer: BWT, mean over j < T-1 of R[T-1][j] - R[j][j]; 0 for a single task.
        forgetting: mean over j < T-1 of max over i < T-1 of R[i][j], minus R[T-1][j]; 0 for a single task.
    """

    average: float
    backward_transfer: float
    forgetting: float

    def as_dict(self) -> dict[str, float]:
        """Return plain JSON values."""
        return asdict(self)


def stream_scores(matrix: Sequence[Sequence[float]]) -> StreamScores:
    """Compute the scores of a lower triangular matrix: row i holds the scores on tasks 0 to i.

    Raises:
        ValueError: no row, or a row that is shorter than its place asks.

    >>> stream_scores([[0.9], [0.7, 0.8]])
    StreamScores(average=0.75, backward_transfer=-0.2, forgetting=0.2)
    """
    if not matrix or any(len(row) <= i for i, row in enumerate(matrix)):
        raise ValueError(f"rows of {[len(row) for row in matrix]} scores; row i needs i + 1 of them")
    last = matrix[-1]
    earlier = range(len(matrix) - 1)
    if not earlier:
        return StreamScores(last[0], 0.0, 0.0)
    moved = [last[j] - matrix[j][j] for j in earlier]
    lost = [max(matrix[i][j] for i in range(j, len(matrix) - 1)) - last[j] for j in earlier]
    mean_of = [sum(values) / len(values) for values in (last, moved, lost)]
    return StreamScores(*(round(value, 12) for value in mean_of))
