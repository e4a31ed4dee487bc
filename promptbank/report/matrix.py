"""A matrix with its numbers: what each task scores after each other one was learnt, or a confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptbank.report.canvas import WIDTH, draw, upright, words
from promptbank.report.errors import ReportError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["heat_map"]

COLOURS = ("#f7fbff", "#9ecae1", "#4292c6")
"""One hue from light to middle: the same to colour-blind readers and on grey paper. Black numbers have a contrast of at
least 6 on all of it; darker shades would need white ones, and the shades between would suit neither."""

MOST = 16
"""Rows or columns; more cannot hold numbers that can be read."""


def heat_map(
    matrix: Sequence[Sequence[float | None]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    row_label: str,
    column_label: str,
    value_label: str,
    limits: tuple[float, float] | None = None,
) -> bytes:
    """Draw a matrix with the numbers written in its cells, the first row at the top.

    Args:
        matrix: R[i][j]; None is an empty cell. Whole numbers are written as such, others with 3 decimals.
        rows: their names.
        columns: their names.
        title: of the plot.
        row_label: what rows are.
        column_label: what columns are.
        value_label: what the numbers are, with the unit.
        limits: values of the lightest and the darkest colour; None takes the smallest and the largest number. Give
            them where several plots are compared.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: the matrix is empty or too large, has another shape than its names, or a number is not finite.
    """
    _check(matrix, rows, columns, title)
    numbers = [value for row in matrix for value in row if value is not None]
    low, high = limits or (min(numbers), max(numbers))
    heads = [words(name, 24, lines=2) for name in columns]
    longest = max(len(line) for head in heads for line in head.splitlines())
    lean = longest > WIDTH / 2 * 11 / len(columns)  # half of the width is left to them, with 11 characters an inch
    height, below = max(2.2, 0.5 + 0.45 * len(rows)), 0.3 + 0.055 * longest if lean else 0.0

    def paint(figure: Figure, axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        values = [[math.nan if value is None else value for value in row] for row in matrix]
        shades = LinearSegmentedColormap.from_list("promptbank", COLOURS)
        image = axes.imshow(values, cmap=shades, vmin=low, vmax=high, aspect="auto")
        _write(axes, matrix)
        _names(axes, rows, heads, lean=lean)
        figure.colorbar(image, ax=axes, label=upright(value_label, height), pad=0.02, aspect=12 * len(rows) ** 0.5)

    return draw(paint, title=title, x_label=column_label, y_label=row_label, height=height, below=below)


def _check(matrix: Sequence[Sequence[float | None]], rows: Sequence[str], columns: Sequence[str], title: str) -> None:
    if len(matrix) != len(rows) or any(len(row) != len(columns) for row in matrix):
        shape = f"{len(matrix)} rows of {sorted({len(row) for row in matrix})} cells"
        raise ReportError(f"matrix {title!r} has {shape}, and names for {len(rows)} rows and {len(columns)} columns")
    if max(len(rows), len(columns)) > MOST:
        raise ReportError(f"matrix {title!r} is {len(rows)} by {len(columns)}; at most {MOST} can be read, show a part")
    numbers = [value for row in matrix for value in row if value is not None]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ReportError(f"matrix {title!r} needs at least one number, and finite ones; use None for an empty cell")


def _write(axes: Axes, matrix: Sequence[Sequence[float | None]]) -> None:
    """Write each number in its cell, as large as the longest allows."""
    texts = [["" if value is None else _short(value) for value in row] for row in matrix]
    longest = max(len(text) for row in texts for text in row)
    size = min(11.0, 0.68 * WIDTH * 72 / len(texts[0]) / (0.7 * max(longest, 3)))
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            axes.text(j, i, text, ha="center", va="center", fontsize=size)


def _names(axes: Axes, rows: Sequence[str], heads: Sequence[str], *, lean: bool) -> None:
    """Names of rows and columns; columns lean where their names would touch."""
    axes.set_xticks(range(len(heads)), heads)
    if lean:
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [words(name, 28, lines=2) for name in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    for place in range(1, len(rows)):
        axes.axhline(place - 0.5, color="white", linewidth=1.5)
    for place in range(1, len(heads)):
        axes.axvline(place - 0.5, color="white", linewidth=1.5)


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
