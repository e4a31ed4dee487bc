"""Plots of reports: curves, bars and named dots, each returned as the bytes of a PNG.

Means come with their spread (sample standard deviation) and the single values, since a handful of folds or seeds is too
few to be described by two numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptbank.report.canvas import COLOURS, LINE, LISTED, QUIET, draw, look, pale, words
from promptbank.report.cells import cell_text
from promptbank.report.errors import ReportError
from tasks.statistics import mean_sd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Dot", "bar_plot", "curve_plot", "scatter_plot"]

NEAREST_TICKS = 0.06
"""Share of an axis that ticks keep between them, so that their numbers do not touch."""

LEVELS = ((0, (7, 3)), (0, (1, 1.5)), (0, (7, 2, 1, 2)))
"""Dashes of horizontal lines."""


def curve_plot(
    series: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    levels: Mapping[str, float] | None = None,
) -> bytes:
    """Draw curves: the mean as a line, one standard deviation to both sides as a band, and every single value.

    Args:
        series: for each curve's name the values at each x (one for each seed, say).
        title: of the plot.
        x_label: with the unit.
        y_label: with the unit, and over what the spread is.
        log_x: x is logarithmic, with ticks at the x that were measured.
        levels: horizontal lines by name, such as the majority's score.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: nothing to draw, or an x of 0 or less on a logarithmic axis.
        DataError: an x has no values, or one that is no finite number.
    """
    if not series or not all(series.values()):
        raise ReportError(f"plot {title!r} has a curve without points or no curve at all; give values for each")
    places = sorted({x for points in series.values() for x in points})
    if log_x and places[0] <= 0:
        raise ReportError(f"x = {places[0]} has no place on a logarithmic axis; leave it out or use a linear one")

    def paint(_: Figure, axes: Axes) -> None:
        if log_x:
            _log_axis(axes, places)
        axes.grid(axis="y")
        for number, points in enumerate(series.values()):
            _curve(axes, number, points)
        for number, level in enumerate((levels or {}).values()):
            dashes = LEVELS[number % len(LEVELS)]
            axes.axhline(level, color=QUIET, linestyle=dashes, linewidth=1.4, label=LISTED, zorder=1)

    names = [*series, *(levels or {})]
    legend = names if len(names) > 1 else ()
    return draw(paint, title=title, x_label=x_label, y_label=y_label, height=3.6, legend=legend)


def _curve(axes: Axes, number: int, points: Mapping[float, Sequence[float]]) -> None:
    colour, marker, dashes = look(number)
    xs = sorted(points)
    found = [mean_sd(points[x]) for x in xs]
    means, spreads = [f.mean for f in found], [f.sd or 0.0 for f in found]
    low, high = ([m + sign * s for m, s in zip(means, spreads, strict=True)] for sign in (-1, 1))
    axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
    single = [(x, y) for x in xs for y in points[x] if len(points[x]) > 1]
    axes.scatter([x for x, _ in single], [y for _, y in single], s=14, color=colour, alpha=0.45, linewidths=0)
    axes.plot(xs, means, color=colour, linestyle=dashes, marker=marker, linewidth=2, label=LISTED)


def _log_axis(axes: Axes, places: Sequence[float]) -> None:
    """A logarithmic axis whose ticks are measured places, as many as can be read."""
    axes.set_xscale("log")
    span = math.log(places[-1] / places[0]) or 1.0
    ticks: list[float] = []
    for place in places:
        if not ticks or math.log(place / ticks[-1]) >= NEAREST_TICKS * span:
            ticks.append(place)
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def bar_plot(methods: Mapping[str, Mapping[str, Sequence[float]]], *, title: str, value_label: str) -> bytes:
    """Draw bars from zero: for each method one for each metric, with its spread, its single values and its number.

    Bars lie, so that names of methods can be long. A single whole number is written as one.

    Args:
        methods: for each method's name and metric the values (one for each fold, say); every method has every metric.
        title: of the plot.
        value_label: what the bars measure, with the unit, and over what the spread is.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: no methods, or methods with different metrics.
        DataError: a metric has no values, or one that is no finite number.
    """
    metrics = list(next(iter(methods.values()), {}))
    strange = next((name for name, values in methods.items() if list(values) != metrics), None)
    if not metrics or strange is not None:
        raise ReportError(
            f"plot {title!r} needs the same metrics for every method; {strange or 'the first'} has "
            f"{', '.join(methods.get(strange or '', {})) or 'none'} and the first has {', '.join(metrics) or 'none'}"
        )
    thick = 0.8 / len(metrics)
    names = [words(name, 34, lines=2) for name in methods]

    def paint(_: Figure, axes: Axes) -> None:
        axes.grid(axis="x")
        for number, metric in enumerate(metrics):
            for place, values in enumerate(methods.values()):
                middle = place + (number - (len(metrics) - 1) / 2) * thick
                colour = COLOURS[number % len(COLOURS)]
                _bar(axes, middle, thick * 0.9, values[metric], colour, listed=not place)
        axes.axvline(0, color=QUIET, linewidth=1)
        axes.set_yticks(range(len(methods)), names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(methods) - 0.5, -0.5)

    height = 0.3 + max(0.34 * len(metrics), 2.2 * LINE) * len(methods)
    legend = metrics if len(metrics) > 1 else ()  # one alone is named by the axis
    return draw(paint, title=title, x_label=value_label, y_label="", height=height, legend=legend)


def _bar(axes: Axes, middle: float, thick: float, values: Sequence[float], colour: str, *, listed: bool) -> None:
    found = mean_sd(values)
    axes.barh(middle, found.mean, height=thick, color=pale(colour), label=LISTED if listed else None)
    if found.sd is not None:
        axes.errorbar(found.mean, middle - 0.15 * thick, xerr=found.sd, color="black", capsize=3, linewidth=1.3)
        beside = [middle + 0.2 * thick] * len(values)
        axes.scatter(values, beside, s=14, color=colour, edgecolors="black", linewidths=0.4, zorder=3)
    said = cell_text(values[0] if len(values) == 1 else found)
    axes.annotate(
        said, (1, middle), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
        va="center", fontsize=10, annotation_clip=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Dot:
    """A method in a scatter plot.

    Attributes:
        name: in the legend.
        x: such as seconds.
        y: such as macro-F1.
        y_sd: spread of ``y``, drawn as a bar; None for one value alone.
    """

    name: str
    x: float
    y: float
    y_sd: float | None = None


def scatter_plot(dots: Sequence[Dot], *, title: str, x_label: str, y_label: str, log_x: bool = False) -> bytes:
    """Draw methods as dots; a legend names them, so that no name can hide a dot or another name.

    Args:
        dots: at least one.
        title: of the plot.
        x_label: with the unit.
        y_label: with the unit, and over what the spread is.
        log_x: x is logarithmic.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: no dots, a number that is not finite, or an x of 0 or less on a logarithmic axis.
    """
    if not dots:
        raise ReportError(f"plot {title!r} has no dots; give at least one")
    for dot in dots:
        if not all(map(math.isfinite, (dot.x, dot.y, dot.y_sd or 0.0))) or (log_x and dot.x <= 0):
            raise ReportError(f"{dot.name!r} at {dot.x}, {dot.y} has no place in plot {title!r}; leave it out")

    def paint(_: Figure, axes: Axes) -> None:
        if log_x:
            from matplotlib.ticker import EngFormatter

            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 10k, 1M; the usual one writes powers as formulas
            axes.xaxis.set_minor_formatter(lambda *_: "")
        axes.grid()
        axes.margins(x=0.08, y=0.12)
        for number, dot in enumerate(dots):
            colour, marker = look(number)[:2]
            axes.errorbar(
                dot.x, dot.y, yerr=dot.y_sd, color=colour, marker=marker, markersize=9, linestyle="none",
                capsize=3, label=LISTED,
            )  # fmt: skip

    legend = [dot.name for dot in dots]
    return draw(paint, title=title, x_label=x_label, y_label=y_label, height=4.0, legend=legend)
