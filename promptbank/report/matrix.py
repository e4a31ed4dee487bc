"""Plot an accuracy matrix with its numbers: what each task scores after each task was learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptbank.report.canvas import WIDTH, draw, upright, words
from promptbank.report.errors import ReportError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_TASKS", "matrix_plot"]

COLOURS = ("#f7fbff", "#9ecae1", "#4292c6")
"""One hue from light to middle: the same to colour-blind readers and on grey paper. Black numbers have a contrast of at
least 6 on all of it; darker shades would need white ones, and the shades between would suit neither."""

MOST_TASKS = 16
"""More rows and columns cannot hold numbers that can be read."""


def matrix_plot(matrix: Sequence[Sequence[float | None]], names: Sequence[str], *, title: str) -> bytes:
    """Draw a matrix of scores between 0 and 1, the first row at the top.

    Args:
        matrix: square; R[i][j] is the score on task j after task i was learnt, None for an empty cell.
        names: of the tasks.
        title: of the plot.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: the matrix is empty or too large, has another shape than its names, or a number is not finite.
    """
    _check(matrix, names, title)
    heads = [words(name, 24, lines=2) for name in names]
    longest = max(len(line) for head in heads for line in head.splitlines())
    slanted = longest > WIDTH / 2 * 11 / len(names)  # half of the width is theirs, with 11 characters an inch
    height, below = max(2.2, 0.5 + 0.45 * len(names)), 0.3 + 0.055 * longest if slanted else 0.0

    def paint(figure: Figure, axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        values = [[math.nan if value is None else value for value in row] for row in matrix]
        shades = LinearSegmentedColormap.from_list("promptbank", COLOURS)
        image = axes.imshow(values, cmap=shades, vmin=0.0, vmax=1.0, aspect="auto")
        size = min(11.0, 0.68 * WIDTH * 72 / len(names) / 3.5)  # points that leave five characters their place
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                axes.text(j, i, "" if value is None else f"{value:.3f}", ha="center", va="center", fontsize=size)
        _name_axes(axes, names, heads, slanted=slanted)
        figure.colorbar(image, ax=axes, label=upright("score", height), pad=0.02, aspect=12 * len(names) ** 0.5)

    return draw(paint, title=title, x_label="score on", y_label="after learning", height=height, below=below)


def _check(matrix: Sequence[Sequence[float | None]], names: Sequence[str], title: str) -> None:
    if any(len(side) != len(names) for side in (matrix, *matrix)):
        shape = f"{len(matrix)} rows of {sorted({len(row) for row in matrix})} cells"
        raise ReportError(f"matrix {title!r} has {shape}, and {len(names)} names")
    if len(names) > MOST_TASKS:
        raise ReportError(f"matrix {title!r} has {len(names)} rows; at most {MOST_TASKS} can be read, show a part")
    numbers = [value for row in matrix for value in row if value is not None]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ReportError(f"matrix {title!r} needs at least one number, and finite ones; use None for an empty cell")


def _name_axes(axes: Axes, names: Sequence[str], heads: Sequence[str], *, slanted: bool) -> None:
    """Name rows and columns; names of columns are slanted where they would touch."""
    axes.set_xticks(range(len(heads)), heads)
    for label in axes.get_xticklabels() if slanted else ():
        label.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [words(name, 28, lines=2) for name in names])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    for place in range(1, len(names)):
        axes.axhline(place - 0.5, color="white", linewidth=1.5)
        axes.axvline(place - 0.5, color="white", linewidth=1.5)
